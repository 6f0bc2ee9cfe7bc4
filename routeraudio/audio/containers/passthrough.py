"""A container on its way to an upstream that takes it as it is: untouched, counted, and able to begin again.

Nothing here judges the stream, the vendor does: what our demuxer cannot read is passed on all the same, only no
longer counted. When a connection is replaced in mid-stream, the new one gets the stream's header and then the
bytes from the next place where reading can begin: a block of WebM (in a cluster of our own making), a page of Ogg, a
frame of MP3. That is also what a decoder of ours needs to go on from there.
"""

from typing import Final

from routeraudio.audio.containers.packets import Demuxer, Header, Timeline
from routeraudio.model.errors import ClientFault

_HELD_BYTES_MAX: Final = 262_144
"""While a place to begin again is looked for. A page of Ogg has 64 KiB, a message usually far less."""


class ContainerPassthrough:
    """Follows a container's bytes."""

    def __init__(self, demuxer: Demuxer) -> None:
        self._demuxer = demuxer
        self._timeline = Timeline()
        self._is_followed = True
        self._length = 0
        """Bytes that went in."""
        self._restart_at: int | None = None
        """`_length` when the new connection came; None: it has been served."""
        self._held = b""
        """What came since."""
        self.resumed_ms: int | None = 0
        """See `Transcoder.resumed_ms`."""

    @property
    def is_sized(self) -> bool:
        """Whether all that came could be read, so that `source_ms` counts it."""
        return self._is_followed

    @property
    def source_ms(self) -> int:
        """Whole milliseconds of the source's audio."""
        return self._timeline.ms

    def restart(self) -> bool:
        """A new connection takes over: see `Transcoder.restart`."""
        if not self._is_followed:
            return False
        if self._length:
            # What is held for a connection that is gone again goes to the next one: it begins at the same place.
            self._restart_at = self._length - len(self._held)
            self.resumed_ms = None
        return True

    def push(self, data: bytes) -> bytes:
        """What goes on: ``data``, or what a new connection must have in its place."""
        self._length += len(data)
        if self._restart_at is None:
            if self._is_followed:
                self._follow(data)
            return data
        self._held += data
        resumed = self._follow(data)
        if resumed is None and self._is_followed and len(self._held) <= _HELD_BYTES_MAX:
            return b""
        self._restart_at = None
        if self.resumed_ms is None:
            self.resumed_ms = self.source_ms
        held, self._held = self._held, b""
        return held if resumed is None else resumed

    def _follow(self, data: bytes) -> bytes | None:
        """Count ``data``; what to give a new connection, at the first place from which it can go on."""
        resumed = None
        try:
            self._demuxer.feed(data)
            while True:
                item = self._demuxer.read()
                if resumed is None and self._restart_at is not None:
                    resumed = self._resumed(self._restart_at)
                if item is None:
                    return resumed
                if isinstance(item, Header):
                    self._timeline.header(item)
                else:
                    self._timeline.packet(item)
        except ClientFault:
            self._is_followed = False
            return resumed

    def _resumed(self, restart_at: int) -> bytes | None:
        boundary = self._demuxer.boundary
        if boundary < restart_at:
            return None
        self.resumed_ms = self.source_ms
        return self._demuxer.prelude() + self._held[boundary - restart_at :]
