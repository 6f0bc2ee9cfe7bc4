"""The two seams of a session: a stream of messages, and who listens to it.

A session never sees a socket. It sees two `MessageStream`s, one to its client and one to its upstream, and
listens to both. Listening is a synchronous call per message rather than an awaited one: a task switch and a
wake-up per message cost more than all the work done on it (`bench/README.md`), so a message travels through the
stages inside the listener's call as far as it can without waiting, and tasks take over where it cannot.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from routeraudio.model.message import Message
from routeraudio.providers.base import Dial


class Closed(msgspec.Struct, frozen=True):
    """How a connection ended."""

    code: int | None
    """The peer's close code; None without a close frame; 1005 for a frame without a code. Where the peer broke
    the protocol or a limit, the code we answered with."""
    reason: str
    is_violation: bool = False
    """True: we ended it, because of what the peer sent."""


class ClientGone(Exception):
    """The client's connection ended before the session did; there is nobody left to tell anything."""

    def __init__(self, closed: Closed) -> None:
        super().__init__(f"code {closed.code}")
        self.how = closed


class Listener(Protocol):
    """Receives what arrives on a `MessageStream`. Calls are synchronous and must never wait."""

    def message(self, message: Message) -> bool:
        """One message. False asks the stream to stop reading until `resume()`; what was already read may follow."""

    def closed(self, closed: Closed) -> None:
        """The connection is over. Called at most once; nothing follows."""

    def crashed(self, error: Exception) -> None:
        """`message` or `closed` raised ``error``: it belongs to this listener's session and to nobody else."""


class NullListener:
    """Listens to nothing: for a peer that is only told something."""

    def message(self, message: Message) -> bool:  # noqa: ARG002 - that is the point
        """See `Listener.message`."""
        return True

    def closed(self, closed: Closed) -> None:
        """See `Listener.closed`."""

    def crashed(self, error: Exception) -> None:
        """See `Listener.crashed`."""


class MessageStream(Protocol):
    """One WebSocket connection as a session sees it."""

    def start(self, listener: Listener) -> None:
        """Begin to deliver messages."""

    def resume(self) -> None:
        """Go on reading after `Listener.message` returned False."""

    @property
    def is_paused(self) -> bool:
        """Whether reading waits for `resume()`."""

    def send(self, message: Message) -> None:
        """Write without waiting; what the kernel does not take at once is kept. Ignored after the end."""

    @property
    def is_congested(self) -> bool:
        """Whether earlier messages still wait for the peer to read."""

    async def flushed(self) -> None:
        """Wait until nothing is kept back or the connection is over. The caller sets the deadline."""

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame behind everything sent so far, and ignore what still arrives.

        1005, which no frame may carry, sends a close frame without a code.
        """

    async def aclose(self) -> None:
        """Wait, within the close deadline, for the peer's side of the closing, then release the socket, always."""


class Refused(Exception):
    """The provider answered the upgrade with an ordinary HTTP response, which its adapter reads."""

    def __init__(self, status: int, body: bytes, retry_after_s: float | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body
        self.retry_after_s = retry_after_s
        """When the provider wants to be asked again; None: it has not said."""


Dialler = Callable[[Dial], Awaitable[MessageStream]]
"""Opens an upstream, within deadlines of its own. Raises `UpstreamFault` or `Refused`."""
