"""The other end of a connection under test: wsproto's framing, which shares no code with ours, over a socket pair."""

import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from socket import socketpair
from typing import Any, Literal

import msgspec
import trio
import trustme
from websockets.client import ClientProtocol
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, TextMessage

from routeraudio.model.message import Message
from routeraudio.session.streams import Closed
from routeraudio.transport.bytestream import ByteStream
from routeraudio.transport.poller import Poller
from routeraudio.transport.websocket import WebSocket

Side = Literal["server", "client"]

PATIENCE_S = 3600.0
"""Ends a test that hangs. Virtual time: longer than every deadline under test."""

MESSAGE_BYTES = 1_048_576
PING_S, PONG_S, CLOSE_S = 20.0, 15.0, 5.0


class Kind(msgspec.Struct, frozen=True):
    """Which end of a connection is under test, over what."""

    side: Side
    is_tls: bool

    def __str__(self) -> str:
        return f"{self.side}-{'tls' if self.is_tls else 'plain'}"


KINDS = tuple(Kind(side, is_tls) for side in ("server", "client") for is_tls in (False, True))
SERVER, CLIENT = Kind("server", False), Kind("client", False)

_CA = trustme.CA()
CERTIFICATE = _CA.issue_cert("peer.test")


@contextmanager
def at_once() -> Iterator[None]:
    """What happens inside must wait for no deadline. Needs virtual time."""
    began_s = trio.current_time()
    yield
    assert trio.current_time() == began_s


def server_tls() -> ssl.SSLContext:
    """For the end that accepts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    return context


def client_tls() -> ssl.SSLContext:
    """For the end that dials."""
    context = ssl.create_default_context()
    _CA.configure_trust(context)
    return context


class Recorder:
    """A listener that keeps what it is told and can misbehave."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.closings: list[Closed] = []
        self.crashes: list[Exception] = []
        self.has_room = True
        self.on_message: Callable[[Message], None] = _nothing
        self.on_closed: Callable[[Closed], None] = _nothing
        self._changed = trio.Event()

    def message(self, message: Message) -> bool:
        self.messages.append(message)
        self._change()
        self.on_message(message)
        return self.has_room

    def closed(self, closed: Closed) -> None:
        self.closings.append(closed)
        self._change()
        self.on_closed(closed)

    def crashed(self, error: Exception) -> None:
        self.crashes.append(error)
        self._change()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until ``condition`` holds; looked at whenever something is told."""
        with trio.fail_after(PATIENCE_S):
            while not condition():
                await self._changed.wait()

    async def end(self) -> Closed:
        """How the connection ended."""
        await self.until(lambda: self.closings)
        return self.closings[0]

    def _change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _nothing(_said: object) -> None:
    pass


class Peer:
    """A wsproto connection over a Trio stream."""

    def __init__(self, stream: trio.abc.Stream, side: ConnectionType) -> None:
        self.stream = stream
        self.framing = Connection(side)
        self._events: list[Event] = []

    async def say(self, *events: Event) -> None:
        """Send ``events`` in one piece."""
        await self.stream.send_all(self.encode(*events))

    async def say_raw(self, data: bytes) -> None:
        await self.stream.send_all(data)

    def encode(self, *events: Event) -> bytes:
        return b"".join(self.framing.send(event) for event in events)

    async def event(self) -> Event | None:
        """The next event; None: the stream has ended."""
        with trio.fail_after(PATIENCE_S):
            while not self._events:
                try:
                    data = await self.stream.receive_some(65_536)
                except trio.BrokenResourceError:
                    return None
                if not data:
                    return None
                self.framing.receive_data(bytes(data))
                self._events += self.framing.events()
        return self._events.pop(0)

    async def message(self) -> Message:
        """The next whole message; pings are not answered on the way."""
        parts: list[Any] = []
        while True:
            event = await self.event()
            assert isinstance(event, TextMessage | BytesMessage), event
            parts.append(event.data)
            if event.message_finished:
                return (
                    type(event.data)().join(parts)
                    if isinstance(event, TextMessage)
                    else b"".join(map(bytes, parts))
                )

    async def closing(self) -> CloseConnection:
        """The other end's close frame; messages on the way are dropped."""
        while not isinstance(event := await self.event(), CloseConnection):
            assert event is not None, "the stream ended without a close frame"
        return event

    async def eof(self) -> None:
        """Wait for the end of the stream."""
        while await self.event() is not None:
            pass


class Line(msgspec.Struct, frozen=True):
    """A connection under test and everything around it."""

    driver: WebSocket
    listener: Recorder
    peer: Peer
    poller: Poller
    fd: int
    """The driver's descriptor."""


@asynccontextmanager
async def polling() -> AsyncIterator[Poller]:
    """A poller that runs."""
    poller = Poller()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poller.run)
        yield poller
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_line(
    kind: Kind = SERVER,
    *,
    poller: Poller | None = None,
    is_started: bool = True,
    bytes_max: int = MESSAGE_BYTES,
    **options: Any,
) -> AsyncIterator[Line]:
    """A connection whose opening handshake is done; released on leaving."""
    if poller is None:
        async with (
            polling() as own,
            open_line(kind, poller=own, is_started=is_started, bytes_max=bytes_max, **options) as line,
        ):
            yield line
        return
    ours, theirs = socketpair()
    stream, far = ByteStream(ours), trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
    listener = Recorder()
    peer = Peer(far, _far(kind.side))
    if kind.is_tls:
        peer.stream = await shake_hands(kind.side, stream, far)
    sock = stream.release()
    driver = WebSocket(
        sock,
        protocol(kind.side, bytes_max),
        poller,
        **{"ping_s": PING_S, "pong_s": PONG_S, "close_s": CLOSE_S, **options},
    )
    try:
        if is_started:
            driver.start(listener)
        yield Line(driver, listener, peer, poller, sock.fileno())
    finally:
        driver.release()
        far.socket.close()


def protocol(side: Side, bytes_max: int) -> ServerProtocol | ClientProtocol:
    """websockets' half of the driver, open."""
    if side == "server":
        return ServerProtocol(state=OPEN, max_size=bytes_max)
    return ClientProtocol(parse_uri("ws://peer.test/"), state=OPEN, max_size=bytes_max)


async def shake_hands(side: Side, stream: ByteStream, far: trio.SocketStream) -> trio.abc.Stream:
    """TLS on both ends; returns the far end's stream, which is Trio's own TLS."""
    is_server = side == "server"
    wrapped = trio.SSLStream(
        far,
        client_tls() if is_server else server_tls(),
        server_hostname="peer.test" if is_server else None,
        server_side=not is_server,
        https_compatible=True,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wrapped.do_handshake)
        if is_server:
            await stream.start_tls(server_tls())
        else:
            await stream.start_tls(client_tls(), server_hostname="peer.test")
    return wrapped


def _far(side: Side) -> ConnectionType:
    return ConnectionType.CLIENT if side == "server" else ConnectionType.SERVER


def encoded(side: Side, *events: Event) -> bytes:
    """What a far end sends whose near end is ``side``."""
    framing = Connection(_far(side))
    return b"".join(framing.send(event) for event in events)


def frame(
    first: int, payload: bytes = b"", *, is_masked: bool = True, length: int | None = None, width: int = 0
) -> bytes:
    """A frame by hand, for what no implementation would send.

    Args:
        first: the whole first byte, FIN and reserved bits included.
        length: the length it claims; None: the true one.
        width: bytes of the length after the second byte; 0: as few as possible.
    """
    size = len(payload) if length is None else length
    if not width:
        width = 0 if size < 126 else 2 if size < 65_536 else 8
    second = size if width == 0 else 126 if width == 2 else 127
    head = bytes([first, second | (0x80 if is_masked else 0)]) + (size.to_bytes(width) if width else b"")
    return head + (b"\0\0\0\0" if is_masked else b"") + payload


def text(data: str, **more: Any) -> TextMessage:
    return TextMessage(data=data, **more)


def binary(data: bytes, **more: Any) -> BytesMessage:
    return BytesMessage(data=data, **more)


def is_released(line: Line) -> bool:
    """Whether the driver's descriptor is closed."""
    try:
        os.fstat(line.fd)
    except OSError:
        return True
    return False


def clog(line: Line) -> None:
    """Send to a peer that reads nothing until the kernel takes no more."""
    while not line.driver.is_congested:
        line.driver.send(bytes(65_536))
