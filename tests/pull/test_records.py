"""Records on the disk: whole, private, and inherited from processes that have ended."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from routeraudio.pull.records import Records

from .callbacks import record

HOLDER = """
import sys
from pathlib import Path
from routeraudio.pull.records import Records
from tests.pull.callbacks import record
records = Records(Path(sys.argv[1]))
records.save(record())
print("saved", flush=True)
sys.stdin.read()
"""


def holder(state: Path) -> subprocess.Popen[str]:
    """Another process that has a record."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "saved\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()


def test_a_living_process_keeps_its_records(tmp_path: Path) -> None:
    """They are shown to others, and not inherited until it has been killed; then exactly once."""
    process = holder(tmp_path)
    try:
        mine = Records(tmp_path)
        assert mine.inherit() == []
        assert [one.task_id for one in mine.elsewhere()] == ["3d0c"]
    finally:
        end(process)
    assert mine.inherit() == [record()]
    assert mine.elsewhere() == []
    assert mine.inherit() == []
    mine.close()
    next_one = Records(tmp_path)
    assert next_one.inherit() == [record()]
    next_one.close()


def test_stopping_elsewhere(tmp_path: Path) -> None:
    """A process is asked to stop a task of its own by whoever got the call, once."""
    mine, other = Records(tmp_path), Records(tmp_path)
    other.save(record())
    assert mine.ask_to_stop("3d0c")
    assert not mine.ask_to_stop("3d0c")
    assert not mine.ask_to_stop("another")
    assert other.asked_to_stop() == ["3d0c"]
    other.forget("3d0c")
    assert other.asked_to_stop() == []
    mine.close()
    other.close()
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    """Webhook addresses may hold secrets."""
    records = Records(tmp_path / "pull")
    records.save(record())
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {0o700, 0o600}
    records.close()


def test_a_torn_record_is_passed_over(tmp_path: Path) -> None:
    """What no record could be read from does not keep the daemon from starting."""
    old = Records(tmp_path)
    old.save(record())
    own = next(path for path in tmp_path.iterdir())
    (own / "torn.json").write_bytes(b'{"task_id": "to')
    (own / "half.new").write_bytes(b"{")
    old.close()
    new = Records(tmp_path)
    assert [one.task_id for one in new.inherit()] == ["3d0c"]
    new.close()
    assert os.listdir(tmp_path)
