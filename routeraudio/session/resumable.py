"""A client that may come back: its session lives on for a while when its connection is lost.

The session sees one `MessageStream` from its beginning to its end. Behind it one connection follows another:

    first connection   ── messages 1 … 7 ──╳ lost
                                             8, 9 kept, the provider kept alive
    next connection                          └▶ session, after=6 ▶ 7, 8, 9 … ── close

Messages are numbered (`seq`), and the latest ones kept: a message that was written to a connection that died may never
have been read. Of audio every byte that was handed to the session is counted, so that the client knows where to go on.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import trio

from routeraudio.dialects.base import Position
from routeraudio.model.message import Message
from routeraudio.session.streams import Closed, Listener, MessageStream, NullListener

KEPT_BYTES_MAX: Final = 262_144
"""Hours of finals without word detail, ten minutes with it."""

MESSAGE_BYTES: Final = 100
"""What a message costs beside its characters."""

ACK_S: Final = 1.0


class Connection(MessageStream, Protocol):
    """One of the client's."""

    def lose(self) -> None:
        """Give it up at once."""

    @property
    def has_said_goodbye(self) -> bool:
        """Whether the client has sent a close frame: it has read all that it was told before, or does not want it."""


class Tells(Protocol):
    """Puts into the client's protocol where its session is."""

    def session(self, position: Position) -> Message:
        """What every connection begins with."""

    def ack(self, position: Position) -> Message:
        """What the client may forget."""

    def is_passing(self, message: Message) -> bool:
        """Whether the message is obsolete as soon as another one follows."""


class Gone(Exception):
    """What the client wants to be told again is not kept any more."""


class Resumable:
    """A client's side of a session. A `MessageStream` over one `Connection` after the other.

    Args:
        resume_s: how long it may be away.
        acks: tell every second how much audio has arrived.
    """

    def __init__(
        self,
        first: Connection,
        tells: Tells,
        *,
        resume_s: float,
        acks: bool,
    ) -> None:
        self._tells = tells
        self._resume_s = resume_s
        self._acks = acks
        self._listener: Listener | None = None
        self._link: _Attached | None = None
        self._kept: deque[tuple[int, Message]] = deque()
        self._kept_bytes = 0
        self._dropped = 0
        """The number of the last message that is not kept any more."""
        self._seq = 0
        self._received_bytes = 0
        self._is_full = False
        self._close: tuple[int, str] | None = None
        self._has_heard_the_end = False
        self._left = trio.Event()
        self._came = trio.Event()
        self._left_s = 0.0
        self._attach(first)

    # What a session calls.

    def start(self, listener: Listener) -> None:
        """See `MessageStream.start`."""
        self._listener = listener
        if self._link is not None:
            self._link.stream.send(self._tells.session(self.position))
            self._link.stream.start(self._link)

    def resume(self) -> None:
        """See `MessageStream.resume`."""
        self._is_full = False
        if self._link is not None:
            self._link.stream.resume()

    @property
    def is_paused(self) -> bool:
        """See `MessageStream.is_paused`. Nobody can be idle who is away."""
        return self._link is None or self._link.stream.is_paused

    def send(self, message: Message) -> None:
        """See `MessageStream.send`."""
        assert isinstance(message, str), "protocols that can be resumed are JSON in text messages"
        self._seq += 1
        numbered = f'{{"seq":{self._seq},{message[1:]}'
        if self._kept and self._tells.is_passing(self._kept[-1][1]):
            self._drop(self._kept.pop())
        self._kept.append((self._seq, numbered))
        self._kept_bytes += _size(numbered)
        while self._kept_bytes > KEPT_BYTES_MAX:
            self._drop(oldest := self._kept.popleft())
            self._dropped = oldest[0]
        if self._link is not None:
            self._link.stream.send(numbered)

    @property
    def is_congested(self) -> bool:
        """See `MessageStream.is_congested`. What is told to nobody waits for nobody: it is kept, within a bound."""
        return self._link is not None and self._link.stream.is_congested

    async def flushed(self) -> None:
        """See `MessageStream.flushed`."""
        if self._link is not None:
            await self._link.stream.flushed()
        await trio.lowlevel.checkpoint_if_cancelled()

    def close(self, code: int, reason: str = "") -> None:
        """See `MessageStream.close`. Who is away is told when it comes back."""
        if self._close is None:
            self._close = code, reason
        if self._link is not None:
            self._link.stream.close(code, reason)

    async def aclose(self) -> None:
        """See `MessageStream.aclose`. Waits for a client that is away, or has not heard the end, to come back."""
        while (link := self._link) is not None or await self._comes_back():
            if link is None:
                continue
            try:
                await link.stream.aclose()
            finally:
                link.over.set()
            if link is self._link:
                if link.stream.has_said_goodbye:
                    self._has_heard_the_end = True
                    return
                self._leaves()

    # What its connections' owners call.

    @property
    def position(self) -> Position:
        """Where the session is."""
        return Position(self._received_bytes, self._seq)

    async def run(self) -> None:
        """Acknowledge, and end the session when its client stays away. Runs until cancelled."""
        async with trio.open_nursery() as nursery:
            if self._acks:
                nursery.start_soon(self._acknowledge)
            while True:
                await self._left.wait()
                self._left = trio.Event()
                is_back = await self._comes_back()
                if not (is_back or self._listener is None or self._close is not None):
                    self._listener.closed(Closed(None, f"the client has been away for {self._resume_s:g} s"))

    def check(self, after: int) -> None:
        """Whether a connection may go on behind that message.

        Raises:
            Gone: messages behind it are not kept, or there is none of that number; or the client has left for good.
        """
        if self._has_heard_the_end:
            raise Gone("the client has ended this session")
        if not self._dropped <= after <= self._seq:
            raise Gone(
                f"parameter after: expected {self._dropped} to {self._seq}; other messages are not kept"
            )

    async def attach(self, stream: Connection, after: int, on_heard: Callable[[], None]) -> None:
        """Go on over ``stream``, behind the message of number ``after``; an older connection is given up.

        Returns when the session needs it no more. Owns it.

        Args:
            on_heard: called when something has come over it.

        Raises:
            Gone: see `check`.
        """
        self.check(after)
        old = self._link
        link = self._attach(stream, on_heard)
        if old is not None:
            old.stream.lose()
        stream.send(self._tells.session(self.position))
        for seq, message in self._kept:
            if seq > after:
                stream.send(message)
        if self._close is None:
            stream.start(link)
        else:
            stream.start(NullListener())
            stream.close(*self._close)
        self._came.set()
        await link.over.wait()

    def _attach(self, stream: Connection, on_heard: Callable[[], None] | None = None) -> "_Attached":
        self._link = _Attached(self, stream, on_heard)
        return self._link

    # What a connection tells.

    def heard(self, message: Message) -> bool:
        """A message has come."""
        assert self._listener is not None
        if isinstance(message, bytes):
            self._received_bytes += len(message)
        room = self._listener.message(message) and not self._is_full
        self._is_full = not room
        return room

    def lost(self, closed: Closed) -> None:
        """The connection of the moment is over. Only one that was lost without a close frame may be replaced."""
        assert self._listener is not None
        if closed.code is None and not closed.is_violation:
            self._leaves()
            self._left.set()
        else:
            self._link = None
            self._has_heard_the_end = True
            self._listener.closed(closed)

    def crashed(self, error: Exception) -> None:
        """The session has, over a message."""
        assert self._listener is not None
        self._listener.crashed(error)

    def is_current(self, link: "_Attached") -> bool:
        """Whether the session goes over it."""
        return link is self._link

    # The rest.

    async def _acknowledge(self) -> None:
        told_bytes = 0
        while True:
            await trio.sleep(ACK_S)
            if self._link is not None and self._close is None and self._received_bytes != told_bytes:
                told_bytes = self._received_bytes
                self._link.stream.send(self._tells.ack(self.position))

    def _leaves(self) -> None:
        self._link = None
        self._left_s = trio.current_time()
        self._came = trio.Event()

    async def _comes_back(self) -> bool:
        """Whether the client that is away does, in time."""
        with trio.move_on_at(self._left_s + self._resume_s):
            await self._came.wait()
        return self._came.is_set()

    def _drop(self, kept: tuple[int, Message]) -> None:
        self._kept_bytes -= _size(kept[1])


class _Attached:
    """Listens to one connection."""

    def __init__(self, session: Resumable, stream: Connection, on_heard: Callable[[], None] | None) -> None:
        self.stream = stream
        self.over = trio.Event()
        self._session = session
        self._on_heard = on_heard

    def message(self, message: Message) -> bool:
        """See `Listener.message`."""
        if self._on_heard is not None:
            self._on_heard()
            self._on_heard = None
        return self._session.heard(message)

    def closed(self, closed: Closed) -> None:
        """See `Listener.closed`."""
        self.over.set()
        if self._session.is_current(self):
            self._session.lost(closed)

    def crashed(self, error: Exception) -> None:
        """See `Listener.crashed`."""
        self._session.crashed(error)


def _size(message: Message) -> int:
    return MESSAGE_BYTES + len(message)
