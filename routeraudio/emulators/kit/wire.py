"""The byte stream under an emulator's WebSocket, with bounds and with misbehaviour.

trio-websocket sends without a deadline, and reads as long as the connection lives. This wrapper adds the
deadline, a lock (so that raw bytes can be slipped between its frames), and two faults: to stop reading,
and to reset.
"""

import socket
import struct
from typing import Final

import trio

SEND_S: Final = 10.0
"""A client that does not read for this long is dropped."""

DEAF_S: Final = 600.0
"""A connection that is not read is dropped after this long; nothing else would notice that the peer left."""


class Wire(trio.abc.Stream):
    """A stream whose sends are bounded. Owns ``stream`` and closes it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._sending = trio.Lock()
        self._is_deaf = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send, or end the connection: half a frame must never be followed by another.

        Raises:
            trio.BrokenResourceError: the peer did not read for `SEND_S`, or has gone.
        """
        try:
            with trio.fail_after(SEND_S):
                async with self._sending:
                    await self._stream.send_all(data)
        except trio.TooSlowError as error:
            await trio.aclose_forcefully(self._stream)
            raise trio.BrokenResourceError("the client has stopped reading") from error
        except trio.Cancelled:
            await trio.aclose_forcefully(self._stream)
            raise

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """See `trio.abc.ReceiveStream`."""
        if not self._is_deaf:
            data = await self._stream.receive_some(max_bytes)
            if not self._is_deaf:
                return data
        await trio.sleep(DEAF_S)
        raise trio.BrokenResourceError("nobody has been reading here")

    async def aclose(self) -> None:
        """Close without waiting."""
        await trio.aclose_forcefully(self._stream)

    def stop_reading(self) -> None:
        """Never read again: what the client sends fills the kernel's buffers, then its own."""
        self._is_deaf = True

    def reset_on_close(self) -> None:
        """Make the coming close a TCP reset, as a crashed host or a broken middlebox would."""
        if isinstance(self._stream, trio.SocketStream):
            self._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
