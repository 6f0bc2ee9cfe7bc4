"""A session's audio since the end of its last final, for the connection that comes after a lost one.

Kept as the session's first provider is sent it. Bounded in time and in bytes; what falls out beyond that can be sent to
nobody any more.
"""

from collections import deque
from typing import Final

import msgspec

from routeraudio.dialects.base import Command, Control
from routeraudio.model.audio import AudioFormat

OVERLAP_MS: Final = 300
"""Heard again before the last final's end: a recogniser needs to hear where a word begins."""

BYTES_MAX: Final = 2_097_152
"""30 s of the usual formats and 10 s of 48 kHz stereo PCM."""

ITEM_BYTES: Final = 64
"""What a chunk costs beside its audio, so that one-byte chunks are bounded too."""


class Replay(msgspec.Struct, frozen=True):
    """What a new connection is given before live audio."""

    begins_ms: int
    """Where in the session it begins."""
    commands: list[Command]
    """Audio, and the `FINALIZE`s that came among it."""


class Kept:
    """Keeps raw audio, whose bytes say where in the session they belong.

    Args:
        audio: its format.
        replay_s: as much is kept at the most.
    """

    __slots__ = ("_audio", "_begin_bytes", "_bytes_max", "_end_bytes", "_items", "_size_bytes")

    def __init__(self, audio: AudioFormat, replay_s: float) -> None:
        self._audio = audio
        self._bytes_max = min(int(audio.bytes_per_second * replay_s), BYTES_MAX)
        self._items: deque[Command] = deque()
        self._begin_bytes = 0
        """Where in the session's audio the first kept byte was."""
        self._end_bytes = 0
        self._size_bytes = 0

    def keep(self, command: Command) -> None:
        """This was sent. `FINISH` is not kept: it is said once, behind whatever is replayed."""
        if command is Control.FINISH:
            return
        self._items.append(command)
        self._size_bytes += ITEM_BYTES
        if isinstance(command, bytes):
            self._end_bytes += len(command)
            self._size_bytes += len(command)
        if self._size_bytes > self._bytes_max:
            self._shrink()

    def forget(self, until_ms: int) -> None:
        """Everything before is final; a little of it is kept all the same, see `OVERLAP_MS`."""
        from_bytes = self._place(until_ms)
        items = self._items
        while items:
            length = len(items[0]) if isinstance(items[0], bytes) else 0
            if self._begin_bytes + length > from_bytes:
                break
            self._drop()

    def since(self, until_ms: int) -> Replay:
        """What a new connection needs, when all before a position is final. Begins later where not all is kept."""
        from_bytes = max(self._place(until_ms), self._begin_bytes)
        # A chunk may have been let go in the middle of a sample.
        from_bytes += -from_bytes % self._audio.bytes_per_step
        commands: list[Command] = []
        at_bytes = self._begin_bytes
        for item in self._items:
            if isinstance(item, bytes):
                cut = max(0, from_bytes - at_bytes)
                at_bytes += len(item)
                item = item[cut:]
            if item and at_bytes >= from_bytes:
                commands.append(item)
        return Replay(self._audio.duration_ms(from_bytes), commands)

    def last(self, length: int) -> bytes:
        """The last ``length`` bytes of audio, or what there is of them."""
        found: list[bytes] = []
        for item in reversed(self._items):
            if length <= 0:
                break
            if isinstance(item, bytes):
                found.append(item[-length:])
                length -= len(item)
        return b"".join(reversed(found))

    def _place(self, until_ms: int) -> int:
        """The first byte that is still wanted when all before a position is final."""
        from_ms = max(0, until_ms - OVERLAP_MS)
        from_bytes = min(from_ms * self._audio.bytes_per_second // 1000, self._end_bytes)
        return from_bytes - from_bytes % self._audio.bytes_per_step

    def _shrink(self) -> None:
        """The oldest give way, some more than needed so that this is rare."""
        target_bytes = self._bytes_max - self._bytes_max // 16
        while self._items and self._size_bytes > target_bytes:
            self._drop()

    def _drop(self) -> None:
        item = self._items.popleft()
        length = len(item) if isinstance(item, bytes) else 0
        self._begin_bytes += length
        self._size_bytes -= length + ITEM_BYTES
