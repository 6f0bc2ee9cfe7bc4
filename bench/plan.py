"""What one call of the harness does, in which order: the rounds, then the two checks."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from rich.progress import Progress, TaskID

from bench.cells import Cell, Turn, cell, failed, rows
from bench.checks import STALL_MB, growth, stall
from bench.contestants import CONTESTANTS, DIRECT
from bench.processes import ChildFailed
from bench.report import Results, machine
from bench.run import Bench, Stage, stage

SLICE_S: Final = 1.0
"""Long enough for 50 messages of a single session, short against the drift of a shared machine."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The command line, understood."""

    names: Sequence[str]
    sessions: Sequence[int]
    rounds: int
    seconds: float
    """Measured per contestant and round, in slices of about SLICE_S."""
    growth_s: float
    """0: no growth check."""
    stalls: bool
    subject: str
    """Who the two checks are about."""

    @property
    def slices(self) -> int:
        """How often each contestant has its turn in a round."""
        return max(1, round(self.seconds / SLICE_S))


def carry_out(plan: Plan, bench: Bench, progress: Progress) -> Results:
    """Measures everything; a contestant that fails costs its row, not the run."""
    missing = {name: why for name in plan.names if name != DIRECT and (why := CONTESTANTS[name].missing())}
    names = [name for name in plan.names if name not in missing]
    cells = _rounds(plan, names, bench, progress)
    results = Results(
        machine=machine(),
        rounds=plan.rounds,
        seconds=plan.seconds,
        is_pinned=bench.cores.is_pinned,
        is_awake=bool(bench.helpers),
        missing=missing,
        rows=rows(cells),
        failures=[],
        cells=cells,
    )
    _checks(plan, bench, progress, results)
    return results


def _rounds(plan: Plan, names: Sequence[str], bench: Bench, progress: Progress) -> list[Cell]:
    cells = []
    turns = len(plan.sessions) * plan.rounds * plan.slices * len(names)
    task = progress.add_task("measuring", total=turns)
    for sessions in plan.sessions:
        for number in range(1, plan.rounds + 1):
            for one in _round(plan, names, bench, sessions, number):
                cells.append(one)
                _tell(progress, task, one)
    progress.remove_task(task)
    return cells


def _round(plan: Plan, names: Sequence[str], bench: Bench, sessions: int, number: int) -> Iterator[Cell]:
    """Every contestant is started once, then they take turns: A B C A B C …"""
    with ExitStack() as stack:
        stages: dict[str, Stage | ChildFailed] = {}
        for name in names:
            contestant = None if name == DIRECT else CONTESTANTS[name]
            try:
                stages[name] = stack.enter_context(stage(bench, contestant, sessions=sessions))
            except ChildFailed as error:
                stages[name] = error
        for turn in range(1, plan.slices + 1):
            for name in names:
                one = _turn(stages[name], plan, Turn(name, sessions, number, turn))
                if one.failure:
                    stages[name] = ChildFailed(one.failure)
                yield one


def _turn(found: Stage | ChildFailed, plan: Plan, turn: Turn) -> Cell:
    if isinstance(found, ChildFailed):
        return failed(turn, found)
    try:
        return cell(turn, found.slice(plan.seconds / plan.slices))
    except ChildFailed as error:
        return failed(turn, error)


def _tell(progress: Progress, task: TaskID, one: Cell) -> None:
    label = f"{one.sessions} sessions, round {one.round}.{one.slice}, {one.contestant}"
    progress.update(task, description=label, advance=1)
    if not progress.console.is_terminal:  # a bar would be unreadable in a log
        print(f"{label}: {_brief(one)}", file=sys.stderr, flush=True)


def _brief(one: Cell) -> str:
    if one.failure:
        return f"failed: {one.failure}"
    cost = f"{one.us_per_message:.1f} µs/message, " if one.us_per_message else ""
    return f"{cost}{one.forwarded} of {one.sent} messages{''.join(f'; {note}' for note in one.notes)}"


def _checks(plan: Plan, bench: Bench, progress: Progress, results: Results) -> None:
    subject = CONTESTANTS[plan.subject]
    if plan.growth_s:
        task = progress.add_task(f"growth, {plan.subject}", total=plan.growth_s)
        try:
            results.growth = growth(
                bench, subject, plan.growth_s, lambda at_s: progress.update(task, completed=at_s)
            )
        except ChildFailed as error:
            results.failures.append(f"growth: {error}")
        progress.remove_task(task)
    if plan.stalls:
        task = progress.add_task(f"stall, {plan.subject}, MB", total=STALL_MB)
        try:
            results.stall = stall(bench, subject, lambda mb: progress.update(task, completed=mb))
        except (ChildFailed, OSError) as error:
            results.failures.append(f"stall: {error}")
        progress.remove_task(task)
