"""kill -9 at any moment: no cycle counted twice, none invented, at most the cycle in flight missing."""

import random
import subprocess
import sys
import time
from pathlib import Path

from routeraudio.store.contract import Node, UsageQuery
from routeraudio.store.sql.store import SqlStore
from tests.store.world import add_key, spent

ROUNDS = 4


def streamed(output: bytes) -> dict[str, int]:
    """Cycles by session, as somebody else counted them. A last line cut off by the kill was not sent."""
    counts: dict[str, int] = {}
    for line in output.split(b"\n")[:-1]:
        session_id, cycles = line.decode().split()
        counts[session_id] = int(cycles)
    return counts


def lives(url: str, spool: Path, epoch: int) -> dict[str, int]:
    """Start a writer, kill it some time after its first cycle, and say what it had streamed."""
    command = [sys.executable, "-m", "tests.store.writer", url, str(spool), str(epoch)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(random.Random(epoch).uniform(0.05, 0.6))
        process.kill()
        return streamed(first + process.stdout.read())


def test_the_ledger_survives_being_killed(url: str, store: SqlStore, tmp_path: Path) -> None:
    """Several lives of one node; afterwards the ledger agrees with an independent count, session by session."""
    add_key(store)
    counted: dict[str, int] = {}
    for epoch in range(ROUNDS):
        counted |= lives(url, tmp_path / "spool", epoch)
    store.join(Node("writer", "last"))
    missing = 0
    for session_id, cycles in counted.items():
        (line,) = store.lines(session_id)
        assert line.status in ("ended", "aborted")
        assert cycles - 1 <= line.cycles <= cycles
        missing += cycles - line.cycles
    total = store.total(UsageQuery())
    assert total.cycles == sum(counted.values()) - missing
    assert spent(store)[0] == total.amount_units
