"""Where a contestant's time goes: its functions by own time per client message, under load.

cProfile makes everything slower, and small functions more than large ones: the shares are a hint and the sum
is no result. Where `py-spy` or `perf` is installed, it shows the truth.
"""

import pstats
import signal
import tempfile
import time
from pathlib import Path
from typing import Final

from rich import box
from rich.table import Table

from bench.contestants import Contestant
from bench.processes import Child, ChildFailed, python_module
from bench.run import Bench, stage

_WRITTEN_S: Final = 10.0
"""From the signal to the file."""
_Timing = tuple[int, int, float, float, object]
"""Primitive calls, calls, own seconds, seconds with callees, callers."""


def hotspots(bench: Bench, contestant: Contestant, *, sessions: int, seconds: float, top: int) -> Table:
    """Profiles ``contestant`` and lists its ``top`` functions.

    Raises:
        ChildFailed: the contestant is no Python program, did not start, or lost its sessions.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        target = Path(folder) / "profile"

        def wrap(command: list[str]) -> list[str]:
            return _wrapped(command, target)

        with stage(bench, contestant, sessions=sessions, wrap=wrap) as one:
            assert one.child
            one.child.signal(signal.SIGUSR1)
            report = one.slice(seconds).report
            one.child.signal(signal.SIGUSR2)
            _await(target, one.child)
        return _table(pstats.Stats(str(target)), report.sent, top, f"{contestant.title}, {sessions} sessions")


def _wrapped(command: list[str], target: Path) -> list[str]:
    try:
        at = command.index("-m")
    except ValueError:
        raise ChildFailed(f"{command[0]} is not a Python module that can be profiled") from None
    return [*command[:at], *python_module("bench._profiled", str(target), *command[at + 1 :])[1:]]


def _await(target: Path, child: Child) -> None:
    deadline_s = time.monotonic() + _WRITTEN_S
    while not target.exists():
        if time.monotonic() > deadline_s:
            raise child.failed("wrote no profile")
        time.sleep(0.05)


def _table(stats: pstats.Stats, messages: int, top: int, title: str) -> Table:
    caption = "Wall-clock time of the main thread: `poll` of an epoll object is mostly waiting."
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD)
    for heading in ("own µs/message", "with callees", "calls/message"):
        table.add_column(heading, justify="right")
    table.add_column("function", no_wrap=True)
    # The public get_stats_profile() knows functions by bare name and loses all but one of those named alike.
    by_function: dict[tuple[str, int, str], _Timing] = stats.stats  # type: ignore[attr-defined]
    for (file, line, name), timing in sorted(by_function.items(), key=lambda item: -item[1][2])[:top]:
        _, calls, own_s, with_callees_s, _ = timing
        table.add_row(
            f"{own_s * 1e6 / messages:.2f}",
            f"{with_callees_s * 1e6 / messages:.2f}",
            f"{calls / messages:.2f}",
            f"{Path(file).name}:{line} {name}" if line else name,
        )
    return table
