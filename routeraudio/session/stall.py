"""A provider that is connected and has stopped listening: somebody speaks, and it says nothing.

Nothing is listened to while text comes. When none has come for `stall_s` of audio, what was sent since is looked at:
only if so much of it is speech is the provider asked for finals, and left when it stays silent. The detector is
WebRTC's (`audio.vad`), which takes steady noise, hum and held tones for speech too; but a speaker pauses between words
and is louder in some than in others, so sound without a gap, or of one loudness, is no speech. What else it takes for
speech, loud music for one, is settled by the provider: whoever answers is alive, and has heard no words in it.
"""

from typing import Final

import numpy as np
import webrtcvad  # type: ignore[import-untyped]  # see `audio.vad`
from numpy.typing import NDArray

from routeraudio.audio.g711 import MulawDecoder
from routeraudio.audio.pcm import downmix
from routeraudio.model.audio import AudioFormat
from routeraudio.session.replay import Kept

ANSWER_S: Final = 2.0
"""For any message of a provider that was asked for finals."""

LOOK_S: Final = 2.0
"""Audio between two looks where the first found too little speech. A look at so much takes some 0.2 ms."""

FRAME_MS: Final = 20

_MODE: Final = 3
"""The strictest: it flags 0 to 4 % of quiet noise of any colour, and 72 to 96 % of the clips of tests/assets."""

_RATES_HZ: Final = {8000: 1, 16_000: 1, 24_000: 3, 32_000: 1, 48_000: 1}
"""Sample rates, and by what they are divided for a detector that knows no 24 kHz."""

_SPEECH_SHARE: Final = 0.6
"""Of `stall_s`: the rest are gaps."""

_LEVELS_MAX: Final = 1000
"""Frames of speech whose level is compared: the last twenty seconds."""

_PAUSE_FRAMES: Final = 50
"""A second: a longer gap between two words is silence, which says nothing about what is around it."""

_GAPS_SHARE: Final = 0.02
"""Of 8 s and more of the clips read aloud without a stop, gaps are 5 to 10 %; of hum, loud noise and chords none."""

_SWING_DB: Final = 4.0
"""Standard deviation of the level of 20 ms frames: 9 to 10 dB in the clips, below 0.5 dB in noise of any colour."""


def hears(audio: AudioFormat) -> bool:
    """Whether this format can be listened to."""
    return audio.is_raw and audio.sample_rate in _RATES_HZ


class Stall:
    """Looks at one session's audio.

    Args:
        audio: what the provider is sent; one that `hears` knows.
        stall_s: speech without any text that makes a stall.
    """

    def __init__(self, audio: AudioFormat, stall_s: float) -> None:
        self._audio = audio
        self._mulaw = MulawDecoder(audio) if audio.encoding == "pcm_mulaw" else None
        self._factor = _RATES_HZ[audio.sample_rate]
        self._stall_ms = round(stall_s * 1000)
        self._look_bytes = int(audio.bytes_per_second * min(LOOK_S, stall_s))
        self._detector = webrtcvad.Vad(_MODE)
        self._is_armed = True
        self.text(0)

    def text(self, sent_bytes: int) -> None:
        """The provider has said something, when so much had been sent."""
        self._is_armed = True
        self.alive(sent_bytes)

    def alive(self, sent_bytes: int) -> None:
        """It has shown that it hears no words; or it is somebody else now."""
        self._speech_frames = self._gap_frames = self._quiet_frames = 0
        self._levels_db: list[float] = []
        self._looked_bytes = sent_bytes
        self.look_at_bytes = sent_bytes + self._audio.bytes_per_second * self._stall_ms // 1000
        """`look` has nothing to do before so much of the session's audio has been sent."""

    def left(self, sent_bytes: int) -> None:
        """The provider was left. If the next one hears no words either, there are none."""
        self._is_armed = False
        self.alive(sent_bytes)

    def look(self, kept: Kept, sent_bytes: int) -> bool:
        """Whether it has stopped listening.

        Args:
            kept: has what was sent since the last look.
            sent_bytes: of the session's audio, all in all.
        """
        new = kept.last(sent_bytes - self._looked_bytes)[: self._look_bytes]
        self._looked_bytes += len(new)
        # What is left is for the next chunks: nobody else waits for more than one look.
        self.look_at_bytes = max(sent_bytes + 1, self._looked_bytes + self._look_bytes)
        self._listen(new)
        speech, gaps = self._speech_frames, self._gap_frames
        is_enough = speech * FRAME_MS >= self._stall_ms * _SPEECH_SHARE
        return (
            self._is_armed
            and is_enough
            and gaps >= _GAPS_SHARE * (speech + gaps)
            and float(np.std(self._levels_db[-_LEVELS_MAX:])) >= _SWING_DB
        )

    def _listen(self, audio: bytes) -> None:
        if self._mulaw is not None:
            audio = self._mulaw.push(audio)
        channels = self._audio.channels * self._factor
        mono = downmix(audio, channels) if channels > 1 and audio else audio
        rate = self._audio.sample_rate // self._factor
        frame_bytes = rate * FRAME_MS // 1000 * 2
        is_speech = self._detector.is_speech
        spoken: list[int] = []
        for start in range(0, len(mono) - frame_bytes + 1, frame_bytes):
            if is_speech(mono[start : start + frame_bytes], rate):
                if self._speech_frames and self._quiet_frames <= _PAUSE_FRAMES:
                    self._gap_frames += self._quiet_frames
                self._speech_frames += 1
                spoken.append(start // frame_bytes)
                self._quiet_frames = 0
            else:
                self._quiet_frames += 1
        if spoken:
            self._levels_db += _levels_db(mono, frame_bytes)[spoken].tolist()
            del self._levels_db[:-_LEVELS_MAX]


def _levels_db(mono: bytes, frame_bytes: int) -> NDArray[np.float32]:
    """Of each frame: of the difference from sample to sample, in which rumble counts little."""
    samples = np.frombuffer(mono[: len(mono) // frame_bytes * frame_bytes], "<i2").astype(np.float32)
    steps = np.diff(samples.reshape(-1, frame_bytes // 2), axis=1)
    return np.asarray(10 * np.log10(np.einsum("ij,ij->i", steps, steps) / steps.shape[1] + 1), np.float32)
