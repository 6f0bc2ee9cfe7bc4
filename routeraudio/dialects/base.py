"""The dialect contract: one client protocol, as a synchronous object.

A dialect reads a request head into `Options`, client messages into commands, and events into client messages.

A dialect that learns something from the client's audio sends itself a `DialectEvent`. It comes back through `event`
in order with the provider's events, so that a slow client does not reorder messages.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Protocol, runtime_checkable

import msgspec

from routeraudio.model.errors import ClientFault, CloseCode, Fault
from routeraudio.model.events import Event
from routeraudio.model.message import Message
from routeraudio.model.options import Options

Clock = Callable[[], float]
"""Unix time in seconds that never jumps; for stamps on messages, and for what a dialect waits for."""


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


class Resumption(msgspec.Struct, frozen=True):
    """How a client that has lost its connection wants to come back."""

    resume_s: int
    """Within so long."""
    acks: bool = False
    """It wants to be told how much audio has arrived, all the time."""


class Comeback(msgspec.Struct, frozen=True):
    """A client that has come back."""

    token: str
    after: int
    """The number of the last message that it has read; 0: none."""

    def __repr__(self) -> str:
        return f"Comeback(token=…, after={self.after})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """For pretty printers, which do not ask `__repr__`."""
        return [("after", self.after)]


class Position(msgspec.Struct, frozen=True):
    """How far a session is with its client."""

    received_bytes: int
    """Audio that has arrived, as it was sent."""
    seq: int
    """The number of the last message that was told; 0: none was."""


class StreamRequest(msgspec.Struct, frozen=True):
    """What a client asked for, and what it showed to be let in."""

    options: Options
    key: str | None = None
    token: str | None = None
    unknown: tuple[str, ...] = ()
    """Names of parameters nobody knows; ignored."""
    more: msgspec.Struct | None = None
    """What only this dialect knows of; handed to it when it is made."""
    has_own_model: bool = False
    """The model is one of the protocol's vendor: a provider that has none of that name serves with its default."""
    subprotocol: str | None = None
    """Of those that the client offers, the one that the upgrade is answered with."""
    advice: tuple[str, ...] = ()
    """What was asked for and has no effect, or another one, whoever serves: told beside the upgrade."""
    resumption: Resumption | None = None
    """The client wants to be able to come back; None: its session ends with its connection."""
    comeback: Comeback | None = None
    """It does: this is no request for a session. `options` say nothing then."""

    def __repr__(self) -> str:
        return f"StreamRequest({self.options!r}, …)"

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


class DialectEvent(msgspec.Struct, frozen=True):
    """What a dialect has heard in the client's audio and tells itself, behind everything told so far."""

    note: object
    """The dialect's own."""


class Dialect(Protocol):
    """One client's side of a session."""

    def received(self, message: Message) -> Sequence[Command | DialectEvent]:
        """What a client message means; audio keeps its order among controls.

        Raises:
            ClientFault: a message this dialect does not allow.
        """

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        """What the client is told about an event; nothing for most."""

    def error(self, fault: Fault) -> Sequence[Message]:
        """What the client is told before its connection is closed with `close_code(fault)`."""

    def close_code(self, fault: Fault) -> CloseCode:
        """How this protocol says so."""


@runtime_checkable
class HasGreeting(Protocol):
    """What a dialect has besides, whose server speaks first."""

    def greeting(self) -> Sequence[Message]:
        """What the client is told as soon as it has been let in, once."""


@runtime_checkable
class HasTicks(Protocol):
    """What a dialect has besides, that tells its client something when nothing happens."""

    @property
    def tick_s(self) -> float:
        """How often `tick` wants to be sent to `event`."""

    @property
    def tick(self) -> DialectEvent:
        """Time has passed."""


@runtime_checkable
class CanBeResumed(Protocol):
    """What a dialect has besides, whose clients may come back. Its messages are JSON objects in text messages."""

    def session(self, position: Position, token: str, resume_s: float) -> Message:
        """What every connection begins with."""

    def ack(self, position: Position) -> Message:
        """How much audio has arrived."""

    def is_passing(self, message: Message) -> bool:
        """Whether a message of this dialect's is obsolete as soon as another one follows."""


class Tells(Protocol):
    """Puts faults into a protocol's words. Every `Dialect` does."""

    def error(self, fault: Fault) -> Sequence[Message]:
        """See `Dialect.error`."""

    def close_code(self, fault: Fault) -> CloseCode:
        """See `Dialect.close_code`."""


class Overture(Tells, Protocol):
    """One client's side before its session, of a protocol whose options come in the client's first messages.

    The dialect gets the same messages once more, from the first on.
    """

    def greeting(self) -> Sequence[Message]:
        """What the client is told as soon as it has been let in."""

    def received(self, message: Message) -> StreamRequest | None:
        """What the client asks for, all in all; None: it may still say more.

        Raises:
            ClientFault: it asks for what cannot be.
        """


class Opening(msgspec.Struct, frozen=True):
    """What a dialect is made from."""

    wish: StreamRequest
    options: Options
    """Those of the wish, and what has been decided since: the provider, its model."""
    request_id: str
    now: Clock

    def __repr__(self) -> str:
        return f"Opening({self.options!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """For pretty printers, which do not ask `__repr__`."""
        return [("options", self.options)]


def _unchanged(options: Options) -> Options:
    return options


class DialectEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A dialect's line in the catalogue."""

    name: str
    paths: tuple[str, ...]
    claims: Callable[[Request], bool] | None = None
    """Whether a request is this protocol's, where its path alone does not say so. Asked before paths are compared."""
    parse: Callable[[Request], StreamRequest]
    """Raises `BadRequest`."""
    dialect: Callable[[Opening], Dialect]
    bad_request: Callable[[Sequence[ClientFault]], bytes]
    """The JSON body of the HTTP 400."""
    refusal: Callable[[StreamRequest, Fault], bytes] | None = None
    """The JSON body of an HTTP 401 or 403; None: the client is let in, and told there."""
    default_provider: str | None = None
    """Serves clients that name none (`Options.provider` is empty) and whose key has none of its own either."""
    overture: Callable[[StreamRequest, str], Overture] | None = None
    """From what the upgrade asked for, and the session's id. None: options are complete there."""
    has_audio_in_text: bool = False
    """Text messages are as long as binary ones, and are slowed by back-pressure rather than counted."""
    fit: Callable[[Options], Options] = _unchanged
    """The options for the provider and model that are known now, where they depend on them."""
