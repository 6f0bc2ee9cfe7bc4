"""A container on its way to an upstream that takes it: read into packets, counted, and written anew (`muxing`).

Its audio is not touched. What is not audio does not reach the provider, so what is counted is all that it hears, and
bytes that we cannot read are an error, not a discount. When a connection is replaced in mid-stream, the new one gets a
header and the packets from there on, or those of a while before that if they were to be kept.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from routeraudio.audio.containers.muxing import Muxer
from routeraudio.audio.containers.packets import Demuxer, Header, Packet, Reader

KEPT_BYTES_MAX: Final = 2_097_152
"""As of raw audio (`session.replay`)."""

PACKET_BYTES: Final = 128
"""What a kept packet costs beside its data."""


class ContainerPassthrough:
    """Follows a container's packets. Implements what `Transcoder` asks for but its formats.

    Args:
        muxer: makes what writes for one connection.
    """

    def __init__(self, demuxer: Demuxer, muxer: Callable[[], Muxer]) -> None:
        self._reader = Reader(demuxer)
        self._make_muxer = muxer
        self._muxer = muxer()
        self._header: Header | None = None
        """Of the stream that is open."""
        self._is_new = False
        """Whether a new connection waits for a header."""
        self.resumed_ms = 0
        """See `Transcoder.resumed_ms`."""
        self._keep_ms = 0
        self._kept: deque[tuple[int, Packet]] = deque()
        """Packets of the open stream, with where they begin."""
        self._kept_bytes = 0

    @property
    def source_ms(self) -> int:
        """See `Transcoder.source_ms`."""
        return self._reader.ms

    @property
    def has_more(self) -> bool:
        """See `Transcoder.has_more`."""
        return self._reader.has_more

    def keep(self, duration_s: float) -> None:
        """See `Transcoder.keep`."""
        self._keep_ms = int(duration_s * 1000)

    def forget(self, until_ms: int) -> None:
        """See `Transcoder.forget`."""
        while self._kept and self._kept[0][0] < until_ms:
            self._drop()

    def restart(self, since_ms: int | None = None) -> bytes:
        """See `Transcoder.restart`."""
        self._is_new = self._header is not None
        self._muxer = self._make_muxer()
        self.resumed_ms = self._reader.ms
        if since_ms is None or not self._is_new:
            return b""
        again = [(at_ms, packet) for at_ms, packet in self._kept if at_ms >= since_ms]
        if again:
            self.resumed_ms = again[0][0]
        return self._written([packet for _, packet in again])

    def push(self, data: bytes) -> bytes:
        """See `Transcoder.push`."""
        self._reader.feed(data)
        return self._turn()

    def finish(self) -> bytes:
        """See `Transcoder.finish`."""
        self._reader.end()
        out = [self._turn()]
        while self.has_more:
            out.append(self._turn())
        self._reader.check_begun()
        return b"".join(out)

    def _turn(self) -> bytes:
        out: list[bytes] = []
        run: list[Packet] = []
        at_ms = self._reader.ms
        for item in self._reader.turn():
            if isinstance(item, Header):
                self._kept.clear()  # of another stream
                self._kept_bytes = 0
                out.append(self._written(run))
                run = []
                self._header, self._is_new = item, False
                out.append(self._muxer.begin(item, skip_samples=item.skip_samples))
            else:
                run.append(item)
                if self._keep_ms:
                    self._keeps(at_ms, item)
            at_ms = self._reader.ms
        out.append(self._written(run))
        return b"".join(out)

    def _keeps(self, at_ms: int, packet: Packet) -> None:
        self._kept.append((at_ms, packet))
        self._kept_bytes += len(packet.data) + PACKET_BYTES
        while self._kept_bytes > KEPT_BYTES_MAX or at_ms - self._kept[0][0] > self._keep_ms:
            self._drop()

    def _drop(self) -> None:
        _, packet = self._kept.popleft()
        self._kept_bytes -= len(packet.data) + PACKET_BYTES

    def _written(self, run: list[Packet]) -> bytes:
        if not run:
            return b""
        begun = b""
        if self._is_new and self._header is not None:
            self._is_new = False
            begun = self._muxer.begin(self._header, skip_samples=0)
        return begun + self._muxer.packets(run)
