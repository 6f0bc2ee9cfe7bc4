"""The seam between a session and the ledger: a running credit.

Audio is charged in cycles (`policy.pricing`). A cycle may begin only when the ledger has granted it, and it grants
cycle n + 1 in the write that makes cycle n durable. So at most the cycle in flight is unknown to the ledger when a
process dies, a budget cannot be overdrawn by a fast client, and nothing of this is on the way of a message: the next
grant comes seconds before it is needed.
"""

import math
from typing import Protocol

import trio


class Credit(Protocol):
    """One stream's line in the ledger. Opened before the first message, closed once whatever happened."""

    granted: float
    """Cycles that may be streamed so far."""

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

    async def close(self, *, audio_ms: int, connected_ms: int, provider_ms: int | None, ending: str) -> None:
        """The stream is over; told durably or kept until it can be. Never raises, bounded in time."""


class UnlimitedCredit:
    """For daemons without a ledger: everything is granted."""

    granted: float = math.inf

    def begun(self, cycles: int) -> None:
        """See `Credit`."""

    async def wait_granted(self, cycles: int) -> None:
        """See `Credit`."""

    async def revoked(self) -> None:
        """See `Credit`."""
        await trio.sleep_forever()

    async def close(self, *, audio_ms: int, connected_ms: int, provider_ms: int | None, ending: str) -> None:
        """See `Credit`."""
