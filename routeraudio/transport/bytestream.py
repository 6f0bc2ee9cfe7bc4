"""A non-blocking socket, plain or TLS, as a Trio stream: what a connection is before it is a WebSocket.

Used for the short dialogue at the start of a connection (TLS handshake, HTTP head, upgrade) and to hand HTTP
requests to Hypercorn. `ssl.SSLSocket` is driven directly: `trio.SSLStream` costs several times as much per
message, and the streaming path needs the bare socket afterwards.
"""

import math
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import trio

T = TypeVar("T")
Wait = Callable[[socket.socket], Awaitable[None]]

READ_BYTES = 65_536
"""One read. A full second of 16 kHz PCM fits twice."""


class ByteStream(trio.abc.HalfCloseableStream):
    """Owns ``socket`` until `release()` or `aclose()`.

    Args:
        send_s: what one `send_all` may take: Hypercorn calls it inside a shield, where no deadline of ours reaches.
    """

    def __init__(self, sock: socket.socket, *, send_s: float = math.inf) -> None:
        sock.setblocking(False)
        self.socket = sock
        self._send_s = send_s
        self._unread = b""

    def unread(self, data: bytes) -> None:
        """Give back ``data``: the next `receive_some` returns it first."""
        self._unread = data + self._unread

    def release(self) -> socket.socket:
        """Pass the socket on to a new owner."""
        return self.socket

    async def start_tls(self, context: ssl.SSLContext, *, server_hostname: str | None = None) -> None:
        """Shake hands; as a client when ``server_hostname`` is given.

        Raises:
            ssl.SSLError, OSError: the handshake failed.
        """
        await trio.lowlevel.checkpoint()
        wrapped = context.wrap_socket(
            self.socket,
            server_side=server_hostname is None,
            server_hostname=server_hostname,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=True,
        )
        self.socket = wrapped
        await self._retry(wrapped.do_handshake, trio.lowlevel.wait_readable)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Up to ``max_bytes``; empty at the end of the stream.

        Raises:
            trio.BrokenResourceError: the connection is lost.
        """
        if self._unread:
            await trio.lowlevel.checkpoint()
            size = max_bytes or len(self._unread)
            data, self._unread = self._unread[:size], self._unread[size:]
            return data
        try:
            return await self._retry(
                lambda: self.socket.recv(max_bytes or READ_BYTES), trio.lowlevel.wait_readable
            )
        except OSError as exc:
            raise trio.BrokenResourceError("the peer reset the connection") from exc

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data``. A cancelled call may have written a part: the connection is then useless.

        Raises:
            trio.BrokenResourceError: the connection is lost, or the peer does not read.
        """
        rest = memoryview(data)
        with trio.move_on_after(self._send_s) as scope:
            try:
                while rest:
                    sent = await self._retry(partial(self.socket.send, rest), trio.lowlevel.wait_writable)
                    rest = rest[sent:]
            except OSError as exc:
                raise trio.BrokenResourceError("the peer reset the connection") from exc
        if scope.cancelled_caught:
            raise trio.BrokenResourceError(f"the peer has not read for {self._send_s:g} s")

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the kernel takes data."""
        await trio.lowlevel.wait_writable(self.socket)

    async def send_eof(self) -> None:
        """Say that nothing more will be written; whether anybody is left to hear it, reading will tell."""
        # First of all: Quart-Trio cancels the task in which Hypercorn calls this.
        half_close(self.socket)
        await trio.lowlevel.checkpoint()

    def close_now(self) -> None:
        """Close the socket, without a checkpoint."""
        close_socket(self.socket)

    async def aclose(self) -> None:
        """Close the socket."""
        self.close_now()
        await trio.lowlevel.checkpoint()

    async def _retry(self, call: Callable[[], T], would_block: Wait) -> T:
        while True:
            try:
                result = call()
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self.socket)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(self.socket)
            except BlockingIOError:
                await would_block(self.socket)
            else:
                await trio.lowlevel.checkpoint_if_cancelled()
                return result


def half_close(sock: socket.socket) -> None:
    """Say that nothing more will be written: clients wait for that before they close their side. Idempotent."""
    if isinstance(sock, ssl.SSLSocket):
        try:
            sock.unwrap()
        except (OSError, ValueError):
            pass  # close_notify is sent; the peer's, which this would wait for, is found by reading
    try:
        socket.socket.shutdown(sock, socket.SHUT_WR)  # SSLSocket's own would forget the TLS state
    except OSError:
        pass  # the peer was faster


def close_socket(sock: socket.socket) -> None:
    """Close ``sock`` and wake whoever waits on it. Never raises: a socket that is already gone is as good."""
    try:
        trio.lowlevel.notify_closing(sock)
        sock.close()
    except OSError:
        pass


def detach(stream: trio.SocketStream) -> socket.socket:
    """The stdlib socket under ``stream``, which is unusable afterwards."""
    return socket.socket(fileno=stream.socket.detach())
