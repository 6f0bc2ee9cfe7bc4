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
    "config": 3,
    "store": 3,
    "session": 3,
    "transport": 4,
    "server": 5,
    "pull": 5,
    "engine": 5,
    "emulators": 5,
    "workers": 6,
    "daemon": 6,
    "commands": 7,
    "cli": 8,
    "__main__": 9,
}
"""The map, from the bottom up."""

NEIGHBOURS: Final = {
    ("server", "pull"),  # the calls of stream pull start and show its tasks
    ("dialects", "providers"),  # a parameter's allowed values are the catalogue's
    ("dialects", "audio"),  # a protocol whose server finds the ends of utterances needs an ear
    ("providers", "audio"),  # finding pauses is sound work, for vendors that must be told when a turn ends
    ("emulators", "engine"),  # without a script an emulator answers with what the engine hears
    ("daemon", "workers"),  # one process that is told to be several
}
"""Imports within a floor, each for its reason."""

NO_WAITING: Final = {"trio", "socket", "time", "ssl", "select", "selectors", "asyncio", "threading", "httpx"}
"""What floors 0–2 do without: they are plain functions and structs."""

FILES: Final = sorted(ROOT.rglob("*.py"))


def package(name: str) -> str:
    """`routeraudio.model.audio` → `model`; a name in the package itself → `__init__`."""
    part = name.split(".")[1] if "." in name else "__init__"
    return part if (ROOT / part).is_dir() or (ROOT / f"{part}.py").is_file() else "__init__"


def imported(file: Path) -> Iterator[str]:
    """Every module a file imports, also inside functions."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide the floor"
            assert node.module is not None
            is_root = node.module == "routeraudio"
            yield from (f"routeraudio.{alias.name}" for alias in node.names) if is_root else [node.module]


def test_every_package_has_a_floor() -> None:
    """A new package is put on the map first."""
    assert {file.relative_to(ROOT).parts[0].removesuffix(".py") for file in FILES} <= set(FLOORS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_downwards(file: Path) -> None:
    """A module knows its own package, lower floors, and the neighbours listed."""
    own = file.relative_to(ROOT).parts[0].removesuffix(".py")
    others = {package(name) for name in imported(file) if name.split(".")[0] == "routeraudio"} - {own}
    upwards = {other for other in others if FLOORS[other] >= FLOORS[own] and (own, other) not in NEIGHBOURS}
    assert not upwards, f"{own} (floor {FLOORS[own]}) imports {upwards}"


@pytest.mark.parametrize(
    "file",
    [file for file in FILES if FLOORS[file.relative_to(ROOT).parts[0].removesuffix(".py")] <= 2],
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
    assert "providers" not in {package(name) for name in names if name.startswith("routeraudio")}
