"""Imports point downwards only, and the lower floors neither wait nor look at the clock."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1] / "routeraudio"

FLOORS: Final = {
    "__init__": 0,
    "model": 0,
    "audio": 1,
    "providers": 1,
    "dialects": 1,
    "policy": 2,
    "gateway.__init__": 2,
    "gateway.request": 2,
    "gateway.closes": 2,
    "gateway.json_member": 2,
    "config": 3,
    "store": 3,
    "session": 3,
    "transport": 4,
    "gateway.audio_gate": 4,
    "gateway.proxy": 4,
    "workers": 4,
    "observability": 5,
    "routes": 5,
    "auth": 5,
    "engine": 5,
    "edge": 6,
    "pull": 6,
    "emulators": 6,
    "workers.heartbeat": 7,
    "gateway.handler": 7,
    "api": 7,
    "wyoming": 7,
    "edge.connection": 8,
    "persistence": 8,
    "workers.supervisor": 9,
    "daemon": 9,
    "commands": 10,
    "cli": 11,
    "__main__": 12,
}
"""The map, from the bottom up. A package whose modules stand on different floors lists them one by one."""

NEIGHBOURS: Final = {
    ("dialects", "providers"),  # a parameter's allowed values are the catalogue's
    ("dialects", "audio"),  # a protocol whose server finds the ends of utterances needs an ear
    ("providers", "audio"),  # finding pauses is sound work, for vendors that must be told when a turn ends
    ("store", "session"),  # the ledger's stream is a session's credit
    ("store", "config"),  # the store that a configuration names
    ("daemon", "workers.supervisor"),  # one process that is told to be several
}
"""Imports within a floor, each for its reason."""

NO_WAITING: Final = {"trio", "socket", "time", "ssl", "select", "selectors", "asyncio", "threading", "httpx"}
"""What floors 0–2 do without: they are plain functions and structs."""

FILES: Final = sorted(ROOT.rglob("*.py"))


def place(name: str) -> str:
    """The entry of `FLOORS` for a module: `routeraudio.model.audio` → `model`; a name of the root → `__init__`."""
    parts = name.split(".")[1:]
    if not parts or not ((ROOT / parts[0]).is_dir() or (ROOT / f"{parts[0]}.py").is_file()):
        return "__init__"
    own = ".".join((*parts, "__init__")[:2])
    return own if own in FLOORS else parts[0]


def module(file: Path) -> str:
    """`…/routeraudio/model/audio.py` → `routeraudio.model.audio`."""
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)


def imported(file: Path) -> Iterator[str]:
    """Every module a file imports, also inside functions."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the floor"
            assert node.module is not None
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if is_module(name) else node.module for name in names)


def is_module(name: str) -> bool:
    """Whether `routeraudio.gateway.request` is a file or folder of ours, and not a name inside a module."""
    path = ROOT.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def test_every_package_has_a_floor() -> None:
    """A new package is put on the map first."""
    assert {place(module(file)) for file in FILES} <= set(FLOORS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_downwards(file: Path) -> None:
    """A module knows its own package, lower floors, and the neighbours listed."""
    own = place(module(file))
    others = {place(name) for name in imported(file) if name.split(".")[0] == "routeraudio"} - {own}
    upwards = {other for other in others if is_upwards(own, other) and (own, other) not in NEIGHBOURS}
    assert not upwards, f"{own} (floor {FLOORS[own]}) imports {upwards}"


def is_upwards(own: str, other: str) -> bool:
    """Within a package whose modules have floors of their own, the same floor is allowed."""
    same_package = own.split(".")[0] == other.split(".")[0]
    return FLOORS[other] > FLOORS[own] or (FLOORS[other] == FLOORS[own] and not same_package)


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if FLOORS[place(module(file))] <= 2],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_the_lower_floors_do_not_wait(file: Path) -> None:
    """No event loop, no socket, no clock below floor 3."""
    assert not {name.split(".")[0] for name in imported(file)} & NO_WAITING


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_one_event_loop(file: Path) -> None:
    """Everything that waits waits on Trio."""
    assert not {name.split(".")[0] for name in imported(file)} & {"asyncio", "anyio", "uvloop"}


def test_fakes_share_no_code_with_what_they_fake() -> None:
    """Emulators know nothing of adapters."""
    names = {name for file in (ROOT / "emulators").rglob("*.py") for name in imported(file)}
    assert names
    assert "providers" not in {place(name) for name in names if name.startswith("routeraudio")}


TESTS: Final = Path(__file__).parent
ACROSS: Final = {"assets", "attack", "failover", "bench", "end_to_end", "fleet", "toy"}
"""Folders of tests that are about no single package."""


def test_tests_mirror_the_packages() -> None:
    """What tests a package stands in the folder of its name."""
    folders = {path.name for path in TESTS.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders - ACROSS <= {path.name for path in ROOT.iterdir() if path.is_dir()}


@pytest.mark.parametrize("file", sorted(TESTS.rglob("*.py")), ids=lambda file: str(file.relative_to(TESTS)))
def test_no_test_imports_a_test(file: Path) -> None:
    """What tests share lives in modules that hold no test; fixtures come from `conftest.py` without being imported."""
    names = {
        node.module or ""
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("tests"))
    }
    assert not {name for name in names if name.split(".")[-1].startswith(("test_", "conftest"))}
