"""What a transparent session is charged: the audio of a cycle may pass when the cycle is granted, and not before.

A message cannot be cut: one that holds several cycles waits until all of them are granted. Audio that has no size
lasts as long as the connection does, or as its bytes would at the lowest bit rate of speech.
"""

from collections.abc import Callable

import trio

from routeraudio.model.errors import Fault
from routeraudio.policy.pricing import cycles
from routeraudio.providers.native import AudioCounter
from routeraudio.session.audio_meter import CYCLE_MS
from routeraudio.session.credit import Credit


class AudioGate:
    """Stands between a client's messages and its provider.

    Args:
        meter: has read every message up to the one that wants to pass.
        on_refused: called once with the fault when no more will be granted.
    """

    def __init__(self, credit: Credit, meter: AudioCounter, *, on_refused: Callable[[Fault], None]) -> None:
        self._credit = credit
        self._meter = meter
        self._on_refused = on_refused
        self._paid_ms = 0
        """What has begun and is granted reaches to here: until then there is nothing to do."""
        self._clock_from_s: float | None = None
        self._is_ticking = trio.Event()
        self.cycles = 0
        """Begun."""
        self.passed_ms = 0
        """Audio that has passed."""
        self.is_shut = False
        """No more is granted."""

    def lets_pass(self) -> bool:
        """Whether the message that the meter read last may be sent."""
        audio_ms = self._audio_ms()
        if audio_ms > self._paid_ms and not self._pays(audio_ms):
            return False
        self.passed_ms = audio_ms
        return True

    async def wait(self) -> None:
        """Wait until the message may be sent, or no more may be."""
        while not (self.is_shut or self.lets_pass()):
            try:
                await self._credit.wait_granted(cycles(self._audio_ms()))
            except Fault as fault:
                self.is_shut = True
                self._on_refused(fault)
        await trio.lowlevel.checkpoint_if_cancelled()

    async def run(self) -> None:
        """Pay for the time of audio that has no size, cycle by cycle. Ends when shut."""
        await self._is_ticking.wait()
        await self.wait()
        while not self.is_shut:
            # The first millisecond of the next cycle begins it.
            await trio.sleep((max(0, self._paid_ms - self._audio_ms()) + 1) / 1000)
            await self.wait()

    def _pays(self, audio_ms: int) -> bool:
        needed = cycles(audio_ms)
        if self.is_shut or needed > self._credit.granted:
            return False
        if needed > self.cycles:
            self.cycles = needed
            self._credit.begun(needed)
        self._paid_ms = needed * CYCLE_MS
        return True

    def _audio_ms(self) -> int:
        meter = self._meter
        return meter.audio_ms + max(self._clock_ms() if meter.is_by_clock else 0, meter.floor_ms)

    def _clock_ms(self) -> int:
        """Time since the first audio without a size, which is a begun cycle at once."""
        now_s = trio.current_time()
        if self._clock_from_s is None:
            self._clock_from_s = now_s
            self._is_ticking.set()
        return 1 + int((now_s - self._clock_from_s) * 1000)
