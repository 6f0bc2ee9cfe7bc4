"""`python -m tests.failover [SEEDS [FIRST]]`: sessions in all pairs, formats and ways, and what was wrong with any."""

import sys

import structlog
import trio
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.failover.matrix import FORMATS, Case, cases, tried

AT_ONCE = 4


async def run(seeds: range) -> bool:
    """Run them all. Whether every word of every session came once, in order, at its place."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    console, turns = Console(), trio.CapacityLimiter(AT_ONCE)
    faults: dict[Case, list[str]] = {}
    chosen = cases(seeds)
    with Progress(console=console) as progress:
        task = progress.add_task("sessions", total=len(chosen))

        async def one(case: Case) -> None:
            async with turns:
                if found := await tried(case):
                    faults[case] = found
                    console.print(f"[red]{case}[/]: {'; '.join(found)}")
                progress.advance(task)

        async with trio.open_nursery() as nursery:
            for case in chosen:
                nursery.start_soon(one, case)
    console.print(_table(chosen, faults))
    return not faults


def _table(chosen: list[Case], faults: dict[Case, list[str]]) -> Table:
    table = Table("route", *FORMATS)
    for names in dict.fromkeys(case.names for case in chosen):
        cells = []
        for form in FORMATS:
            here = [case for case in chosen if (case.names, case.format) == (names, form)]
            bad = sum(case in faults for case in here)
            cells.append(f"[red]{bad} of {len(here)} wrong[/]" if bad else f"[green]{len(here)}[/]")
        table.add_row(" → ".join(names), *cells)
    return table


if __name__ == "__main__":
    count, first = (int(sys.argv[at]) if len(sys.argv) > at else number for at, number in ((1, 8), (2, 0)))
    sys.exit(0 if trio.run(run, range(first, first + count)) else 1)
