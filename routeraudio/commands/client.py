"""A WebSocket client on trio-websocket, with the waits bounded that the package leaves open.

trio-websocket is kept at arm's length: its tasks live in a nursery of their own, on a socket of ours. A ping
that crosses a Close makes it raise a bare `trio.Cancelled` (trio-websocket #184), which a nursery of its own
absorbs; a silent or vanished server makes its handshake and its close wait for ever, which deadlines and the
watched socket end.
"""

import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

import h11
import trio
import wsproto.utilities
from trio_websocket import ConnectionRejected, HandshakeError, WebSocketConnection, wrap_client_stream

from routeraudio.commands.errors import Trouble, leaves, usage
from routeraudio.commands.refusals import refused

CONNECT_S: Final = 10.0
"""Name, TCP and TLS."""
UPGRADE_S: Final = 15.0
"""The daemon answers at once; a proxy in front may wake something up first."""
SEND_S: Final = 30.0
"""For one chunk of audio. Back-pressure may hold a fast sender for as long as the provider takes to hear what
is buffered; a server that takes nothing for this long has stopped."""
CLOSE_S: Final = 2.0

Conversation = Callable[[WebSocketConnection], Awaitable[None]]

_LINE_FAULTS: Final = (
    HandshakeError,
    h11.ProtocolError,
    wsproto.utilities.ProtocolError,
    UnicodeDecodeError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)
"""What trio-websocket's reader raises about a server's bytes."""


async def converse(
    url: str, headers: Mapping[str, str], conversation: Conversation, *, ca_file: str | None = None
) -> None:
    """Connect, run ``conversation`` on the open connection, close.

    Owns the socket and trio-websocket's tasks; both are gone when it returns or raises. Cancelling it is safe.

    Raises:
        Trouble: the server cannot be reached, refuses, or breaks the protocol; or raised by ``conversation``.
    """
    target = _split(url)
    stream = _Watched(await _connected(target, ca_file))
    troubles: list[Trouble] = []
    is_over = False
    try:
        async with trio.open_nursery() as private:
            connection = await _upgraded(private, stream, target, headers)
            await conversation(connection)
            is_over = True
            with trio.move_on_after(CLOSE_S):
                await connection.aclose()
            private.cancel_scope.cancel()
    except* Trouble as group:
        troubles.extend(error for error in leaves(group) if isinstance(error, Trouble))
    except* _LINE_FAULTS as group:
        # What arrives after our own close began is often an error to trio-websocket, and nothing to us.
        troubles.extend(_told(error, target) for error in leaves(group) if not is_over)
    finally:
        with trio.move_on_after(CLOSE_S, shield=True):
            await trio.aclose_forcefully(stream)
    if troubles:
        raise troubles[0]


async def send(connection: WebSocketConnection, message: str | bytes) -> None:
    """Send within `SEND_S`; the connection is of no use after a failure.

    Raises:
        Trouble: the server takes nothing.
        trio_websocket.ConnectionClosed: it has closed.
    """
    with trio.move_on_after(SEND_S) as waiting:
        await connection.send_message(message)
    if waiting.cancelled_caught:
        raise Trouble(f"the server has not read for {SEND_S:.0f} s; look at its log")


def _split(url: str) -> SplitResult:
    try:
        target = urlsplit(url)
        is_address = target.scheme in ("ws", "wss") and target.hostname and target.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise usage("--url: expected an address such as ws://127.0.0.1:8080")
    return target


async def _connected(target: SplitResult, ca_file: str | None) -> trio.abc.Stream:
    port = target.port or (443 if target.scheme == "wss" else 80)
    place = f"{target.scheme}://{target.netloc}"
    assert target.hostname is not None
    try:
        with trio.fail_after(CONNECT_S):
            stream = await trio.open_tcp_stream(target.hostname, port)
            if target.scheme == "ws":
                return stream
            return await _encrypted(stream, target.hostname, ca_file)
    except trio.TooSlowError:
        raise Trouble(f"{place} does not answer within {CONNECT_S:.0f} s; check --url") from None
    except ssl.SSLError as error:
        raise Trouble(f"no TLS with {place}: {error.reason}; check --url and --ca-file") from None
    except OSError as error:
        raise Trouble(
            f"cannot reach {place}: {_reason(error)}; start the daemon with `routeraudio serve`, or give --url"
        ) from None


async def _encrypted(
    stream: trio.SocketStream, hostname: str, ca_file: str | None
) -> trio.SSLStream[trio.SocketStream]:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError:
        await trio.aclose_forcefully(stream)
        raise usage("--ca-file: expected a readable PEM file with certificates") from None
    encrypted = trio.SSLStream(stream, context, server_hostname=hostname, https_compatible=True)
    try:
        await encrypted.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError) and isinstance(
            error.__cause__, ssl.SSLError | OSError
        ):
            raise error.__cause__ from None
        raise
    return encrypted


async def _upgraded(
    private: trio.Nursery, stream: "_Watched", target: SplitResult, headers: Mapping[str, str]
) -> WebSocketConnection:
    """The WebSocket handshake; ends as soon as the server hangs up, not only at the deadline."""
    place = f"{target.scheme}://{target.netloc}"
    connection: WebSocketConnection | None = None
    with trio.move_on_after(UPGRADE_S) as waiting:
        stream.watch(waiting)
        connection = await wrap_client_stream(
            private,
            stream,  # type: ignore[arg-type]  # annotated for sockets; any stream works
            target.netloc,
            f"{target.path or '/'}?{target.query}",
            extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        )
    stream.watch(None)
    if connection is None and stream.has_ended:
        raise Trouble(f"{place} hung up before answering; is it a routeraudio daemon?")
    if connection is None:
        raise Trouble(f"{place} has not answered within {UPGRADE_S:.0f} s; is it a routeraudio daemon?")
    return connection


class _Watched(trio.abc.Stream):
    """A stream that cancels a scope when its peer hangs up: trio-websocket's handshake would not notice."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._scope: trio.CancelScope | None = None
        self.has_ended = False

    def watch(self, scope: trio.CancelScope | None) -> None:
        """From now on cancel this scope at the end of the stream."""
        self._scope = scope

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = b""
        try:
            data = await self._stream.receive_some(max_bytes)
        finally:
            if not data:
                self.has_ended = True
                if self._scope is not None:
                    self._scope.cancel()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _told(error: BaseException, target: SplitResult) -> Trouble:
    if isinstance(error, ConnectionRejected):
        return refused(error.status_code, error.body or b"")
    place = f"{target.scheme}://{target.netloc}"
    return Trouble(f"{place} does not speak WebSocket as expected ({type(error).__name__}); check --url")


def _reason(error: OSError) -> str:
    """The system's words without its address tuples; several addresses tried give a group as the cause."""
    first: BaseException = error if error.errno else error.__cause__ or error
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, OSError) and first.errno and not isinstance(first, socket.gaierror):
        return os.strerror(first.errno).lower()
    return (getattr(first, "strerror", None) or type(first).__name__).lower()
