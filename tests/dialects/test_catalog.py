"""The list of dialects: names and paths lead to one dialect each."""

from routeraudio.dialects.catalog import BY_PATH, DIALECTS


def test_names_and_paths_are_unique() -> None:
    """No two dialects claim a name or a path."""
    names = [entry.name for entry in DIALECTS]
    paths = [path for entry in DIALECTS for path in entry.paths]
    assert len(set(names)) == len(names)
    assert len(set(paths)) == len(paths)
    assert set(BY_PATH) == set(paths)
    assert all(path.startswith("/") for path in paths)
    assert all(path in BY_PATH[path].paths for path in paths)
