"""A vendor that hears numbered words: which word it is lies in the audio itself, so that a replay gives the same one.

out: audio as it is · FINALIZE · FINISH
in:  {"is": "ready" | "partial" | "final" | "end", "words": [[text, start_ms, end_ms], …], "end_ms": …}
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import trio

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import Fault, UpstreamFault
from routeraudio.model.events import Event, Failed, Final, Finished, Partial, Ready, TurnEnd, Word
from routeraudio.model.message import Message
from routeraudio.providers.base import Dial
from routeraudio.providers.faults import Faults
from tests.session.fakes import FakeStream

AUDIO = AudioFormat("pcm_s16le", 16000)
CHUNK_MS = 100
CHUNK_SAMPLES = AUDIO.sample_rate * CHUNK_MS // 1000
PAUSE = bytes(2 * CHUNK_SAMPLES)
FIRST = 100


def word(number: int) -> bytes:
    """A chunk that holds its number, and ends in a little silence."""
    voice = np.full(CHUNK_SAMPLES * 8 // 10, FIRST + number, "<i2").tobytes()
    return voice + bytes(len(PAUSE) - len(voice))


class NumberedAdapter:
    """See the module.

    Args:
        has_times: whether words have times of their own.
    """

    is_ready_when_opened = False

    def __init__(self, audio_format: AudioFormat = AUDIO, *, has_times: bool = True) -> None:
        self.audio_format = audio_format
        self._has_times = has_times
        self._faults = Faults("Numbered", None)
        self._is_finishing = False

    def dial(self) -> Dial:
        return Dial("ws://vendor.invalid/")

    def refused(self, status: int, body: bytes) -> Fault:
        return self._faults.refused(status)

    def opened(self) -> Sequence[Message]:
        return ()

    def audio(self, chunk: bytes) -> Sequence[Message]:
        assert not self._is_finishing
        return (chunk,)

    def finalize(self) -> Sequence[Message]:
        return ("FINALIZE",)

    def finish(self) -> Sequence[Message]:
        self._is_finishing = True
        return ("FINISH",)

    def received(self, message: Message) -> Sequence[Event]:
        try:
            said = json.loads(message)
        except ValueError:
            return (Failed(UpstreamFault("Numbered sent garbage", is_retryable=True)),)
        if said["is"] == "ready":
            return (Ready(),)
        if said["is"] == "end":
            return (Finished(),)
        words = tuple(Word(text, start_ms, end_ms) for text, start_ms, end_ms in said["words"])
        text = " ".join(one.text for one in words)
        told = words if self._has_times else None
        start_ms = words[0].start_ms if words else said["end_ms"]
        if said["is"] == "partial":
            return (Partial(text, start_ms, said["end_ms"], told),)
        final = Final(text, start_ms, said["end_ms"], told)
        return (final, TurnEnd(said["end_ms"])) if said.get("turn") else (final,)

    def closed(self, code: int | None, reason: str) -> Sequence[Event]:
        return (Failed(self._faults.closed(code, reason)),)

    def due_s(self) -> float | None:
        return None

    def tick(self, now_s: float) -> Sequence[Message]:
        return ()


class NumberedVendor(FakeStream):
    """One connection to it.

    Args:
        words_max: an utterance is cut after so many words.
        jitter_ms: what its times are off.
        delay_s: how late it is.
        ready_after_s: how long it takes before it says that it is ready.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        words_max: int = 7,
        jitter_ms: int = 0,
        delay_s: float = 0.05,
        ready_after_s: float = 0.0,
    ) -> None:
        super().__init__()
        self._words_max = words_max
        self._jitter_ms = jitter_ms
        self._delay_s = delay_s
        self._ready_after_s = ready_after_s
        self._send, self._receive = trio.open_memory_channel[Message](1_000_000)
        self._value = 0
        self._run = self._heard = self._quiet = 0
        self._words: list[tuple[str, int, int]] = []
        self.is_stalled = False
        nursery.start_soon(self._work)

    def send(self, message: Message) -> None:
        super().send(message)
        if self.is_open:
            self._send.send_nowait(message)

    async def _work(self) -> None:
        await trio.sleep(self._ready_after_s)
        await self._say("ready")
        async for message in self._receive:
            await trio.sleep(self._delay_s / 10)
            if self.is_stalled:
                continue
            if isinstance(message, bytes):
                await self._listen(np.frombuffer(message, "<i2"))
            else:
                self._end_run()
                await self._final()
                if message == "FINISH":
                    await trio.sleep(self._delay_s)
                    await self._say("end")

    async def _listen(self, samples: "np.ndarray[Any, Any]") -> None:
        count = len(self._words)
        edges = [0, *(np.flatnonzero(np.diff(samples)) + 1).tolist(), len(samples)]
        for start, stop in pairwise(edges):
            value = int(samples[start])
            if value != self._value:
                self._end_run()
                self._value = value
            self._run += stop - start
            self._heard += stop - start
            self._quiet = self._quiet + stop - start if not value else 0
        if len(self._words) >= self._words_max or (self._quiet >= CHUNK_SAMPLES and self._words):
            await self._final()
        elif len(self._words) > count:
            await self._say("partial", words=self._words, end_ms=self._ms(self._heard))

    def _end_run(self) -> None:
        """A word, if enough of it was heard."""
        if self._value and self._run >= CHUNK_SAMPLES // 2:
            end_ms = self._ms(self._heard)
            start_ms = self._ms(self._heard - self._run)
            self._words.append((str(self._value - FIRST), start_ms, end_ms))
        self._run = 0

    async def _final(self) -> None:
        words, self._words = self._words, []
        if words:
            end_ms = words[-1][2]
            await self._say("final", words=words, end_ms=end_ms, turn=self._quiet >= CHUNK_SAMPLES)

    def _ms(self, samples: int) -> int:
        return max(0, samples * 1000 // AUDIO.sample_rate + self._jitter_ms)

    async def _say(self, what: str, **more: object) -> None:
        if self.is_open:
            await self.says(json.dumps({"is": what, **more}))
