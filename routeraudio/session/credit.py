"""The seam between a session and the ledger: a running credit.

Audio is charged in cycles (`policy.pricing`). A cycle may begin only when the ledger has granted it, and it grants
cycle n + 1 in the write that makes cycle n durable. So at most the cycle in flight is unknown to the ledger when a
process dies, a budget cannot be overdrawn by a fast client, and nothing of this is on the way of a message: the next
grant comes seconds before it is needed.
"""

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol

import trio

from routeraudio.model.errors import Fault

LATE_S: Final = 5.0
"""For a line that is written when its stream is over."""


class Credit(Protocol):
    """One stream's line in the ledger. Opened before the first message, closed once whatever happened."""

    @property
    def granted(self) -> float:
        """Cycles that may be streamed so far."""

    @property
    def is_leased(self) -> bool:
        """Whether it holds a place of which there are only so many."""

    @property
    def is_closed(self) -> bool:
        """Whether `close` has been called."""

    def begun(self, cycles: int) -> None:
        """So many cycles have begun: the last one's first sample went to the provider. Wants the next one."""

    async def wait_granted(self, cycles: int) -> None:
        """Wait until that many are granted.

        Raises:
            BudgetUsedUp: they will not be.
            Fault: see `revoked`.
        """

    async def revoked(self) -> None:
        """Wait until the stream must end although it is within its grants; forever where that does not happen.

        Raises:
            ClientFault: the key has been disabled, or has expired.
            Overloaded: the lease is lost, or the ledger has been out of reach for longer than its grace time.
        """

    def quiet(self, since_s: float) -> None:
        """Nothing has come from the client since then, on Trio's clock: its place may be given to its successor."""

    async def close(self, *, audio_ms: int, connected_ms: int, provider_ms: int | None, ending: str) -> None:
        """The stream is over; told durably or kept until it can be. Never raises, bounded in time."""


class UnlimitedCredit:
    """For daemons without a ledger: everything is granted."""

    granted: float = math.inf
    is_closed = False
    is_leased = False

    def begun(self, cycles: int) -> None:
        """See `Credit`."""

    async def wait_granted(self, cycles: int) -> None:
        """See `Credit`."""

    async def revoked(self) -> None:
        """See `Credit`."""
        await trio.sleep_forever()

    def quiet(self, since_s: float) -> None:
        """See `Credit`."""

    async def close(self, *, audio_ms: int, connected_ms: int, provider_ms: int | None, ending: str) -> None:
        """See `Credit`."""


class LateCredit:
    """For streams that cost nothing here, of clients whom nobody has vouched for yet: their line is written at the end.

    Somebody who tries keys, or dials a provider that refuses, leaves none.

    Args:
        open_line: begins a line in the ledger.
    """

    granted: float = math.inf
    is_leased = False

    def __init__(self, open_line: Callable[[], Awaitable[Credit]]) -> None:
        self._open_line = open_line
        self._cycles = 0
        self.is_closed = False

    def begun(self, cycles: int) -> None:
        """See `Credit`."""
        self._cycles = cycles

    async def wait_granted(self, cycles: int) -> None:
        """See `Credit`."""

    async def revoked(self) -> None:
        """See `Credit`."""
        await trio.sleep_forever()

    def quiet(self, since_s: float) -> None:
        """See `Credit`."""

    async def close(self, *, audio_ms: int, connected_ms: int, provider_ms: int | None, ending: str) -> None:
        """See `Credit`. A store that cannot be written to costs the line, which is worth no money."""
        self.is_closed = True
        if not self._cycles:
            return
        with trio.move_on_after(LATE_S, shield=True), suppress(Fault):
            line = await self._open_line()
            line.begun(self._cycles)
            await line.close(
                audio_ms=audio_ms, connected_ms=connected_ms, provider_ms=provider_ms, ending=ending
            )


@asynccontextmanager
async def closing(credit: Credit) -> AsyncIterator[Credit]:
    """Closes ``credit`` where no session has done so: nothing was streamed."""
    ending = "internal"
    try:
        yield credit
    except trio.BrokenResourceError:
        ending = "client_gone"
        raise
    except trio.Cancelled:
        ending = "restart"
        raise
    finally:
        if not credit.is_closed:
            await credit.close(audio_ms=0, connected_ms=0, provider_ms=None, ending=ending)
