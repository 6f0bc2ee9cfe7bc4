"""Where speech begins and ends, for vendors that leave the end of a turn to their client.

The detector is WebRTC's (package `webrtcvad-wheels`, BSD and MIT, no model files): 1.7 µs per frame of 20 ms and
1 KiB per stream, where Silero's network takes 220 µs and 11 MiB on disk. In speech with 10 dB of noise it finds the
same turns; whether a frame inside a word is speech does not matter here.

Everything is counted in *audio* time. No clock is read: the same audio gives the same utterances, however fast it
comes and however it is cut. The detector's own hangover keeps an utterance's last word whole, some 100 ms of it.
"""

from collections import deque
from typing import Final, Protocol

import msgspec
import webrtcvad  # type: ignore[import-untyped]  # 2.0.14 ships no types; `Detector` says what is used of it

from routeraudio.audio.g711 import MulawDecoder
from routeraudio.audio.pcm import downmix
from routeraudio.model.audio import AudioFormat

FRAME_MS: Final = 20
"""The detector takes 10, 20 or 30 ms. Most clients send 20, which then never waits for a next message."""

SILENCE_MS_MIN: Final = 200
"""Shorter silences occur inside words, before stop consonants."""

UTTERANCE_MS_MAX: Final = 30_000
"""A longer utterance is cut here, so that nothing grows for ever where there is steady noise."""

UTTERANCE_MS_LONG: Final = 20_000
"""From here on the shortest silence closes, so that the cut above rarely falls inside a word."""

_MODE: Final = 2
"""The second strictest of four: looser ones take steady noise for speech, the strictest cuts the ends of words."""

_WINDOW_FRAMES: Final = 15
_ONSET_FRAMES: Final = 10
"""200 of 300 ms open an utterance: the detector calls the first 100 ms of many a stream speech, and clicks too."""

_SPOKEN_FRAMES: Final = 6
"""120 of 300 ms are enough to ask whether something was said: a cut-off "yes" must not be thrown away."""

_FACTORS: Final = {8000: 1, 16_000: 1, 24_000: 3, 32_000: 1, 48_000: 1}
"""Sample rates in Hz, and by what they are divided for a detector that knows no 24 kHz."""


class Detector(Protocol):
    """Tells speech from the rest, frame by frame."""

    def is_speech(self, buf: bytes, sample_rate: int) -> bool:
        """Whether a frame of mono `pcm_s16le` is speech; remembers what came before it."""


class Utterance(msgspec.Struct, frozen=True):
    """Speech between two silences, on the stream's own timeline."""

    start_ms: int
    end_ms: int
    """Where the last speech ended."""
    closed_ms: int
    """Where it was clear that it had: a whole number of frames."""
    is_over: bool = True
    """False: cut for its length while the speaker went on."""


class Endpointer:
    """Cuts one stream into utterances.

    Args:
        audio: mono `pcm_s16le` or `pcm_mulaw`, at 8, 16, 24, 32 or 48 kHz.
        silence_ms: silence that closes an utterance, at least `SILENCE_MS_MIN`; rounded up to whole frames.
        detector: for tests.

    Raises:
        ValueError: no detector hears this format.
    """

    def __init__(self, audio: AudioFormat, *, silence_ms: int, detector: Detector | None = None) -> None:
        if not audio.is_raw or audio.channels != 1 or audio.sample_rate not in _FACTORS:
            raise ValueError(f"no voice activity detector hears {audio}; use mono at {sorted(_FACTORS)} Hz")
        self._detector: Detector = webrtcvad.Vad(_MODE) if detector is None else detector
        self._mulaw = MulawDecoder(audio) if audio.encoding == "pcm_mulaw" else None
        self._factor = _FACTORS[audio.sample_rate]
        self._rate = audio.sample_rate // self._factor
        self._frame_bytes = self._rate * FRAME_MS // 1000 * 2
        self._source_frame_bytes = audio.bytes_per_second * FRAME_MS // 1000
        self._patience_ms = max(silence_ms, SILENCE_MS_MIN)
        self._rest = b""
        self._recent: deque[bool] = deque(maxlen=_WINDOW_FRAMES)
        self._recent_speech = 0
        self._start_ms: int | None = None
        self._speech_ms = 0
        """End of the last frame of speech."""
        self.heard_ms = 0
        """Audio listened to, in whole frames."""
        self.spoken_ms = 0
        """End of the last audio in which something may have been said; 0: there was none."""

    @property
    def start_ms(self) -> int | None:
        """Where the open utterance began; None: none is open."""
        return self._start_ms

    @property
    def is_quiet(self) -> bool:
        """Whether nobody speaks, and nobody may just be beginning to."""
        return self._start_ms is None and not self._recent_speech

    def push(self, chunk: bytes) -> list[Utterance]:
        """Listen to audio of any length; the utterances that ended in it."""
        closed = []
        pcm = self._frames(chunk)
        for start in range(0, len(pcm), self._frame_bytes):
            utterance = self._frame(pcm[start : start + self._frame_bytes])
            if utterance is not None:
                closed.append(utterance)
        return closed

    def cut(self) -> None:
        """The caller has ended the open utterance here; if the speaker goes on, that is another one."""
        if self._start_ms is not None:
            self._start_ms = self.heard_ms

    def _frames(self, chunk: bytes) -> bytes:
        """Whole frames as the detector takes them; what is left over waits for the next chunk."""
        data = self._rest + chunk if self._rest else chunk
        end = len(data) - len(data) % self._source_frame_bytes
        self._rest = data[end:]
        pcm = data[:end]
        if self._mulaw is not None:
            pcm = self._mulaw.push(pcm)
        # The mean of each three samples, as if they were channels: crude, and no worse to this detector's ears
        # than a real filter (same flags but for a few frames at the edges).
        return downmix(pcm, self._factor) if self._factor > 1 and pcm else pcm

    def _frame(self, frame: bytes) -> Utterance | None:
        is_speech = self._detector.is_speech(frame, self._rate)
        self.heard_ms += FRAME_MS
        self._remember(is_speech)
        if is_speech:
            self._speech_ms = self.heard_ms
            if self._recent_speech >= _SPOKEN_FRAMES:
                self.spoken_ms = self.heard_ms
        if self._start_ms is None:
            if self._recent_speech >= _ONSET_FRAMES:
                self._start_ms = self._onset_ms()
            return None
        return self._close() if self._is_over() else None

    def _remember(self, is_speech: bool) -> None:
        if len(self._recent) == _WINDOW_FRAMES:
            self._recent_speech -= self._recent[0]
        self._recent.append(is_speech)
        self._recent_speech += is_speech

    def _onset_ms(self) -> int:
        """Where the first speech of the window began."""
        return self.heard_ms - (len(self._recent) - self._recent.index(True)) * FRAME_MS

    def _is_over(self) -> bool:
        assert self._start_ms is not None
        length_ms = self.heard_ms - self._start_ms
        patience_ms = SILENCE_MS_MIN if length_ms >= UTTERANCE_MS_LONG else self._patience_ms
        return self.heard_ms - self._speech_ms >= patience_ms or length_ms >= UTTERANCE_MS_MAX

    def _close(self) -> Utterance | None:
        """End the open utterance; a speaker who goes on opens the next one at once."""
        start_ms, end_ms = self._start_ms, self._speech_ms
        assert start_ms is not None
        is_over = self.heard_ms - end_ms >= SILENCE_MS_MIN
        self._start_ms = None if is_over else self.heard_ms
        if is_over:
            self._recent.clear()
            self._recent_speech = 0
        if end_ms <= start_ms:
            return None  # `cut` has taken all of it
        return Utterance(start_ms, end_ms, self.heard_ms, is_over)
