"""What all demuxers share: bytes fed and not yet read, how much work they may make, and silence for gaps.

Work is bounded as well as bytes, because bytes are chosen by whoever sends them. A turn has a number of steps, and what
is no audio stands against what is: a stream with more junk than sound ends in a fault.
"""

import math
from typing import Final

from routeraudio.audio.containers.packets import Packet, audio_error

TURN_STEPS_MAX: Final = 256
"""Work of one turn. A step (a packet, an element, a place looked at, 4 KiB searched) takes 2 to 5 µs: a millisecond."""

SEARCHED_BYTES: Final = 4096
"""Searched or summed up in one step."""

JUNK_BYTES_MAX: Final = 65_536
"""Bytes that are no part of any container or frame; as much as libavformat probes at most by our rules."""

_JUNK_PER_AUDIO: Final = 2
"""So many bytes of junk are forgiven for one of audio."""

SKIPPED_BYTES_MAX: Final = 16 << 20
"""What is well formed but no audio (cover pictures, tags, video). It is passed over, not kept."""

_SKIPPED_PER_PACKET: Final = 65_536
"""So many bytes of it are forgiven for one packet of audio: 26 Mbit/s of video beside 20 ms packets."""

_SKIPPED_BYTES_MIN: Final = 1024
"""What a piece of it counts at least, however small: each is looked at."""

GAP_S_MAX: Final = 600
"""A gap in the container's clock that silence takes the place of; where it jumps further, it is not a gap."""

GAPS_S_MAX: Final = 4 * 3600
"""All gaps of a stream together: as long as a session may last. Later ones are left out."""

_SILENCE_MS: Final = 200
"""Silence is handed on in pieces."""


SNIFF_BYTES: Final = 12

_MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"OggS", "Ogg"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"fLaC", "FLAC"),
    (0, b"ID3", "MP3"),
    (0, b"OpusHead", "bare Opus packets"),
    (8, b"WAVE", "WAV"),
    (8, b"AIFF", "AIFF"),
    (4, b"ftyp", "MP4"),
    (0, b"{", "JSON text"),
)


def check_magic(head: bytes, expected: str) -> None:
    """Refuse a well-known format that is another than announced, at its first bytes.

    Args:
        head: the first `SNIFF_BYTES`, or all there are.
        expected: one of the names above.
    """
    for start, magic, name in _MAGIC:
        if head.startswith(magic, start):
            if name != expected:
                raise audio_error(f"expected {expected}, found {name}; name the encoding that is sent")
            return


class Intake:
    """Bytes fed and not yet read. Base of the demuxers.

    Invariant: ``_data[_at:]`` is unread.
    """

    def __init__(self, expected: str) -> None:
        self._expected = expected
        """What `_junk_bytes` are not, for the fault."""
        self._data = b""
        self._at = 0
        self._steps_left: float = math.inf
        self._to_skip = 0
        self._is_ended = False
        self._is_checked = False
        self._junk_bytes = 0
        self._skipped_bytes = 0
        self._silence = self._silence_step = self._filled = 0
        """Samples: of a gap, still to be handed on; in a piece; of all gaps."""

    def begin_turn(self) -> None:
        """See `Demuxer.begin_turn`."""
        self._steps_left = TURN_STEPS_MAX

    @property
    def is_turn_over(self) -> bool:
        """See `Demuxer.is_turn_over`."""
        return self._steps_left <= 0

    def feed(self, data: bytes) -> None:
        """See `Demuxer.feed`."""
        self._data = self._data[self._at :] + data
        self._at = 0
        if self._to_skip:
            self._skip_on()

    def end(self) -> None:
        """See `Demuxer.end`."""
        self._is_ended = True

    def _has(self, length: int) -> bool:
        return len(self._data) - self._at >= length

    def _goes_on(self) -> bool:
        """Take one step, if the turn has one left."""
        if self._steps_left <= 0:
            return False
        self._steps_left -= 1
        return True

    def _searched(self, length: int) -> None:
        """``length`` bytes were looked at, beyond the step that did it."""
        self._steps_left -= length // SEARCHED_BYTES

    def _skip(self, length: int) -> None:
        """Pass over ``length`` bytes, also those that have not come yet; nothing is kept of them."""
        self._to_skip += length
        self._without_audio(0)
        self._skip_on()

    def _skip_on(self) -> None:
        step = min(self._to_skip, len(self._data) - self._at)
        self._at += step
        self._to_skip -= step
        self._skipped(step)

    def _without_audio(self, length: int) -> None:
        """A piece of ``length`` bytes was well formed, and no audio of ours."""
        self._skipped(max(length, _SKIPPED_BYTES_MIN))

    def _skipped(self, length: int) -> None:
        self._skipped_bytes += length
        if self._skipped_bytes > SKIPPED_BYTES_MAX:
            raise audio_error(
                f"expected {self._expected}s with audio, found none in {SKIPPED_BYTES_MAX >> 20} MiB"
            )

    def _junk(self, length: int) -> None:
        """``length`` bytes make no sense."""
        self._junk_bytes += length
        if self._junk_bytes > JUNK_BYTES_MAX:
            raise audio_error(f"expected {self._expected}s, found none in {JUNK_BYTES_MAX >> 10} KiB")

    def _audio(self, length: int) -> None:
        """A packet of ``length`` bytes: what was no audio stands against it."""
        if self._junk_bytes:
            self._junk_bytes = max(0, self._junk_bytes - _JUNK_PER_AUDIO * length)
        if self._skipped_bytes:
            self._skipped_bytes = max(0, self._skipped_bytes - _SKIPPED_PER_PACKET)

    # Gaps ----------------------------------------------------------------------------------------------------------

    def _fill(self, samples: int, sample_rate: int) -> None:
        """The clock says that ``samples`` are missing here: `_silent` hands them on."""
        if samples <= GAP_S_MAX * sample_rate and self._filled + samples <= GAPS_S_MAX * sample_rate:
            self._silence += samples
            self._filled += samples
            self._silence_step = sample_rate * _SILENCE_MS // 1000

    def _silent(self) -> Packet:
        """The next piece of a gap, while there is `_silence`."""
        samples = min(self._silence, self._silence_step)
        self._silence -= samples
        return Packet(b"", samples)

    def _is_head_right(self, name: str) -> bool:
        """Whether enough has come to tell that it is not another well-known format; see `check_magic`."""
        if not self._is_checked and (self._is_ended or self._has(SNIFF_BYTES)):
            check_magic(self._data[self._at : self._at + SNIFF_BYTES], name)
            self._is_checked = True
        return self._is_checked
