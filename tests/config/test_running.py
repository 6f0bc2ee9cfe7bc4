"""Commands and daemon find the same store."""

import os
from pathlib import Path

import pytest

from routeraudio.config.running import State, find_state, hand_over, recorded


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("run", "etc", "var")}
    (made["run"] / "unit").mkdir(parents=True)
    return made


def found(folders: dict[str, Path], config: Path | None, *, is_root: bool = True) -> State | None:
    return find_state(config, {}, is_root=is_root, **folders)


def test_the_running_daemons_answer_comes_first(folders: dict[str, Path]) -> None:
    """Whatever its unit is called; only for the configuration it runs with."""
    config = folders["etc"] / "routeraudio.toml"
    unit = {"RUNTIME_DIRECTORY": str(folders["run"] / "unit"), "STATE_DIRECTORY": "/x/state:/x/other"}
    with recorded(config, unit):
        state = found(folders, config, is_root=False)
    assert found(folders, config, is_root=False) is None
    assert state is not None
    assert state.folder == Path("/x/state")
    assert str(os.getpid()) in state.why
    assert found(folders, folders["etc"].parent / "other.toml") is None


def test_a_daemon_that_is_gone_does_not_count(folders: dict[str, Path]) -> None:
    """Its record may have stayed; the unit's folder is used then."""
    config = folders["etc"] / "routeraudio.toml"
    path = folders["run"] / "unit" / "routeraudio-daemon.json"
    path.write_text(f'{{"pid":{2**22 + 1},"config":"{config}","state":"/gone"}}')
    assert found(folders, config) == State(folders["var"], "of routeraudio.service")
    path.write_text("rubbish")
    assert found(folders, config) == State(folders["var"], "of routeraudio.service")


@pytest.mark.parametrize(
    ("config", "is_root", "environ"),
    [
        (None, True, {}),
        ("home/my.toml", True, {}),
        ("etc/r.toml", False, {}),
        ("etc/r.toml", True, {"STATE_DIRECTORY": "/s"}),
    ],
)
def test_otherwise_the_callers_own(
    config: str | None, is_root: bool, environ: dict[str, str], folders: dict[str, Path], tmp_path: Path
) -> None:
    """A configuration of one's own, and a unit that says where, have nothing to be found."""
    path = None if config is None else tmp_path / config
    assert find_state(path, environ, is_root=is_root, **folders) is None


def test_without_a_unit_nothing_is_recorded(folders: dict[str, Path]) -> None:
    """A daemon started by hand keeps its state where a command of the same person looks."""
    for environ in ({"RUNTIME_DIRECTORY": str(folders["run"] / "unit")}, {"STATE_DIRECTORY": "/x"}):
        with recorded(None, environ):
            assert list(folders["run"].rglob("*.json")) == []


def test_what_root_makes_belongs_to_the_service(tmp_path: Path) -> None:
    """Files are given to the folder's owner, who could not write them otherwise."""
    owner = (12345, 12346) if os.geteuid() == 0 else (os.getuid(), os.getgid())  # only root gives files away
    os.chown(tmp_path, *owner)
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "x").touch()
    hand_over(tmp_path)
    assert {(one.stat().st_uid, one.stat().st_gid) for one in (tmp_path, *tmp_path.rglob("*"))} == {
        (12345, 12346)
    }
