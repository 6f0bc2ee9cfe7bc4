"""The table, the two checks, and the JSON document."""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from bench.cells import Cell, Figure, Row
from bench.checks import Growth, Stall
from bench.contestants import CONTESTANTS, DIRECT
from bench.records import Delays

TO_UVLOOP_COPY_MAX: Final = 1.1
PASSAGE_TO_UVLOOP_COPY_MAX: Final = 1.0
"""Of the gateway, which normalises nothing."""
TO_HYPERCORN_COPY_MAX: Final = 0.45
KIB_PER_SESSION_MAX: Final = 48
_TARGETS_FOR: Final = "daemon"
_PASSAGE: Final = "gateway"
"""The blind copies have a plain upstream; so has the row that is compared with them."""
_PIPE_COLUMNS: Final = 140
_HEADINGS: Final = (
    "sessions",
    "proxy",
    "µs/message",
    f"÷ uvloop\n≤ {TO_UVLOOP_COPY_MAX}",
    f"÷ Hypercorn\n≤ {TO_HYPERCORN_COPY_MAX}",
    "to upstream\nms",
    "to client\nms",
    f"KiB/session\n≤ {KIB_PER_SESSION_MAX}",
    "others",
)
_LEGEND: Final = """\
µs/message: processor time of the proxy per client message; median of all slices ± half their quartile range.
÷ uvloop, ÷ Hypercorn: each slice against the same slice of the blind copy. ≤: targets for routeraudio.
Delays: p50 / p99, each the median of all slices; direct: what the kernel and the harness take themselves.
Others: share of the machine that other processes used meanwhile."""


class Results(msgspec.Struct, kw_only=True):
    """Everything one call of the harness found."""

    machine: str
    rounds: int
    seconds: float
    is_pinned: bool
    is_awake: bool
    missing: dict[str, str]
    rows: list[Row]
    growth: Growth | None = None
    stall: Stall | None = None
    failures: list[str]
    cells: list[Cell]


def machine() -> str:
    """What it ran on, without naming it."""
    return f"{platform.system()} {platform.release()}, Python {platform.python_version()}"


def write_json(results: Results, path: Path) -> None:
    """All figures, and the cells they come from."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")


def console() -> Console:
    """Standard output; wide and without colours or frames when it is a pipe."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(width=_PIPE_COLUMNS, color_system=None, highlight=False)


def show(results: Results, out: Console) -> None:
    """One table, one run."""
    out.print(_table(results, out))
    out.print(_LEGEND)
    out.print(_conditions(results))
    _show_notes(results.rows, out)
    if results.growth:
        out.print(_growth(results.growth))
    if results.stall:
        out.print(_stall(results.stall))
    for failure in results.failures:
        out.print(f"failed: {failure}", style="red", markup=False)


def _conditions(results: Results) -> str:
    cores = "the proxy alone on one core" if results.is_pinned else "cores not separated"
    awake = ", kept awake" if results.is_awake else ""
    return f"{results.rounds} rounds of {results.seconds:g} s, {cores}{awake}; {results.machine}."


def _table(results: Results, out: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD if out.is_terminal else box.ASCII2, header_style="bold")
    for heading in _HEADINGS:
        is_name = heading == "proxy"
        table.add_column(heading, justify="left" if is_name else "right", no_wrap=True)
    for before, row in zip([None, *results.rows], results.rows, strict=False):
        if before and before.sessions != row.sessions:
            table.add_section()
        table.add_row(*_columns(row))
    table.add_section()
    for name, why in results.missing.items():
        table.add_row("–", CONTESTANTS[name].title, why)
    return table


def _columns(row: Row) -> list[str]:
    is_judged = row.contestant == _TARGETS_FOR
    is_passage = row.contestant == _PASSAGE
    to_uvloop_copy_max = (
        TO_UVLOOP_COPY_MAX if is_judged else PASSAGE_TO_UVLOOP_COPY_MAX if is_passage else None
    )
    return [
        str(row.sessions),
        CONTESTANTS[row.contestant].title if row.contestant != DIRECT else "direct",
        _spread(row.us_per_message, ".1f"),
        _judged(row.to_uvloop_copy, ".2f", to_uvloop_copy_max),
        _judged(row.to_hypercorn_copy, ".2f", TO_HYPERCORN_COPY_MAX if is_judged else None),
        _pair(row.to_upstream),
        _pair(row.to_client),
        _judged(row.kib_per_session, ".0f", KIB_PER_SESSION_MAX if is_judged else None),
        f"{row.neighbours.median:.0%}" if row.neighbours else "–",
    ]


def _spread(figure: Figure | None, form: str) -> str:
    if figure is None:
        return "–"
    around = (figure.high - figure.low) / 2 / figure.median if figure.median else 0.0
    return f"{figure.median:{form}} ±{around:.0%}"


def _judged(figure: Figure | None, form: str, bound: float | None) -> str:
    text = _spread(figure, form)
    if figure is None or bound is None:
        return text
    return f"[green]{text} ✓[/]" if figure.median <= bound else f"[red]{text} ✗[/]"


def _pair(delays: Delays | None) -> str:
    return "–" if delays is None else f"{delays.p50_ms:.2f} / {delays.p99_ms:.2f}"


def _show_notes(rows: Sequence[Row], out: Console) -> None:
    for row in rows:
        for note in row.notes:
            out.print(f"note: {row.contestant}, {row.sessions} sessions: {note}", markup=False)


def _growth(found: Growth) -> str:
    return (
        f"growth: {found.contestant}, {found.sessions} sessions for {found.seconds:g} s: "
        f"{found.slope_kib_per_min:+.1f} KiB/minute "
        f"({found.idle_kib} KiB idle, {found.first_kib:.0f} at first, {found.last_kib:.0f} at last)"
    )


def _stall(found: Stall) -> str:
    return (
        f"stall: {found.contestant}, upstream does not read: {found.taken_mb:.1f} of {found.offered_mb:g} MB "
        f"taken (kernel buffers included) in {found.seconds:.1f} s, "
        f"memory peak {found.peak_kib_above_idle} KiB above idle; {found.end}"
    )
