"""The transcode stage: from the client's audio format to the one the adapter asked for."""

import math
import time
from collections.abc import Callable
from typing import Final

import trio

from routeraudio.audio.transcode import Transcoder
from routeraudio.dialects.base import Command, Control
from routeraudio.policy.pricing import CYCLE_S
from routeraudio.session.ingest import PIECE_BYTES
from routeraudio.session.link import Link

WORK_SHARE: Final = 0.1
"""Of a core. Opus and MP3 take 0.2 to 1 % in real time, so a recording may come ten times as fast at the least."""

WORK_BURST_S: Final = 0.1
"""What may be done at once: 10 s of the costliest audio, and a minute of most."""


class WorkBudget:
    """How much of the loop one session's decoding takes. What is sent faster than that waits."""

    def __init__(self) -> None:
        self._spent_s = 0.0
        self._since_s: float | None = None
        """Up to when the time that has passed was counted."""

    def spend(self, work_s: float) -> None:
        """Time that was taken."""
        self._spent_s += work_s

    @property
    def is_used_up(self) -> bool:
        """Whether `wait_s` must be asked."""
        return self._spent_s > WORK_BURST_S

    def wait_s(self, now_s: float) -> float:
        """How long to wait before more is done."""
        if not self.is_used_up:
            return 0.0
        if self._since_s is not None:
            self._spent_s = max(0.0, self._spent_s - (now_s - self._since_s) * WORK_SHARE)
        self._since_s = now_s
        return max(0.0, self._spent_s - WORK_BURST_S) / WORK_SHARE


class Transcode:
    """Turns chunks into chunks and lets controls pass in their place among them.

    No chunk that it hands on reaches over the border of two cycles: the first may be granted and the second not.

    Args:
        clock: seconds, by which work is measured: of this thread's own, whatever else the machine does meanwhile.
    """

    def __init__(
        self, transcoder: Transcoder, target: Link[Command], clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._transcoder = transcoder
        self._clock = clock
        self._budget = WorkBudget()
        self._is_work = not transcoder.is_passthrough or not transcoder.source.is_raw
        self._target = target
        audio = transcoder.target
        # A container's bytes are no measure of time.
        self._cycle_bytes = audio.bytes_per_second * CYCLE_S if audio.is_raw else math.inf
        self._border_bytes = self._cycle_bytes
        self.pushed_bytes = 0
        """Handed on."""

    async def wait(self) -> None:
        """See `Link`. A few bytes can hold minutes of audio, which are decoded as the next stage has room."""
        await self._turn()
        while self._transcoder.has_more:
            self._push(self._worked(b""))
            await self._turn()

    async def _turn(self) -> None:
        """Others have theirs; then there is room, and work to be had."""
        await trio.sleep(self._budget.wait_s(trio.current_time()))
        await self._target.room()

    def step(self, command: Command) -> bool:
        """See `Link`. Must wait when the next stage is full."""
        if isinstance(command, bytes):
            transcoder = self._transcoder
            chunk = self._worked(command) if self._is_work else transcoder.push(command)
            has_room = self._push(chunk) if chunk else True
            # After a long piece of work somebody else has a turn, and after the next one again.
            is_light = len(command) < PIECE_BYTES or not self._is_work
            return has_room and is_light and not (transcoder.has_more or self._budget.is_used_up)
        if command is Control.FINISH:
            self._push(self._transcoder.finish())
        return self._target.push(command)

    def position_ms(self, bytes_on: int) -> int:
        """How much of the source's audio is in the first ``bytes_on`` of what was handed on, whole milliseconds.

        Exact when that is all of it; within what waits in between by its share of the bytes.
        """
        return self._transcoder.source_ms * bytes_on // self.pushed_bytes if self.pushed_bytes else 0

    def _worked(self, data: bytes) -> bytes:
        began_s = self._clock()
        chunk = self._transcoder.push(data)
        self._budget.spend(self._clock() - began_s)
        return chunk

    def _push(self, chunk: bytes) -> bool:
        while self.pushed_bytes + len(chunk) > self._border_bytes:
            left_bytes = int(self._border_bytes) - self.pushed_bytes
            if left_bytes:
                self._target.push(chunk[:left_bytes])
                chunk = chunk[left_bytes:]
            self.pushed_bytes += left_bytes
            self._border_bytes += self._cycle_bytes
        self.pushed_bytes += len(chunk)
        return self._target.push(chunk) if chunk else True
