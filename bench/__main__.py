"""`python -m bench`: the table. `python -m bench profile`: where the daemon's time goes.

`python -m bench engine`: what the local engine hears.

`python -m bench audio`: what converting audio costs. `python -m bench store`: what the ledger costs. See README.md.
"""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from bench.access import access_table, measure_access
from bench.adapters import measure
from bench.adapters import table as adapter_table
from bench.audio import show_audio
from bench.contestants import CONTESTANTS, DAEMON_COMMAND, DIRECT, issue
from bench.engine.measure import ENGINES, is_installed
from bench.engine.measure import measure as measure_engine
from bench.engine.table import delay_table, heard_table
from bench.hotspots import hotspots
from bench.plan import Plan, carry_out
from bench.processes import Child, ChildFailed, Cores, python_module
from bench.report import console, show, write_json
from bench.run import Bench
from bench.store import measure as measure_store
from bench.store import table as store_table

app = App(name="bench", help=__doc__, version_flags=())


@app.default
def table(
    *,
    quick: bool = False,
    sessions: str | None = None,
    seconds: float | None = None,
    rounds: int = 3,
    only: str | None = None,
    growth: float | None = None,
    stall: bool = True,
    adapters: bool = True,
    pin: bool = True,
    awake: bool = False,
    subject: str = "daemon",
    daemon: str = DAEMON_COMMAND,
    json: Path | None = None,
) -> int:
    """Measure every contestant in turn and print one table. Fails nothing by itself.

    Args:
        quick: 40 sessions, 2 s, growth for 30 s, instead of 1, 40 and 120 sessions, 5 s, growth for 600 s.
        sessions: Numbers of sessions, as in 1,40,120.
        seconds: Length of the measured part of each cell.
        rounds: How often each contestant has its turn.
        only: Contestants to measure, as in direct,daemon; all of them otherwise.
        growth: Seconds of the growth check; 0 for none.
        stall: Whether to run the stall check.
        adapters: Whether to measure the adapters too.
        pin: Whether the proxy gets a core of its own.
        awake: Keep the proxy's core from sleeping; not comparable with runs without.
        subject: Whom the growth and stall checks are about.
        daemon: Command line of the daemon, before `serve --config FILE`.
        json: Also write every figure to this file.
    """
    try:
        plan = Plan(
            names=_names(only),
            sessions=_numbers(sessions or ("40" if quick else "1,40,120")),
            rounds=rounds,
            seconds=seconds or (2.0 if quick else 5.0),
            growth_s=(30.0 if quick else 600.0) if growth is None else growth,
            stalls=stall,
            subject=_names(subject)[0],
        )
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    with _bench(daemon, pin=pin, awake=awake) as bench, _progress() as progress:
        results = carry_out(plan, bench, progress)
    show(results, console())
    if adapters:
        console().print(adapter_table(measure()))
    if json:
        write_json(results, json)
    return 0


@app.command(name="adapters")
def adapter_costs() -> int:
    """Measure what each adapter takes for a result and a chunk, beside `json` and dictionaries."""
    console().print(adapter_table(measure()))
    return 0


@app.command
def profile(
    *,
    sessions: int = 40,
    seconds: float = 10.0,
    contestant: Annotated[str, Parameter(help="Any contestant written in Python.")] = "daemon",
    top: int = 30,
    daemon: str = DAEMON_COMMAND,
) -> int:
    """Run a contestant under load with cProfile and print the functions with the most own time per message.

    Args:
        sessions: How many sessions.
        seconds: Length of the profiled part.
        top: How many functions.
        daemon: Command line of the daemon, before `serve --config FILE`.
    """
    with _bench(daemon, pin=True, awake=False) as bench:
        try:
            found = hotspots(bench, CONTESTANTS[contestant], sessions=sessions, seconds=seconds, top=top)
        except (ChildFailed, KeyError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    console().print(found)
    return 0


@app.command(name="access")
def access_costs() -> int:
    """Measure how many tokens are made, and how many keys and tokens are checked, in a second."""
    console().print(access_table(measure_access()))
    return 0


@app.command
def engine(
    *,
    backends: str | None = None,
    sessions: str = "1,4,8,12",
    noise_minutes: float = 30.0,
) -> int:
    """Measure what the local engine hears in eight conditions, how soon, and what it takes: minutes for each.

    Args:
        backends: As in moonshine,pocketsphinx; otherwise those that are installed and need no folder.
        sessions: Numbers of streams at once.
        noise_minutes: Length of sounds without speech, in all.
    """
    names = backends.split(",") if backends else [each for each in ENGINES if is_installed(each)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        figures = [
            measure_engine(name, Path(folder), sessions=_numbers(sessions), noise_s=noise_minutes * 60)
            for name in names
        ]
    console().print(heard_table(figures))
    console().print(delay_table(figures))
    return 0


@app.command(name="store")
def store_costs(*, postgresql: str | None = None) -> int:
    """Measure what the ledger adds to a session's start, and what it costs at 500 sessions, on each kind of store.

    Args:
        postgresql: URL of an empty database; without it a server is started where Debian's package is installed.
    """
    console().print(store_table(measure_store(postgresql)))
    return 0


@app.command
def audio(*, rounds: int = 3) -> int:
    """Measure what converting audio costs, beside the ffmpeg command line on the same ten-minute files.

    Args:
        rounds: How often each file is decoded by each.
    """
    show_audio(console(), rounds)
    return 0


def _names(only: str | None) -> list[str]:
    known = [DIRECT, *CONTESTANTS]
    wanted = only.split(",") if only else known
    for name in wanted:
        if name not in known:
            raise ValueError(f"there is no contestant {name!r}; there are {', '.join(known)}")
    return wanted


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--sessions {text!r} must be numbers with commas between, as in 1,40,120") from None
    if min(numbers) < 1:
        raise ValueError(f"--sessions {text!r} must be at least 1 each")
    return numbers


@contextmanager
def _bench(daemon: str, *, pin: bool, awake: bool) -> Iterator[Bench]:
    cores = Cores(pinned=pin)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        bench = Bench(cores, issue(folder), daemon)
        if awake:
            command = python_module("bench.awake")
            loop = stack.enter_context(Child(command, cores.proxy, folder / "awake.log", talks=True))
            bench = replace(bench, helpers=(loop.pid,))
        yield bench


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Entry point; SIGTERM cleans up like Ctrl-C, and Ctrl-C also where a shell's `&` has switched it off."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        sys.exit(app(result_action="return_value"))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
