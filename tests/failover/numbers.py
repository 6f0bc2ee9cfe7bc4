"""Speech of numbered words: which word it is lies in its pitch, so that whoever hears it again hears the same.

A word is 70 ms of a tone and 30 ms of silence. Pitches are 45 Hz apart and within a telephone's band, which mu-law,
Opus and resampling leave alone.
"""

import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import trio

from routeraudio.emulators.kit.heard import Heard, HeardWord

SAMPLE_RATE: Final = 16_000
WORD_MS: Final = 100
TONE_MS: Final = 70
WORDS: Final = 60
WORDS_MAX: Final = 8
"""Of an utterance; then it is closed without a pause."""
PAUSE_MS: Final = 700
PAUSE_EVERY: Final = 11

_LOWEST_HZ: Final = 400.0
_STEP_HZ: Final = 45.0
_FRAME: Final = SAMPLE_RATE // 100
_LOUD: Final = 4000.0
"""Root mean square of a frame inside a tone, at least."""
_FRAMES_MIN: Final = 5
"""Of 10 ms: what is left of a word whose beginning is cut off is no word."""


def speech(words: int = WORDS) -> bytes:
    """The numbers from 0, 16-bit mono at `SAMPLE_RATE`, with a pause now and then."""
    return b"".join(_word(number) for number in range(words))


def _word(number: int) -> bytes:
    times_s = np.arange(SAMPLE_RATE * TONE_MS // 1000) / SAMPLE_RATE
    tone = 14_000 * np.sin(2 * np.pi * (_LOWEST_HZ + _STEP_HZ * number) * times_s)
    pause_ms = WORD_MS - TONE_MS + (PAUSE_MS if number % PAUSE_EVERY == PAUSE_EVERY - 1 else 0)
    return tone.astype("<i2").tobytes() + bytes(2 * SAMPLE_RATE * pause_ms // 1000)


def start_ms(number: int) -> int:
    """Where a word begins in `speech`."""
    return number * WORD_MS + number // PAUSE_EVERY * PAUSE_MS


def numbers(text: str) -> list[int]:
    """Those in a transcript, however a vendor writes it."""
    return [int(number) for number in re.findall(r"[nN](\d+)", text)]


class NumberHear:
    """`Hear`: understands `speech`."""

    @asynccontextmanager
    async def open(self, *, endpointing_ms: int, partials: bool) -> AsyncIterator["NumberHearing"]:
        """See `Hear.open`."""
        yield NumberHearing(endpointing_ms, partials)


class NumberHearing:
    """`Hearing` of one channel."""

    def __init__(self, endpointing_ms: int, partials: bool) -> None:
        self._endpointing_ms = endpointing_ms
        self._partials = partials
        self._send, self._receive = trio.open_memory_channel[Heard](1_000_000)
        self._rest = b""
        self._frames = 0
        """Of 10 ms, looked at."""
        self._tone: deque[npt.NDArray[np.float64]] = deque()
        self._quiet_ms = 0
        self._words: list[HeardWord] = []

    async def send(self, pcm: bytes) -> None:
        """See `Hearing`."""
        await trio.lowlevel.checkpoint()
        data = self._rest + pcm
        frames = len(data) // (2 * _FRAME)
        self._rest = data[frames * 2 * _FRAME :]
        for frame in np.frombuffer(data[: frames * 2 * _FRAME], "<i2").astype(float).reshape(frames, _FRAME):
            self._listen(frame)

    async def finalize(self) -> None:
        """See `Hearing`."""
        await trio.lowlevel.checkpoint()
        self._close()

    async def finish(self) -> None:
        """See `Hearing`."""
        await self.finalize()
        self._send.close()

    def __aiter__(self) -> AsyncIterator[Heard]:
        return self._receive.__aiter__()

    def _listen(self, frame: npt.NDArray[np.float64]) -> None:
        self._frames += 1
        if np.sqrt(np.mean(frame * frame)) >= _LOUD:
            self._tone.append(frame)
            self._quiet_ms = 0
            return
        self._end_tone()
        self._quiet_ms += 10
        if self._quiet_ms == self._endpointing_ms // 10 * 10:
            self._tell("final")

    def _end_tone(self) -> None:
        frames, self._tone = list(self._tone), deque()
        if len(frames) < _FRAMES_MIN:
            return
        end_ms = (self._frames - 1) * 10
        text = f"n{_number(frames):03}"
        self._words.append(HeardWord(text, end_ms - len(frames) * 10, end_ms))
        if len(self._words) == WORDS_MAX:
            self._tell("final")
        elif self._partials:
            self._tell("partial")

    def _close(self) -> None:
        self._end_tone()
        self._tell("final")

    def _tell(self, kind: Any) -> None:
        words = tuple(self._words)
        if not words:
            return
        text = " ".join(word.text for word in words)
        self._send.send_nowait(Heard(kind, text, words[0].start_ms, words[-1].end_ms, words))
        if kind == "final":
            self._words = []


def _number(frames: Sequence[npt.NDArray[np.float64]]) -> int:
    tone = np.concatenate(frames)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 16_384))
    return round((np.argmax(spectrum) * SAMPLE_RATE / 16_384 - _LOWEST_HZ) / _STEP_HZ)
