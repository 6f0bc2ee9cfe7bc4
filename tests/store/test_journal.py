"""The local disk in an outage."""

import contextlib
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from routeraudio.store.contract import Mark, Node
from routeraudio.store.ledger.journal import Journal
from tests.store.world import mark

ONE, OTHER = Node("node/1", "a"), Node("node/1", "b")

MARKS = [mark("s1", 1), mark("s2", 2, provider_ms=7, ended="ok"), mark("ü", 3, leg=2)]


def left_behind(spool: Journal) -> list[Mark]:
    """What it takes over."""
    with spool.left_behind() as found:
        return [one for marks in found.values() for one in marks]


def killed(directory: Path, text: bytes) -> Path:
    """The file of a process that is gone."""
    directory.mkdir(exist_ok=True)
    path = directory / "gone.spool"
    path.write_bytes(text)
    return path


def written(directory: Path, marks: list[Mark]) -> bytes:
    """The bytes of a file."""
    spool = Journal(directory, ONE)
    spool.append(marks)
    (path,) = directory.glob("node*")
    data = path.read_bytes()
    spool.clear()
    return data


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """In order, and from a file that is nobody else's to read; nothing is left after it was settled."""
    spool = Journal(tmp_path / "new" / "folder", ONE)
    assert spool.marks() == []
    spool.append(MARKS[:1])
    spool.append(MARKS[1:])
    assert spool.marks() == MARKS
    (file,) = (tmp_path / "new" / "folder").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    spool.clear()
    assert spool.marks() == []
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    spool.append(MARKS)
    assert spool.marks() == MARKS
    spool.clear()


def test_a_living_process_keeps_its_file(tmp_path: Path) -> None:
    """Another one of the same node leaves it alone."""
    spool = Journal(tmp_path, ONE)
    spool.append(MARKS)
    assert left_behind(Journal(tmp_path, OTHER)) == []
    assert spool.marks() == MARKS
    spool.clear()


def test_a_dead_process_leaves_its_file(tmp_path: Path) -> None:
    """The next one takes it over, whole, and removes it."""
    program = (
        "import os, pathlib, sys\n"
        "from routeraudio.store.ledger.journal import Journal\n"
        "from routeraudio.store.contract import Mark, Node\n"
        "Journal(pathlib.Path(sys.argv[1]), Node('n', 'e')).append([Mark(session_id='s', cycles=1, wanted=2)])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    assert left_behind(Journal(tmp_path, ONE)) == [Mark(session_id="s", cycles=1, wanted=2)]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_could_not_be_settled_stays(tmp_path: Path) -> None:
    """Until somebody can."""
    path = killed(tmp_path, written(tmp_path, MARKS))
    held = contextlib.ExitStack()
    assert held.enter_context(Journal(tmp_path, ONE).left_behind()) == {path: MARKS}
    with pytest.raises(RuntimeError), held:
        raise RuntimeError
    assert left_behind(Journal(tmp_path, ONE)) == MARKS


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_torn_tail(tmp_path: Path, data: st.DataObject) -> None:
    """Cut anywhere, and filled with anything, it still has every mark that was whole before."""
    text = written(tmp_path, MARKS)
    cut = data.draw(st.integers(0, len(text)))
    killed(tmp_path, text[:cut] + data.draw(st.binary(max_size=20).filter(lambda tail: b"\n" not in tail)))
    whole = text[:cut].count(b"\n")
    assert left_behind(Journal(tmp_path, ONE))[:whole] == MARKS[:whole]


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was half written is taken back, so that what follows is whole."""
    spool = Journal(tmp_path, ONE)
    spool.append(MARKS[:1])

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fdatasync", full)
        with pytest.raises(OSError, match="No space"):
            spool.append(MARKS[1:2])
    spool.append(MARKS[2:])
    assert spool.marks() == [MARKS[0], MARKS[2]]
    spool.clear()


def test_there_is_no_directory(tmp_path: Path) -> None:
    """Nobody has ever had an outage: nothing to take over, and none is made."""
    assert left_behind(Journal(tmp_path / "none", ONE)) == []
    assert not (tmp_path / "none").exists()
