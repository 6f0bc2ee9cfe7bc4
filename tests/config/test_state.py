"""Where the daemon keeps what outlives it."""

import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from routeraudio.config.loading import load
from routeraudio.config.schema import Config, Store, store_url
from routeraudio.config.state import database_file, is_in_memory, make_folder, state_folder

FOLDERS = [
    ({"STATE_DIRECTORY": "/var/lib/r"}, "/var/lib/r"),
    ({"STATE_DIRECTORY": "/var/lib/r:/var/lib/s", "XDG_STATE_HOME": "/x"}, "/var/lib/r"),
    ({"XDG_STATE_HOME": "/x"}, "/x/routeraudio"),
    ({"XDG_STATE_HOME": "relative"}, "/home/.local/state/routeraudio"),
    ({}, "/home/.local/state/routeraudio"),
]


@pytest.mark.parametrize(("environ", "folder"), FOLDERS)
def test_the_folder(monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str], folder: str) -> None:
    """Systemd's, else the user's; the first of several."""
    monkeypatch.setenv("HOME", "/home")
    assert state_folder(environ) == Path(folder)


def test_without_a_word_about_it(tmp_path: Path) -> None:
    """Database and spool stand in the folder of the state, and nothing is created by looking."""
    store = load(None, {"XDG_STATE_HOME": str(tmp_path)}).store
    assert store_url(store) == f"sqlite://{tmp_path}/routeraudio/routeraudio.db"
    assert store.spool_dir == f"{tmp_path}/routeraudio/spool"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "spool"),
    [
        ("sqlite:///a/b.db", "/a/spool"),
        ("sqlite:////a/b.db", "/a/spool"),
        ("sqlite://", None),
        ("sqlite:///", None),
        ("postgresql://me:secret@h/d", "/state/spool"),
    ],
)
def test_addresses(loaded: Callable[..., Config], url: str, spool: str | None) -> None:
    """The spool is beside a database that is a file; what is in memory spools nothing."""
    store = loaded(f"[store]\nurl = '{url}'").store
    assert store_url(store) == url
    assert store.spool_dir == spool


def test_a_relative_spool(loaded: Callable[..., Config], tmp_path: Path) -> None:
    """Is beside the configuration."""
    assert loaded("[store]\nspool_dir = 'spool'").store.spool_dir == f"{tmp_path}/spool"


def test_a_password_is_not_shown(loaded: Callable[..., Config]) -> None:
    """Nor where the address is wrong, in whatever way."""
    assert "canary" not in repr(loaded("[store]\nurl = 'postgresql://me:canary@h/d'"))


def test_what_is_a_file() -> None:
    """An address in code may stand for memory."""
    assert store_url(Store()) == "sqlite://"
    assert is_in_memory("sqlite://")
    assert not is_in_memory("postgresql://h/d")
    assert database_file("sqlite:///a/b.db") == Path("/a/b.db")
    assert database_file("postgresql://h/d") is None


def test_a_folder_for_its_owner(tmp_path: Path) -> None:
    """Created with those above it; one that exists keeps its permissions."""
    make_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    (tmp_path / "open").mkdir(mode=0o755)
    make_folder(tmp_path / "open")
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o755
