"""Where an utterance begins and ends, decided by voice activity in *audio* time.

Audio is cut into frames of 32 ms, each of which the voice activity detector calls speech or not. An utterance
opens when enough of the last frames were speech, reaching back over some audio before them, and closes after
enough consecutive frames without. No clock is read: the same audio gives the same segments, however fast it
arrives and however it was split.

A long utterance closes at a shorter pause, and at the latest is cut where it is quietest; the audio behind the
cut begins the next one, so that no sample is lost or heard twice.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

import msgspec
import numpy as np

SAMPLE_RATE: Final = 16000
BYTES_PER_MS: Final = SAMPLE_RATE * 2 // 1000

FRAME_MS: Final = 32
"""What the detector's network takes."""
FRAME_BYTES: Final = FRAME_MS * BYTES_PER_MS

ONSET_WINDOW_FRAMES: Final = 8
ONSET_SPEECH_FRAMES: Final = 7
"""224 of 256 ms: a short "yes" passes (288 ms); clicks and single notes of music, mostly 160 ms, do not."""

LEAD_FRAMES: Final = ONSET_WINDOW_FRAMES + 14
"""Audio an utterance begins with: the onset window and 448 ms before it, for what the detector missed: soft
consonants, and on a telephone line a whole unstressed word."""
TAIL_FRAMES: Final = 10
"""Silence kept behind the last speech (320 ms)."""

ENDPOINTING_MS_MIN: Final = 210
"""Shorter silences occur inside words, before stop consonants."""
ENDPOINTING_MS_MAX: Final = 10_000

SEGMENT_MS_LONG: Final = 8_000
"""From here on the shortest silence closes: recognisers are best on short sentences, and a final comes sooner."""
SEGMENT_MS_MAX: Final = 15_000
"""A longer utterance is cut at its quietest place since `SEGMENT_MS_LONG`: bounds memory and the time of a final."""

QUIET_FRAMES: Final = 3
"""Over so many frames (96 ms) the quietest place is looked for: the closure of a stop consonant is shorter."""


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
        self._onset_bytes = 0
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
    def onset_ms(self) -> int:
        """Where the first speech of the open utterance is; its start where it continues one that was cut."""
        return self._onset_bytes // BYTES_PER_MS

    @property
    def open_pcm(self) -> bytearray:
        """The open utterance so far; not to be changed."""
        return self._open

    @property
    def quiet_frames(self) -> int:
        """Silence at the end of the open utterance."""
        return self._quiet_frames

    @property
    def quiet_pcm(self) -> bytes:
        """The open utterance with no more silence behind its last speech than is kept: what is handed over when it
        closes in silence."""
        surplus_frames = max(0, self._quiet_frames - TAIL_FRAMES)
        return bytes(self._open[: len(self._open) - surplus_frames * FRAME_BYTES])

    def feed(self, frame: bytes) -> Mark:
        """One frame of `FRAME_BYTES`. After `CLOSED` the caller must `take()` before the next frame."""
        speech = self._is_speech(frame)
        self._position_bytes += len(frame)
        if not self._open:
            self._recent.append((frame, speech))
            return self._begin() if self._is_onset() else Mark.IDLE
        self._open += frame
        self._quiet_frames = 0 if speech else self._quiet_frames + 1
        return Mark.CLOSED if self._is_over() or self._is_full() else Mark.OPEN

    def take(self, rest: bytes = b"") -> Segment:
        """Close the open utterance, `rest` (less than a frame) being its very end, and hand it over.

        Of one that is full only the part before its quietest place, and the rest stays open.
        """
        self._open += rest
        self._position_bytes += len(rest)
        if self._is_full() and not self._is_over():
            return self._cut()
        segment = Segment(self.start_ms, self.quiet_pcm)
        self._open = bytearray()
        self._quiet_frames = 0
        return segment

    def _cut(self) -> Segment:
        cut_bytes = _quietest(self._open)
        segment = Segment(self.start_ms, bytes(self._open[:cut_bytes]))
        del self._open[:cut_bytes]
        self._start_bytes += cut_bytes
        self._onset_bytes = self._start_bytes
        return segment

    def _begin(self) -> Mark:
        self._open += b"".join(frame for frame, _ in self._recent)
        self._start_bytes = self._position_bytes - len(self._open)
        quiet = next(index for index, (_, speech) in enumerate(self._recent) if speech)
        self._onset_bytes = self._start_bytes + quiet * FRAME_BYTES
        # Emptied, so that the lead of the next utterance cannot reach back into this one.
        self._recent.clear()
        return Mark.OPEN

    def _is_onset(self) -> bool:
        window = list(self._recent)[-ONSET_WINDOW_FRAMES:]
        return sum(speech for _, speech in window) >= ONSET_SPEECH_FRAMES

    def _is_over(self) -> bool:
        is_long = len(self._open) >= SEGMENT_MS_LONG * BYTES_PER_MS
        patience_frames = _frames(ENDPOINTING_MS_MIN) if is_long else self._patience_frames
        return self._quiet_frames >= min(patience_frames, self._patience_frames)

    def _is_full(self) -> bool:
        return len(self._open) >= SEGMENT_MS_MAX * BYTES_PER_MS


def _quietest(pcm: bytearray) -> int:
    """Where in a full utterance, in bytes, the least sound is."""
    samples = np.frombuffer(bytes(pcm), "<i2", len(pcm) // 2).astype(np.float64)
    frame_samples = FRAME_BYTES // 2
    whole = len(samples) // frame_samples
    energies = np.square(samples[: whole * frame_samples]).reshape(whole, frame_samples).sum(1)
    smooth = np.convolve(energies, np.ones(QUIET_FRAMES), "valid")
    first = _frames(SEGMENT_MS_LONG)
    middle = first + int(smooth[first:].argmin()) + QUIET_FRAMES // 2
    return middle * FRAME_BYTES + FRAME_BYTES // 2


def _frames(duration_ms: int) -> int:
    return -(-duration_ms // FRAME_MS)
