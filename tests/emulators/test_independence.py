"""Emulators share nothing with what they stand in for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import routeraudio.emulators
from routeraudio.emulators.catalog import EMULATORS
from routeraudio.providers.catalog import PROVIDERS

FOLDER = Path(routeraudio.emulators.__file__).parent
ALLOWED = ("routeraudio.emulators", "routeraudio.engine", "routeraudio.model")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_emulators_share_no_code_with_adapters() -> None:
    """Only words of floor 0 and the recogniser are imported from the rest of the project."""
    ours = {
        name for path in FOLDER.rglob("*.py") for name in _imports(path) if name.startswith("routeraudio")
    }
    assert "routeraudio.emulators.kit.base" in ours
    assert [name for name in sorted(ours) if not name.startswith(ALLOWED)] == []


def test_the_catalogue_names_vendors_as_configuration_does() -> None:
    """Names are those of `[providers.…]`: every provider but the local engine, which is there itself."""
    assert set(EMULATORS) == set(PROVIDERS) - {"local"}
