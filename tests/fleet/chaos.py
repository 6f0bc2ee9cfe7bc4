"""`python -m tests.fleet.chaos`, which is `make chaos`: what a fleet survives, at full length.

First races for one token, then a storm (`storm`): clients speaking in real time through three nodes while these are
killed and the database is restarted. At the end the ledger is compared, connection by connection, with what a provider
in a process of its own has counted. Ends with 1 when anything is wrong.
"""

import sys
import tempfile
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import trio
from cyclopts import App
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.fleet.counting import BYTES_PER_MS, open_counter
from tests.fleet.fleet import Fleet, open_fleet
from tests.fleet.races import token_race
from tests.fleet.riding import Ride
from tests.fleet.storm import Plan, Report, storm, toml

CONNECTS: Final = 100

app = App(name="chaos", help=__doc__, version_flags=())


@app.default
def chaos(
    *,
    sessions: int = 200,
    seconds: float = 300.0,
    kill_every: float = 15.0,
    races: int = 50,
    chunk: int = 100,
    seed: int = 0,
    logs: Path | None = None,
) -> int:
    """Let it blow.

    Args:
        sessions: Clients at the same time; each connects again when its connection has ended.
        seconds: Length of the storm.
        kill_every: Seconds from one kill -9 to the next, on average.
        races: Races of a hundred connections for one token.
        chunk: Milliseconds of audio in a client's message.
        seed: Of all that is left to chance.
        logs: Where the daemons' logs stay; otherwise they go.
    """
    plan = Plan(sessions=sessions, seconds=seconds, kill_every_s=kill_every, chunk_ms=chunk, seed=seed)
    console = Console(file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="routeraudio-chaos-") as temporary:
        folder = temporary if logs is None else logs
        return trio.run(_main, Path(folder), plan, races, console)


async def _main(folder: Path, plan: Plan, races: int, console: Console) -> int:
    async with open_counter() as counter, open_fleet(folder, toml(counter)) as fleet:
        with _progress(console) as progress:
            inside = await _race(fleet, races, progress)
            with _storm_task(plan, progress) as tick:
                report = await storm(fleet, counter, plan, tick=tick)
    is_good = report.verdict.is_good and set(inside) <= {1}
    Console().print(_table(report, inside))
    for fault in report.verdict.faults:
        console.print(fault, style="red", markup=False)
    return 0 if is_good else 1


async def _race(fleet: Fleet, races: int, progress: Progress) -> list[int]:
    """How many got in, race by race."""
    key = await fleet.new_key()
    task = progress.add_task("races for a token", total=races, note="")
    inside = []
    for _ in range(races):
        inside.append(len((await token_race(fleet, key, CONNECTS)).inside))
        progress.advance(task)
    return inside


@contextmanager
def _storm_task(plan: Plan, progress: Progress) -> Iterator[Callable[[Report], None]]:
    """A line of progress for the storm; what is called to tell more."""
    began_s = trio.current_time()
    task = progress.add_task("storm", total=plan.seconds, note="")

    def tick(report: Report) -> None:
        note = f"{len(report.rides)} connections, {report.kills} kills, {report.restarts} restarts"
        progress.update(task, completed=min(plan.seconds, trio.current_time() - began_s), note=note)

    yield tick
    progress.update(task, completed=plan.seconds)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not console.is_terminal,
    )


def _table(report: Report, inside: list[int]) -> Table:
    rides, verdict = report.rides, report.verdict
    table = Table(title="What the fleet survived", show_header=False, title_justify="left")
    endings = Tally(f"{ride.ending} {ride.code or ''} {ride.why}".strip() for ride in rides)
    spoken_s = sum(ride.sent_bytes for ride in rides) / BYTES_PER_MS / 1000
    rows = {
        f"races of {CONNECTS} for a token": len(inside),
        "of these won by exactly one": inside.count(1),
        "connections tried": len(rides),
        **{f"  {ending}": number for ending, number in sorted(endings.items())},
        "at the same time, at most": report.open_most,
        "nodes killed": report.kills,
        "database restarted": report.restarts,
        "audio spoken, hours": f"{spoken_s / 3600:.2f}",
        "client behind real time at worst, median and most, s": _late(rides),
        "lines in the ledger": verdict.lines,
        "cycles the provider heard": verdict.heard_cycles,
        "cycles in the ledger": verdict.ledger_cycles,
        "missing, and connections cut": f"{verdict.missing} of {verdict.cut}",
        "faults": len(verdict.faults),
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table


def _late(rides: list[Ride]) -> str:
    late_s = [ride.late_s for ride in rides if ride.sent_bytes]
    return f"{median(late_s):.2f}  {max(late_s):.2f}" if late_s else "–"


if __name__ == "__main__":
    app()
