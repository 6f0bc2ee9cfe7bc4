"""Bytes that are read although nobody takes them yet, so that a peer's pings are answered.

A client that sends a file faster than its provider listens is not read on, and its own keepalive lies behind minutes
of audio: it would take us for dead. So what it sends is read ahead within bounds, and control frames are taken out of
it at once; everything else keeps its bytes and its order. Bounded per connection and for the whole process: beyond
that the peer is not read, and TCP slows it.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from websockets.frames import CLOSE, PING, PONG

from routeraudio.transport.frames import HEAD_BYTES, LENGTH_16, MASK_BIT, MASK_BYTES

_CONTROL_BYTES_MAX: Final = 125
"""RFC 6455, 5.5."""


class Total:
    """What all connections of a process have read ahead.

    Args:
        bytes_max: together.
    """

    __slots__ = ("bytes_max", "held_bytes")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.held_bytes = 0


class ReadAhead:
    """One connection's.

    Args:
        bytes_max: kept at the most, a read more or less.
        message_bytes_max: a frame above that is not looked into: whoever takes it says what is wrong with it.
        is_masked: whether the peer's frames are.
        on_control: called with each ping or pong, a whole frame.
    """

    __slots__ = (
        "_bytes_max",
        "_chunks",
        "_head",
        "_held_bytes",
        "_is_blind",
        "_is_masked",
        "_message_bytes_max",
        "_on_control",
        "_payload_left",
        "_total",
    )

    def __init__(
        self,
        total: Total,
        bytes_max: int,
        message_bytes_max: int,
        *,
        is_masked: bool,
        on_control: Callable[[bytes], None],
    ) -> None:
        self._total = total
        self._bytes_max = bytes_max
        self._message_bytes_max = message_bytes_max
        self._is_masked = is_masked
        self._on_control = on_control
        self._chunks: deque[bytes] = deque()
        self._held_bytes = 0
        self._head = b""
        """Of a frame, until it can be told."""
        self._payload_left = 0
        """Of a frame that is kept."""
        self._is_blind = False
        """Behind a close frame, or a frame that makes no sense, nothing is told any more."""

    @property
    def has_room(self) -> bool:
        """Whether more may be read."""
        return self._held_bytes < self._bytes_max and self._total.held_bytes < self._total.bytes_max

    def feed(self, data: bytes) -> None:
        """This was read."""
        if self._head:
            data, self._head = self._head + data, b""
        at, kept_from, end = 0, 0, len(data)
        while at < end and not self._is_blind:
            if self._payload_left:
                step = min(self._payload_left, end - at)
                self._payload_left -= step
                at += step
                continue
            frame_end = self._frame_end(data, at)
            if frame_end is None:
                break
            if data[at] & 0x0F in (PING, PONG) and not self._is_blind:
                if frame_end > end:
                    break
                self._keep(data[kept_from:at])
                self._on_control(data[at:frame_end])
                at = kept_from = frame_end
            else:
                self._payload_left = frame_end - at
        if self._is_blind:
            at = end
        self._keep(data[kept_from:at])
        self._head = data[at:]

    def next(self) -> bytes | None:
        """What comes next; None: nothing is kept any more."""
        if not self._chunks:
            head, self._head = self._head, b""
            return head or None
        chunk = self._chunks.popleft()
        self._held_bytes -= len(chunk)
        self._total.held_bytes -= len(chunk)
        return chunk

    def forget(self) -> None:
        """Nobody will take it."""
        self._total.held_bytes -= self._held_bytes
        self._held_bytes = 0
        self._chunks.clear()

    def _keep(self, data: bytes) -> None:
        if data:
            self._chunks.append(data)
            self._held_bytes += len(data)
            self._total.held_bytes += len(data)

    def _frame_end(self, data: bytes, at: int) -> int | None:
        """Where the frame at ``at`` ends, perhaps beyond the data; None: its head is not whole."""
        if len(data) - at < HEAD_BYTES:
            return None
        first, second = data[at], data[at + 1]
        length, start = second & 0x7F, at + HEAD_BYTES
        if length >= LENGTH_16:
            width = 2 if length == LENGTH_16 else 8
            if len(data) < start + width:
                return None
            length = int.from_bytes(data[start : start + width])
            start += width
        is_control = first & 0x08
        is_wrong = (
            bool(second & MASK_BIT) is not self._is_masked
            or length > self._message_bytes_max
            or (is_control and length > _CONTROL_BYTES_MAX)
        )
        if is_wrong or first & 0x0F == CLOSE:
            self._is_blind = True
        return start + (MASK_BYTES if self._is_masked else 0) + length
