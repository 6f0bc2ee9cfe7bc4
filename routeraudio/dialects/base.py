"""The dialect contract: one client protocol, as a synchronous object.

A dialect reads a request head into `Options`, client messages into commands, and events into client messages.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from routeraudio.model.errors import ClientFault, Fault
from routeraudio.model.events import Event
from routeraudio.model.message import Message
from routeraudio.model.options import Options


class Request(msgspec.Struct, frozen=True):
    """The head of a client's upgrade request. Query and headers may carry keys: never log or quote them."""

    path: str
    query: str
    """As it came, without the question mark."""
    headers: Mapping[str, str]
    """Lower-case names; repeated headers joined with commas."""

    def __repr__(self) -> str:
        return f"Request({self.path!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """For pretty printers, which do not ask `__repr__`."""
        return [("path", self.path)]


class Wish(msgspec.Struct, frozen=True):
    """What a client asked for, and what it showed to be let in."""

    options: Options
    key: str | None = None
    token: str | None = None
    unknown: tuple[str, ...] = ()
    """Names of parameters nobody knows; ignored."""

    def __repr__(self) -> str:
        return f"Wish({self.options!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """For pretty printers, which do not ask `__repr__`."""
        return [("options", self.options)]


class BadRequest(Exception):
    """Parameters that are missing or wrong, all of them; answered with HTTP 400 before the upgrade."""

    def __init__(self, faults: Sequence[ClientFault]) -> None:
        super().__init__(f"{len(faults)} parameters")
        self.faults = tuple(faults)


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


class DialectEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A dialect's line in the catalogue."""

    name: str
    paths: tuple[str, ...]
    parse: Callable[[Request], Wish]
    """Raises `BadRequest`."""
    dialect: Callable[[Options, str], Dialect]
    """Made from the options and the request id."""
    bad_request: Callable[[Sequence[ClientFault]], bytes]
    """The JSON body of the HTTP 400."""
