"""A task's place: in the daemon, in the ledger, and with its provider. Taken before a task is promised to anybody."""

from collections.abc import Callable
from contextlib import AsyncExitStack

from routeraudio.dialects.base import Dialect
from routeraudio.session.credit import Credit
from routeraudio.session.pipeline import Session
from routeraudio.session.streams import MessageStream

Make = Callable[[Credit, MessageStream, Dialect], Session]
"""Makes the session, which closes the credit."""


class Counted:
    """A credit that also tells how much has been charged."""

    def __init__(self, credit: Credit) -> None:
        self.cycles = 0
        self.audio_ms = 0
        """Once the stream is over."""
        self._credit = credit

    @property
    def is_leased(self) -> bool:
        """See `Credit`."""
        return False  # nobody is given the place of a source that says nothing

    @property
    def granted(self) -> float:
        """See `Credit`."""
        return self._credit.granted

    @property
    def is_closed(self) -> bool:
        """See `Credit`."""
        return self._credit.is_closed

    def begun(self, cycles: int) -> None:
        """See `Credit`."""
        self.cycles = max(self.cycles, cycles)
        self._credit.begun(cycles)

    async def wait_granted(self, cycles: int) -> None:
        """See `Credit`."""
        await self._credit.wait_granted(cycles)

    async def revoked(self) -> None:
        """See `Credit`."""
        await self._credit.revoked()

    def quiet(self, since_s: float) -> None:
        """See `Credit`. A source that says nothing has not vanished; the task sees to it."""

    async def close(self, *, audio_ms: int, connected_ms: int, provider_ms: int | None, ending: str) -> None:
        """See `Credit`."""
        self.audio_ms = audio_ms
        await self._credit.close(
            audio_ms=audio_ms, connected_ms=connected_ms, provider_ms=provider_ms, ending=ending
        )


class Reservation:
    """One task's.

    Args:
        credit: open.
        place: what is held in the daemon; closed when the task's provider has gone.
    """

    def __init__(self, credit: Credit, place: AsyncExitStack, make: Make) -> None:
        self._credit = Counted(credit)
        self._place = place
        self._make = make

    @property
    def cycles(self) -> int:
        """Charged."""
        return self._credit.cycles

    @property
    def audio_ms(self) -> int:
        """That the provider was sent, once the session is over."""
        return self._credit.audio_ms

    def session(self, client: MessageStream, dialect: Dialect) -> Session:
        """The task's one session."""
        return self._make(self._credit, client, dialect)

    async def leave(self, ending: str) -> None:
        """Give the place back, when the session is over, or without one. Bounded by the credit."""
        async with self._place:
            if not self._credit.is_closed:
                await self._credit.close(audio_ms=0, connected_ms=0, provider_ms=None, ending=ending)
