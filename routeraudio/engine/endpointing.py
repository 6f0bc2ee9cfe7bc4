"""Where an utterance begins and ends, decided by voice activity in *audio* time.

Audio is cut into frames of 30 ms, each of which the voice activity detector calls speech or not. An utterance opens
when most of the last ten frames were speech, reaching back over some audio before them, and closes after enough
consecutive frames without. No clock is read: the same audio gives the same segments, however fast it arrives and
however it was split.

PocketSphinx's own `Endpointer` was tried and not taken: one window serves it for opening and closing, so that
`endpointing_ms` would also delay the opening; it can neither be told to close now nor bounds an utterance; and it
counts seconds in single precision, which drifts within the hour.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

import msgspec

SAMPLE_RATE: Final = 16000
BYTES_PER_MS: Final = SAMPLE_RATE * 2 // 1000

FRAME_MS: Final = 30
"""The longest the detector (webrtc) takes, and PocketSphinx's default."""
FRAME_BYTES: Final = FRAME_MS * BYTES_PER_MS

ONSET_WINDOW_FRAMES: Final = 10
ONSET_SPEECH_FRAMES: Final = 7
"""210 of 300 ms: a short "yes" passes; the detector calls the first three frames of any stream speech."""

LEAD_FRAMES: Final = 13
"""Audio an utterance begins with (390 ms): the onset window, and soft consonants the detector missed before it."""
TAIL_FRAMES: Final = 10
"""Silence kept behind the last speech (300 ms): more of it would pull the cepstral mean towards the noise."""

ENDPOINTING_MS_MIN: Final = 210
"""Shorter silences occur inside words, before stop consonants."""
ENDPOINTING_MS_MAX: Final = 10_000

SEGMENT_MS_MAX: Final = 30_000
"""A longer utterance is cut here: bounds memory and the time of the second pass."""
SEGMENT_MS_LONG: Final = 20_000
"""From here on the shortest silence closes, so that the cut above rarely falls inside a word."""


class Mark(Enum):
    """What one frame did."""

    IDLE = auto()
    """No utterance is open."""
    OPEN = auto()
    """The frame belongs to the open utterance (and may have opened it)."""
    CLOSED = auto()
    """The frame was the last of its utterance, which `Endpointer.take()` hands over."""


class Segment(msgspec.Struct, frozen=True):
    """The audio of one utterance."""

    start_ms: int
    pcm: bytes


class Endpointer:
    """Cuts one stream of 16 kHz mono PCM into utterances.

    Args:
        is_speech: the voice activity detector; takes one frame.
        endpointing_ms: silence that closes an utterance; brought into `ENDPOINTING_MS_MIN` … `_MAX` and rounded
            up to whole frames.
    """

    def __init__(self, is_speech: Callable[[bytes], bool], endpointing_ms: int) -> None:
        self._is_speech = is_speech
        self._patience_frames = _frames(min(max(endpointing_ms, ENDPOINTING_MS_MIN), ENDPOINTING_MS_MAX))
        self._recent: deque[tuple[bytes, bool]] = deque(maxlen=LEAD_FRAMES)
        self._position_bytes = 0
        self._start_bytes = 0
        self._open = bytearray()
        self._quiet_frames = 0

    @property
    def is_open(self) -> bool:
        """Whether an utterance has begun and not been taken."""
        return bool(self._open)

    @property
    def start_ms(self) -> int:
        """Where the open utterance begins."""
        return self._start_bytes // BYTES_PER_MS

    @property
    def open_pcm(self) -> bytearray:
        """The open utterance so far; not to be changed."""
        return self._open

    def feed(self, frame: bytes) -> Mark:
        """One frame of `FRAME_BYTES`. After `CLOSED` the caller must `take()` before the next frame."""
        speech = self._is_speech(frame)
        self._position_bytes += len(frame)
        if not self._open:
            self._recent.append((frame, speech))
            return self._begin() if self._is_onset() else Mark.IDLE
        self._open += frame
        self._quiet_frames = 0 if speech else self._quiet_frames + 1
        return Mark.CLOSED if self._is_over() else Mark.OPEN

    def take(self, rest: bytes = b"") -> Segment:
        """Close the open utterance, `rest` (less than a frame) being its very end, and hand it over."""
        self._open += rest
        self._position_bytes += len(rest)
        surplus_frames = max(0, self._quiet_frames - TAIL_FRAMES)
        length_bytes = len(self._open) - surplus_frames * FRAME_BYTES
        segment = Segment(self.start_ms, bytes(self._open[:length_bytes]))
        self._open = bytearray()
        self._quiet_frames = 0
        return segment

    def _begin(self) -> Mark:
        self._open += b"".join(frame for frame, _ in self._recent)
        self._start_bytes = self._position_bytes - len(self._open)
        # Emptied, so that the lead of the next utterance cannot reach back into this one.
        self._recent.clear()
        return Mark.OPEN

    def _is_onset(self) -> bool:
        window = list(self._recent)[-ONSET_WINDOW_FRAMES:]
        return sum(speech for _, speech in window) >= ONSET_SPEECH_FRAMES

    def _is_over(self) -> bool:
        length_ms = len(self._open) // BYTES_PER_MS
        is_long = length_ms >= SEGMENT_MS_LONG
        patience_frames = _frames(ENDPOINTING_MS_MIN) if is_long else self._patience_frames
        return self._quiet_frames >= patience_frames or length_ms >= SEGMENT_MS_MAX


def _frames(duration_ms: int) -> int:
    return -(-duration_ms // FRAME_MS)
