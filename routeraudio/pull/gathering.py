"""A dialect for whoever waits for the whole text: recordings, and protocols that answer once."""

from collections.abc import Callable, Sequence

from routeraudio.dialects.base import Command, Control, DialectEvent
from routeraudio.model.errors import CloseCode, Fault
from routeraudio.model.events import Event
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message


class Gathering:
    """The `Dialect` of a client that waits for the whole text."""

    def __init__(self, on_final: Callable[[FinalText], None]) -> None:
        self.fault: Fault | None = None
        """What ended the session, if something did."""
        self._on_final = on_final

    def received(self, message: Message) -> Sequence[Command]:
        """See `Dialect`."""
        return (message,) if isinstance(message, bytes) else (Control(message),)

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        """See `Dialect`."""
        if isinstance(event, FinalText) and event.text:
            self._on_final(event)
        return ()

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect`."""
        self.fault = fault
        return ()

    def close_code(self, fault: Fault) -> CloseCode:
        """See `Dialect`."""
        return fault.close_code
