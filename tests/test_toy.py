"""A provider and a dialect are added by the steps that `CONTRIBUTING.md` names, and by nothing else.

The suites that walk the catalogues then run on them, in a copy of the project.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
TOY: Final = ROOT / "tests" / "toy"

FILES: Final = {
    "provider.py": "routeraudio/providers/toy/__init__.py",
    "models.json": "routeraudio/providers/toy/models.json",
    "emulator.py": "routeraudio/emulators/toy/__init__.py",
    "conversation.py": "tests/providers/conversations/toy.py",
    "dialect.py": "routeraudio/dialects/toy.py",
}
"""A provider's folder, its emulator's folder, its conversation; a dialect's file."""

LINES: Final = {
    "routeraudio/providers/catalog.py": ('    "vachana",\n', '    "toy",\n'),
    "routeraudio/emulators/catalog.py": ('    "vachana",\n', '    "toy",\n'),
    "routeraudio/dialects/catalog.py": ('    "vachana.protocol",\n', '    "toy",\n'),
}
"""The three lines in catalogues, and what each stands before."""

SUITES: Final = (
    "tests/providers/test_conformance.py",
    "tests/providers/test_support.py",
    "tests/providers/test_native.py",
    "tests/end_to_end/test_provider_faults.py",
)
"""They walk the catalogues; those of their tests that are the toy's are run."""

WHOLE: Final = (
    "tests/emulators/test_independence.py",
    "tests/emulators/test_sdk_rows.py",
    "tests/test_layers.py",
    "tests/bench/test_adapters.py",
    "tests/config/test_annotated.py",
)
"""They look at everything, and are as content as before."""

CASES: Final = 35
"""Tests of the toy, at least: a wrong filter would run none and pass."""

PATIENCE_S: Final = 300.0


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the toys in it."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("routeraudio", "tests", "bench", "conf", "pyproject.toml", "Makefile"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for name, place in FILES.items():
        (folder / place).parent.mkdir(exist_ok=True)
        shutil.copy(TOY / name, folder / place)
    for name, (before, line) in LINES.items():
        catalogue = (folder / name).read_text()
        assert catalogue.count(before) == 1
        (folder / name).write_text(catalogue.replace(before, line + before))
    return folder


def run(folder: Path, *arguments: str) -> str:
    """A Python program in the copy; its output."""
    environ = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}"
    return ran.stdout


def test_the_suites_run_on_a_new_provider(copy: Path) -> None:
    """Conformance, the catalogue's claims, the gateway and the faults of its emulator, by what the folder says."""
    told = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "toy", *SUITES)
    passed = int(told.rsplit(" passed", 1)[0].rsplit(maxsplit=1)[-1])
    assert passed >= CASES
    assert "failed" not in told


def test_no_table_of_the_suite_wants_an_edit(copy: Path) -> None:
    """What looks at everything finds nothing missing, also without an SDK."""
    told = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *WHOLE)
    assert "failed" not in told


def test_a_new_dialect_speaks(copy: Path) -> None:
    """The whole daemon: the new protocol in front of the new provider, with real speech."""
    clip = ROOT / "tests" / "assets" / "audio" / "goforward.wav"
    told = run(copy, str(TOY / "through_the_daemon.py"), str(clip))
    assert {"go forward ten meters", "1000"} <= set(told.splitlines())
