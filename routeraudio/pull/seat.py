"""A task's place: in the daemon, in the ledger, and with its provider. Taken before a task is promised to anybody."""

from collections.abc import Callable
from contextlib import ExitStack

from routeraudio.dialects.base import Dialect
from routeraudio.session.run import Session
from routeraudio.session.streams import MessageStream
from routeraudio.session.tab import Tab

Make = Callable[[Tab, MessageStream, Dialect], Session]
"""Makes the session, which closes the tab."""


class Counted:
    """A tab that also tells how much has been charged."""

    def __init__(self, tab: Tab) -> None:
        self.cycles = 0
        self.audio_ms = 0
        """Once the stream is over."""
        self._tab = tab

    @property
    def granted(self) -> float:
        """See `Tab`."""
        return self._tab.granted

    @granted.setter
    def granted(self, cycles: float) -> None:
        self._tab.granted = cycles

    def begun(self, cycles: int) -> None:
        """See `Tab`."""
        self.cycles = max(self.cycles, cycles)
        self._tab.begun(cycles)

    async def wait_granted(self, cycles: int) -> None:
        """See `Tab`."""
        await self._tab.wait_granted(cycles)

    async def revoked(self) -> None:
        """See `Tab`."""
        await self._tab.revoked()

    async def close(self, *, audio_ms: int, connected_ms: int, provider_ms: int | None, ending: str) -> None:
        """See `Tab`."""
        self.audio_ms = audio_ms
        await self._tab.close(
            audio_ms=audio_ms, connected_ms=connected_ms, provider_ms=provider_ms, ending=ending
        )


class Seat:
    """One task's.

    Args:
        tab: open.
        place: what is held in the daemon; closed when the task's provider has gone.
    """

    def __init__(self, tab: Tab, place: ExitStack, make: Make) -> None:
        self._tab = Counted(tab)
        self._place = place
        self._make = make
        self._has_session = False

    @property
    def cycles(self) -> int:
        """Charged."""
        return self._tab.cycles

    @property
    def audio_ms(self) -> int:
        """That the provider was sent, once the session is over."""
        return self._tab.audio_ms

    def session(self, client: MessageStream, dialect: Dialect) -> Session:
        """The task's one session."""
        assert not self._has_session
        session = self._make(self._tab, client, dialect)
        # Not before: where none could be made, `leave` closes the tab.
        self._has_session = True
        return session

    async def leave(self, ending: str) -> None:
        """Give the place back, when the session is over, or without one. Bounded by the tab."""
        with self._place:
            if not self._has_session:
                self._has_session = True
                await self._tab.close(audio_ms=0, connected_ms=0, provider_ms=None, ending=ending)
