"""From one slice's outcome to figures, and from many slices to the rows of the table."""

from collections.abc import Iterable, Sequence
from statistics import median, quantiles
from typing import Final, NamedTuple

import msgspec

from bench.contestants import HYPERCORN_COPY, UVLOOP_COPY
from bench.records import Delays
from bench.run import Outcome
from bench.wire import BLOCKS_PER_REPLY

_LATE_SHARE_MAX: Final = 0.01
_BEHIND_S: Final = 0.25
"""A proxy that needs longer than this for its last replies did not keep up."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What one slice measured; a figure is None where there is none."""

    contestant: str
    sessions: int
    round: int
    slice: int
    us_per_message: float | None = None
    to_upstream: Delays | None = None
    to_client: Delays | None = None
    kib_per_session: float | None = None
    idle_kib: int | None = None
    sent: int = 0
    forwarded: int = 0
    upstream_messages: int = 0
    replies_due: int = 0
    replies: int = 0
    neighbours: float | None = None
    """Share of the machine's processor time that went to other processes and other guests."""
    notes: tuple[str, ...] = ()
    """What keeps the figures from being trusted; empty: nothing."""
    failure: str | None = None


class Turn(NamedTuple):
    """Whose turn it was."""

    contestant: str
    sessions: int
    round: int
    slice: int


def failed(turn: Turn, why: Exception) -> Cell:
    """A turn that did not take place."""
    return Cell(**turn._asdict(), failure=str(why))


def cell(turn: Turn, outcome: Outcome) -> Cell:
    """The figures of one slice."""
    report, arrived, memory = outcome.report, outcome.arrived, outcome.memory
    return Cell(
        **turn._asdict(),
        us_per_message=report.cpu_ns / 1e3 / arrived.blocks if report.cpu_ns and arrived.blocks else None,
        to_upstream=arrived.delays,
        to_client=report.delays,
        kib_per_session=(memory.loaded_kib - memory.idle_kib) / turn.sessions if memory else None,
        idle_kib=memory.idle_kib if memory else None,
        sent=report.sent,
        forwarded=arrived.blocks,
        upstream_messages=arrived.messages,
        replies_due=report.sent // BLOCKS_PER_REPLY,
        replies=report.replies,
        neighbours=outcome.neighbours,
        notes=tuple(_notes(outcome)),
    )


def _notes(outcome: Outcome) -> Iterable[str]:
    report, arrived = outcome.report, outcome.arrived
    due = report.sent // BLOCKS_PER_REPLY
    if arrived.blocks != report.sent:
        yield f"{report.sent - arrived.blocks} of {report.sent} messages lost"
    if report.replies != due:
        yield f"{due - report.replies} of {due} replies lost"
    if arrived.disordered:
        yield f"{arrived.disordered} messages out of order"
    if report.drained_s > _BEHIND_S:
        yield f"proxy {report.drained_s:.1f} s behind"
    if report.late > report.sent * _LATE_SHARE_MAX:
        yield f"generator late by up to {report.late_max_ms:.0f} ms: unreliable"


class Figure(msgspec.Struct, frozen=True):
    """A figure over all slices: median and quartiles."""

    median: float
    low: float
    high: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One contestant under one load."""

    contestant: str
    sessions: int
    slices: int
    us_per_message: Figure | None
    to_uvloop_copy: Figure | None
    """Ratio of the processor time, each slice against the same slice of the other."""
    to_hypercorn_copy: Figure | None
    to_upstream: Delays | None
    """Each percentile the median of the slices; so is `to_client`."""
    to_client: Delays | None
    kib_per_session: Figure | None
    neighbours: Figure | None
    notes: tuple[str, ...]


def rows(cells: Sequence[Cell]) -> list[Row]:
    """One row per contestant and number of sessions, in the order they were measured in."""
    keys = dict.fromkeys((one.sessions, one.contestant) for one in cells)
    return [_row(cells, sessions, contestant) for sessions, contestant in keys]


def _row(cells: Sequence[Cell], sessions: int, contestant: str) -> Row:
    mine = [one for one in cells if one.sessions == sessions and one.contestant == contestant]

    return Row(
        contestant=contestant,
        sessions=sessions,
        slices=len(mine),
        us_per_message=_figure(one.us_per_message for one in mine),
        to_uvloop_copy=_figure(_ratios(mine, cells, UVLOOP_COPY)),
        to_hypercorn_copy=_figure(_ratios(mine, cells, HYPERCORN_COPY)),
        to_upstream=_delays(one.to_upstream for one in mine),
        to_client=_delays(one.to_client for one in mine),
        kib_per_session=_figure(one.kib_per_session for one in mine),
        neighbours=_figure(one.neighbours for one in mine),
        notes=_gathered(mine),
    )


def _ratios(mine: Sequence[Cell], cells: Sequence[Cell], other: str) -> Iterable[float | None]:
    theirs = {
        (one.sessions, one.round, one.slice): one.us_per_message for one in cells if one.contestant == other
    }
    for one in mine:
        base = theirs.get((one.sessions, one.round, one.slice))
        yield one.us_per_message / base if one.us_per_message and base else None


def _figure(values: Iterable[float | None]) -> Figure | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    if len(known) == 1:
        return Figure(known[0], known[0], known[0])
    low, middle, high = quantiles(known, n=4, method="inclusive")
    return Figure(middle, low, high)


def _delays(values: Iterable[Delays | None]) -> Delays | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return Delays(
        median(one.p50_ms for one in known),
        median(one.p99_ms for one in known),
        median(one.max_ms for one in known),
    )


def _gathered(mine: Sequence[Cell]) -> tuple[str, ...]:
    """Each note with the slice it was made in."""
    return tuple(
        f"round {one.round}, slice {one.slice}: {note}"
        for one in mine
        for note in ((f"failed: {one.failure}",) if one.failure else one.notes)
    )
