"""The dialect contract: one client protocol, as a synchronous object.

A dialect reads a request head into `Options`, client messages into commands, and events into client messages.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from routeraudio.model.errors import Fault
from routeraudio.model.events import Event
from routeraudio.model.message import Message


class Control(Enum):
    """What a client may say besides audio."""

    FINALIZE = "finalize"
    """Give me finals now."""
    FINISH = "finish"
    """No more audio; say your last words."""
    KEEPALIVE = "keepalive"
    """Still here."""


Command = bytes | Control
"""Audio, or a control."""


class Dialect(Protocol):
    """One client's side of a session."""

    def received(self, message: Message) -> Sequence[Command]:
        """What a client message means; audio keeps its order among controls.

        Raises:
            ClientFault: a message this dialect does not allow.
        """

    def event(self, event: Event) -> Sequence[Message]:
        """What the client is told about an event; nothing for most."""

    def error(self, fault: Fault) -> Sequence[Message]:
        """What the client is told before its connection is closed with `fault.close_code`."""
