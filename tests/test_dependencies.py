"""`pyproject.toml` declares what is imported, no more and no less."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = sorted((ROOT / "routeraudio").rglob("*.py"))
OURS: Final = {"routeraudio", "tests", "bench"}
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

OPTIONAL: Final = {
    "local": "engine",
    "postgres": "store/sql/postgres.py",
    "microphone": "commands/sound.py",
}
"""Extras, and the only place of the package that may import what they bring."""

INSTALLED: Final = packages_distributions()

TOOLS: Final = {"pytest-trio", "pytest-xdist", "mypy", "ruff"}
"""Of the developer's: run, and imported by nobody."""


def imported(file: Path) -> Iterator[str]:
    """Top-level names that a file imports, wherever it does, without our own and the standard library's."""
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
            names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        for name in names:
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in OURS:
                yield top


def distributions(files: Iterable[Path]) -> set[str]:
    """What is imported there, by the names under which it is installed."""
    tops = {top for file in files for top in imported(file)}
    return {canonical(INSTALLED[top][0]) if top in INSTALLED else top for top in tops}


def canonical(name: str) -> str:
    """As the packaging specification compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    """Names without extras and versions."""
    return {canonical(re.match(r"[\w.-]+", each)[0]) for each in requirements}  # type: ignore[index]


RUN: Final = declared(PROJECT["dependencies"])
EXTRAS: Final = {
    name: declared(requirements) for name, requirements in PROJECT["optional-dependencies"].items()
}


def test_the_package_declares_what_it_imports() -> None:
    """Nothing comes along by chance with something else, and nothing is installed for nobody."""
    optional = set().union(*(EXTRAS[extra] for extra in OPTIONAL))
    assert distributions(PACKAGE) - optional == RUN


@pytest.mark.parametrize("extra", OPTIONAL)
def test_an_extra_is_imported_in_its_place_only(extra: str) -> None:
    """Without it everything else runs."""
    place = ROOT / "routeraudio" / OPTIONAL[extra]
    users = {file for file in PACKAGE if distributions([file]) & EXTRAS[extra]}
    assert users
    assert {file for file in users if file != place and place not in file.parents} == set()


def test_developers_have_what_tests_and_bench_import() -> None:
    """No more and no less, too."""
    used = distributions([*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])
    brought = RUN | EXTRAS["local"] | EXTRAS["postgres"]
    assert used - brought == EXTRAS["dev"] - TOOLS - {"routeraudio"}
