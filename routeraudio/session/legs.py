"""A session's credit over its legs: each connection that takes over from a lost one has its own line in the ledger.

The customer pays for each cycle once, at the price of the provider that made it final:

    audio        0 ────── 5 ────── 10 ───── 15 ───── 20
    leg 1        ████████ ████████ ░░░░░░░░╳           sent, and final up to 8 s: two cycles
    leg 2                          ████████ ████████   the third is leg 2's; what it heard again is the operator's cost

The move is one step of the loop, so that the ledger takes both lines down together: whenever a process dies, no cycle
is on two lines.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
import trio

from routeraudio.model.errors import Unavailable
from routeraudio.policy.pricing import cycles as cycles_of
from routeraudio.session.credit import Credit

log = structlog.get_logger(__name__)


class Leg(Credit, Protocol):
    """A credit whose stream may go on with another one."""

    def replayed(self, replayed_ms: int) -> None:
        """Its provider is sent audio that an earlier leg's had been sent already."""

    def moved(self, cycles: int, *, audio_ms: int, connected_ms: int, provider_ms: int | None) -> None:
        """Another leg goes on. Of the cycles begun only so many are this one's."""


OpenLeg = Callable[[int], Awaitable[Leg]]
"""Begins the line of a leg, whose number it is given (from 2), with one candidate. No cycle is granted yet.

Raises:
    Unavailable: the ledger cannot be written now.
    Fault: the key may not go on.
"""


class Legs:
    """The credit of a session that may change its provider. See `session.credit.Credit`.

    Args:
        first: of the candidate that the session was opened for.
    """

    def __init__(self, first: Leg) -> None:
        self._leg = first
        self._number = 1
        self._cycles = 0
        """Begun in the session."""
        self._past_cycles = self._past_audio_ms = self._past_connected_ms = self._past_provider_ms = 0
        """Of the legs before."""
        self._began_s = trio.current_time()
        self._watch = trio.CancelScope()

    async def move(
        self, open_leg: OpenLeg, *, final_ms: int, replayed_ms: int, provider_ms: int | None
    ) -> None:
        """Another candidate goes on with the session; what is not final is charged to its leg.

        Args:
            open_leg: with that candidate.
            final_ms: where on the session's timeline the last final ends.
            replayed_ms: audio it is about to be sent that another provider has been sent already.
            provider_ms: what the provider before says it heard.

        Raises:
            Fault: the key may not go on, or its budget does not cover what would be sent again.
        """
        try:
            leg = await open_leg(self._number + 1)
        except Unavailable:
            # The line that is there goes on, at its own price: a store's trouble is no client's.
            log.warning("leg_not_opened", leg=self._number + 1)
            return
        last, self._leg = self._leg, leg
        self._number += 1
        past_cycles = max(self._past_cycles, min(cycles_of(final_ms), self._cycles))
        connected_ms = round((trio.current_time() - self._began_s) * 1000)
        last.moved(
            past_cycles - self._past_cycles,
            audio_ms=max(0, final_ms - self._past_audio_ms),
            connected_ms=connected_ms - self._past_connected_ms,
            provider_ms=provider_ms,
        )
        self._past_cycles, self._past_connected_ms = past_cycles, connected_ms
        self._past_audio_ms = max(final_ms, self._past_audio_ms)
        self._past_provider_ms += provider_ms or 0
        self._watch.cancel()
        leg.replayed(replayed_ms)
        moved = self._cycles - past_cycles
        if moved:
            await leg.wait_granted(moved)
            leg.begun(moved)

    # As a `Credit`.

    @property
    def granted(self) -> float:
        """See `Credit`."""
        return self._past_cycles + self._leg.granted

    @property
    def is_leased(self) -> bool:
        """See `Credit`."""
        return self._leg.is_leased

    @property
    def is_closed(self) -> bool:
        """See `Credit`."""
        return self._leg.is_closed

    def begun(self, cycles: int) -> None:
        """See `Credit`."""
        self._cycles = max(self._cycles, cycles)
        self._leg.begun(cycles - self._past_cycles)

    async def wait_granted(self, cycles: int) -> None:
        """See `Credit`."""
        await self._leg.wait_granted(cycles - self._past_cycles)

    async def revoked(self) -> None:
        """See `Credit`."""
        while True:
            with trio.CancelScope() as self._watch:
                await self._leg.revoked()

    def quiet(self, since_s: float) -> None:
        """See `Credit`."""
        self._leg.quiet(since_s)

    async def close(self, *, audio_ms: int, connected_ms: int, provider_ms: int | None, ending: str) -> None:
        """See `Credit`."""
        if provider_ms is not None:
            provider_ms = max(0, provider_ms - self._past_provider_ms)
        await self._leg.close(
            audio_ms=max(0, audio_ms - self._past_audio_ms),
            connected_ms=max(0, connected_ms - self._past_connected_ms),
            provider_ms=provider_ms,
            ending=ending,
        )
