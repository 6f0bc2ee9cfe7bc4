"""The map names files that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = (ROOT / "docs" / "architecture.md").read_text()

NAMED = sorted(set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*/[a-z_]+\.(?:py|toml|md))`", MAP)))


def test_the_map_names_files() -> None:
    """The expression finds them."""
    assert len(NAMED) > 30


@pytest.mark.parametrize("name", NAMED)
def test_a_file_on_the_map_exists(name: str) -> None:
    """In the package, or in the repository."""
    assert (ROOT / "routeraudio" / name).is_file() or (ROOT / name).is_file()
