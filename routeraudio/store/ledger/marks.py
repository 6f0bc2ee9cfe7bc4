"""Marks before they reach the ledger: many of one stream are as good as one."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from routeraudio.store.contract import MOVED, Mark

LineId: TypeAlias = tuple[str, int]
"""(session, leg)."""


def merged(marks: Iterable[Mark]) -> dict[LineId, Mark]:
    """The highest water of each stream. An ending that has been told stays told."""
    highest: dict[LineId, Mark] = {}
    for mark in marks:
        line_id = (mark.session_id, mark.leg)
        known = highest.get(line_id)
        highest[line_id] = mark if known is None else _higher(known, mark)
    return highest


def highest_ms(known: int | None, told: int | None) -> int | None:
    """Of two reports, either of which may be missing."""
    if known is None or told is None:
        return told if known is None else known
    return max(known, told)


def _higher(one: Mark, other: Mark) -> Mark:
    exact = next((mark for mark in (one, other) if mark.ended == MOVED), None)
    return msgspec.structs.replace(
        one,
        cycles=max(one.cycles, other.cycles) if exact is None else exact.cycles,
        wanted=max(one.wanted, other.wanted),
        audio_ms=max(one.audio_ms, other.audio_ms) if exact is None else exact.audio_ms,
        connected_ms=max(one.connected_ms, other.connected_ms),
        provider_ms=highest_ms(one.provider_ms, other.provider_ms),
        replayed_ms=max(one.replayed_ms, other.replayed_ms),
        ended=other.ended if one.ended is None else one.ended,
    )
