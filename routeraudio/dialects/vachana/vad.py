"""Where speech begins and ends in a client's audio, in *audio* time.

The same audio gives the same segments, however fast it comes and however it is cut.

The detector is that of `audio.vad`. A segment ends with the silence that closed it, so that "finals now" stands behind
every word of it and before any word of the next. Longer than 30 s it is cut, from 20 s on at the next short silence.
"""

from typing import Final

import msgspec
import webrtcvad  # type: ignore[import-untyped]  # 2.0.14 ships no types; `vad.Detector` says what is used of it

from routeraudio.audio.transcode import transcoder
from routeraudio.audio.vad import Endpointer, Utterance
from routeraudio.dialects.segments import Segment
from routeraudio.model.audio import PCM_16K_MONO, AudioFormat

PADDING_MS: Final = 200
"""Audio before the first speech that counts as part of a segment: soft consonants are heard late."""

MODES: Final = 4
"""Of the detector, from the one that takes most for speech to the one that takes least."""

_HEARD_RATES: Final = frozenset({8000, 16_000, 48_000})
"""Sample rates in Hz that the detector hears as they are."""


class Began(msgspec.Struct, frozen=True):
    """Somebody speaks."""

    start_ms: int


Sound = bytes | Began | Segment
"""Audio, and what was noticed in it, behind the audio in which it was."""


class Ear:
    """Listens to one client.

    Args:
        audio: mono `pcm_s16le`.
        silence_ms: that ends a segment.
        threshold: 0 (all is speech) to 1; 0.5 is the detector's usual strictness.
    """

    def __init__(self, audio: AudioFormat, *, silence_ms: int, threshold: float) -> None:
        self._audio = audio
        heard = audio if audio.sample_rate in _HEARD_RATES else PCM_16K_MONO
        self._transcoder = transcoder(audio, heard)
        detector = webrtcvad.Vad(min(int(threshold * MODES), MODES - 1))
        self._endpointer = Endpointer(heard, silence_ms=silence_ms, detector=detector)
        self._half = b""
        """Part of a sample, until the rest of it comes."""
        self._passed_bytes = 0
        self._closed_ms = 0
        self._has_said_began = False

    def push(self, chunk: bytes) -> list[Sound]:
        """Audio of any length, in whole samples again, with what was noticed in its place."""
        chunk = self._half + chunk
        whole_bytes = len(chunk) & ~1
        self._half, chunk = chunk[whole_bytes:], chunk[:whole_bytes]
        sounds: list[Sound] = []
        done_bytes = 0
        for utterance in self._endpointer.push(self._transcoder.push(chunk)):
            cut_bytes = min(
                max(self._position_bytes(utterance.closed_ms) - self._passed_bytes, done_bytes), whole_bytes
            )
            sounds += [
                chunk[done_bytes:cut_bytes],
                *self._began(utterance.start_ms),
                self._segment(utterance),
            ]
            done_bytes = cut_bytes
        self._passed_bytes += whole_bytes
        sounds.append(chunk[done_bytes:])
        if self._endpointer.start_ms is not None:
            sounds += self._began(self._endpointer.start_ms)
        return [sound for sound in sounds if sound != b""]

    def finish(self) -> Segment | None:
        """No more audio: the open segment, if there is one."""
        start_ms, end_ms = self._endpointer.start_ms, self._endpointer.heard_ms
        if start_ms is None or start_ms >= end_ms:
            return None
        self._endpointer.cut()
        return self._segment(Utterance(start_ms, end_ms, end_ms))

    def _began(self, start_ms: int) -> list[Sound]:
        """Said once per segment."""
        if self._has_said_began:
            return []
        self._has_said_began = True
        return [Began(self._padded(start_ms))]

    def _segment(self, utterance: Utterance) -> Segment:
        segment = Segment(self._padded(utterance.start_ms), utterance.end_ms, utterance.closed_ms)
        self._closed_ms = utterance.closed_ms
        self._has_said_began = False
        return segment

    def _padded(self, start_ms: int) -> int:
        return max(start_ms - PADDING_MS, self._closed_ms)

    def _position_bytes(self, position_ms: int) -> int:
        return position_ms * self._audio.sample_rate // 1000 * 2
