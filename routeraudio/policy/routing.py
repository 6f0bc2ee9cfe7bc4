"""Which provider is tried next: a function of the route, of how each provider stands, and of what has been tried.

A *route* is a list of candidates and a strategy that ranks them. An *incident* is the time from the loss of a
connection (or the beginning of a session) until one carries the session again; attempts and time are an incident's,
whichever providers they go to. Within one, the candidate with the fewest tries is next; among equals the ranking
decides. So a route of two alternates, and a route of one is dialled again, at once and then ever later.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal

import msgspec

Strategy = Literal["order", "price", "latency", "weighted"]

BACKOFF_S: Final = 0.5
"""Before the third dial of the same candidate in one incident; then twice as long each time. The second goes out at
once: a cut line is the commonest failure, and the next connection does not share it."""

UNKNOWN_LATENCY_S: Final = 1.0
"""Of a provider that nobody has dialled yet: behind those known to be quick, before those known to be slow."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What one incident may cost."""

    attempts: int = 4
    """Dials: two for each of two providers."""
    within_s: float = 20.0
    """Twice a dial's own deadline; a listener waits no longer."""


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate, as far as a strategy looks at it."""

    name: str
    price_per_hour_usd: Decimal = Decimal(0)
    ready_s: float | None = None
    """How long it lately took from the dial until it was ready; None: nobody knows."""
    weight: float = 1.0
    is_healthy: bool = True
    """False: its breaker is open, or its ceiling is reached. Ranked behind all that are."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate at a moment of an incident, best ranked first in a list of them."""

    tries: int = 0
    """Dials in this incident; the loss of a connection that was carrying the session counts as one where there is
    another candidate."""
    wait_s: float = 0.0
    """Its breaker, its ceiling or its Retry-After keep it from being dialled for so long."""
    is_out: bool = False
    """It is of no use to this session any more: its credential has been refused."""


class Next(msgspec.Struct, frozen=True):
    """Dial this candidate."""

    index: int
    wait_s: float
    """After so long."""


def ranking(candidates: Sequence[Ranked], strategy: Strategy, *, draw: float = 0.0) -> list[int]:
    """The candidates' indexes, best first.

    Args:
        draw: from 0 to below 1, for `weighted`: the same draw ranks alike.
    """
    indexes = list(range(len(candidates)))
    if strategy == "price":
        indexes.sort(key=lambda at: candidates[at].price_per_hour_usd)
    elif strategy == "latency":
        indexes.sort(key=lambda at: _latency_s(candidates[at]))
    elif strategy == "weighted":
        indexes = _drawn(candidates, draw)
    # Stable: whoever is healthy keeps the strategy's order.
    return sorted(indexes, key=lambda at: not candidates[at].is_healthy)


def next_candidate(standings: Sequence[Standing], *, attempts_left: int, left_s: float) -> Next | None:
    """The next dial of an incident; None: the budget is used up, or nobody is left.

    Args:
        attempts_left: dials that the budget still allows.
        left_s: time that it still allows.
    """
    if attempts_left <= 0 or left_s <= 0:
        return None
    waits_s = [max(one.wait_s, _backoff_s(one.tries)) for one in standings]
    usable = [at for at, one in enumerate(standings) if not one.is_out and waits_s[at] < left_s]
    if not usable:
        return None
    # Who may be dialled now goes before who must be waited for, however often it has been tried.
    best = min(usable, key=lambda at: (standings[at].wait_s > 0, standings[at].tries, waits_s[at], at))
    return Next(best, waits_s[best])


def _backoff_s(tries: int) -> float:
    return 0.0 if tries < 2 else BACKOFF_S * 2 ** (tries - 2)


def _latency_s(candidate: Ranked) -> float:
    return UNKNOWN_LATENCY_S if candidate.ready_s is None else candidate.ready_s


def _drawn(candidates: Sequence[Ranked], draw: float) -> list[int]:
    """One after another, each with a chance in proportion to its weight among those that are left."""
    left = list(range(len(candidates)))
    drawn = []
    while left:
        total = sum(candidates[at].weight for at in left)
        share = draw * total
        chosen = left[-1]
        for at in left:
            weight = candidates[at].weight
            if share < weight:
                chosen = at
                # What is left of the draw is as evenly spread as the draw was.
                draw = share / weight if weight else 0.0
                break
            share -= weight
        left.remove(chosen)
        drawn.append(chosen)
    return drawn
