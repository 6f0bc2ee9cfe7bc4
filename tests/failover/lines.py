"""The line between the daemon and a vendor, which is cut."""

import random
import socket
import struct
from collections.abc import Callable
from typing import Final

import trio

HEAD_BYTES: Final = 4096
"""More than an upgrade request and a vendor's first messages: behind that it is audio."""

CLOSE_1011: Final = b"\x88\x02\x03\xf3"
CLOSE_1000: Final = b"\x88\x02\x03\xe8"
REFUSAL: Final = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

WAYS: Final = ("reset", "end", "1011", "1000", "garbage", "stall", "slow", "refused")


Cut = Callable[[], tuple[str, float] | None]
"""How the next connection is cut, and how many seconds after its audio has begun; None: it is not."""


class Line:
    """Carries connections to a vendor, and cuts those that `cut` says.

    Args:
        cut: asked for each connection.
    """

    def __init__(self, port: int, cut: Cut) -> None:
        self._port = port
        self._cut = cut
        self._is_refusing = False
        self.cuts = 0

    async def serve(self, daemon: trio.SocketStream) -> None:
        """One connection of the daemon's."""
        if self._is_refusing:
            self._is_refusing = False
            await daemon.send_all(REFUSAL)
            return
        cut = self._cut()
        async with (
            await trio.open_tcp_stream("127.0.0.1", self._port) as vendor,
            trio.open_nursery() as nursery,
        ):
            audio = trio.Event()
            back = _Back()
            nursery.start_soon(_carry, daemon, vendor, nursery.cancel_scope, audio)
            nursery.start_soon(back.run, vendor, daemon, nursery.cancel_scope)
            if cut is not None:
                await audio.wait()
                await trio.sleep(cut[1])
                self.cuts += 1
                await self._end(cut[0], daemon, nursery, back)

    async def _end(self, way: str, daemon: trio.SocketStream, line: trio.Nursery, back: "_Back") -> None:
        await back.end()  # what the vendor says is heard by nobody any more
        if way in ("stall", "slow"):
            if way == "slow":
                daemon.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            return
        said = {"1011": CLOSE_1011, "1000": CLOSE_1000, "garbage": random.Random(1).randbytes(64)}.get(way)
        if said is not None:
            await daemon.send_all(said)
            await trio.sleep(0.2)
        if way == "refused":
            self._is_refusing = True
        if way != "end":
            daemon.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.cancel_scope.cancel()


class _Back:
    """From the vendor to the daemon."""

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    async def run(self, vendor: trio.SocketStream, daemon: trio.SocketStream, line: trio.CancelScope) -> None:
        with self._scope:
            await _carry(vendor, daemon, line)
        self._ended.set()

    async def end(self) -> None:
        self._scope.cancel()
        await self._ended.wait()


async def _carry(
    source: trio.SocketStream,
    sink: trio.SocketStream,
    line: trio.CancelScope,
    audio: trio.Event | None = None,
) -> None:
    carried = 0
    try:
        async for data in source:
            carried += len(data)
            if audio is not None and carried > HEAD_BYTES:
                audio.set()
            await sink.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    line.cancel()


async def open_line(line: Line, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve it until cancelled; `started` tells the port."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    task_status.started(listener.socket.getsockname()[1])
    await trio.serve_listeners(line.serve, [listener])
