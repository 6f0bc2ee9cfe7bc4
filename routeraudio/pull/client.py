"""A task in a client's place: to the session it is a stream like any other, and a dialect."""

from collections.abc import Callable, Sequence

import trio

from routeraudio.dialects.base import Command, Control, DialectEvent
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import CloseCode, Fault
from routeraudio.model.events import Event, Final, Partial, Raw, TurnEnd
from routeraudio.model.message import Message
from routeraudio.pull.outbox import Outbox
from routeraudio.session.streams import Closed, Listener


class Feed:
    """The `MessageStream` over which a session hears a source. It is sent nothing back: see `Telling`."""

    def __init__(self) -> None:
        self.is_paused = False
        self.is_congested = False
        """Never: a slow webhook is the outbox's business, not the provider's."""
        self.is_closed = False
        self.fed_bytes = 0
        self._listener: Listener | None = None
        self._started = trio.Event()
        self._resumed = trio.Event()

    # What the source's side calls.

    @property
    def fed_ms(self) -> int:
        """Audio handed to the session, whole milliseconds."""
        return PCM_16K_MONO.duration_ms(self.fed_bytes)

    async def audio(self, chunk: bytes) -> None:
        """Hand audio over, as soon as the session wants it."""
        await self._started.wait()
        while self.is_paused:
            await self._resumed.wait()
        self.fed_bytes += len(chunk)
        self._hand(chunk)

    def control(self, control: Control) -> None:
        """Say something besides; before there is a session there is nobody to say it to."""
        self._hand(control.value)

    async def gone(self) -> None:
        """There is nobody to tell anything any more, and no more audio."""
        await self._started.wait()
        if self._listener is not None and not self.is_closed:
            self._listener.closed(Closed(None, "the client has gone"))

    def _hand(self, message: Message) -> None:
        if self._listener is None or self.is_closed:
            return
        try:
            if not self._listener.message(message):
                self.is_paused, self._resumed = True, trio.Event()
        except Exception as error:  # noqa: BLE001 - the session's, and told there: see `Listener.crashed`
            self._listener.crashed(error)

    # What the session calls.

    def start(self, listener: Listener) -> None:
        """See `MessageStream`."""
        self._listener = listener
        self._started.set()

    def resume(self) -> None:
        """See `MessageStream`."""
        self.is_paused = False
        self._resumed.set()

    def send(self, message: Message) -> None:
        """See `MessageStream`. The dialect has nothing to send."""

    async def flushed(self) -> None:
        """See `MessageStream`."""
        await trio.lowlevel.checkpoint()

    def close(self, code: int, reason: str = "") -> None:  # noqa: ARG002 - the dialect was told the fault
        """See `MessageStream`."""
        self.is_closed = True

    async def aclose(self) -> None:
        """See `MessageStream`."""
        await trio.lowlevel.checkpoint()


class Telling:
    """The `Dialect` that puts the provider's messages into an outbox.

    A message comes first as it is and then as the events it meant; those tell whether it may give way to a newer one.

    Args:
        position_ms: how much audio there has been.
    """

    def __init__(self, outbox: Outbox, position_ms: Callable[[], int]) -> None:
        self.fault: Fault | None = None
        """What ended the session, if something did."""
        self._outbox = outbox
        self._position_ms = position_ms

    def received(self, message: Message) -> Sequence[Command]:
        """See `Dialect`."""
        return (message,) if isinstance(message, bytes) else (Control(message),)

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        """See `Dialect`."""
        if isinstance(event, Raw):
            self._outbox.put(event.message, self._position_ms())
        elif isinstance(event, Partial):
            self._outbox.was_partial()
        elif isinstance(event, Final | TurnEnd):
            self._outbox.was_final()
        return ()

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect`."""
        self.fault = fault
        return ()

    def close_code(self, fault: Fault) -> CloseCode:
        """See `Dialect`."""
        return fault.close_code
