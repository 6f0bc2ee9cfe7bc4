"""The transcode stage: from the client's audio format to the one the adapter asked for."""

import math

import trio

from routeraudio.audio.transcode import Transcoder
from routeraudio.dialects.base import Command, Control
from routeraudio.policy.pricing import CYCLE_S
from routeraudio.session.ingest import PIECE_BYTES
from routeraudio.session.link import Link


class Transcode:
    """Turns chunks into chunks and lets controls pass in their place among them.

    No chunk that it hands on reaches over the border of two cycles: the first may be granted and the second not.
    """

    def __init__(self, transcoder: Transcoder, target: Link[Command]) -> None:
        self._transcoder = transcoder
        self._target = target
        audio = transcoder.target
        # A container's bytes are no measure of time.
        self._cycle_bytes = audio.bytes_per_second * CYCLE_S if audio.is_raw else math.inf
        self._border_bytes = self._cycle_bytes
        self.pushed_bytes = 0
        """Handed on."""

    async def wait(self) -> None:
        """See `Link`. A few bytes can hold minutes of audio, which are decoded as the next stage has room."""
        await trio.lowlevel.checkpoint()
        await self._target.room()
        while self._transcoder.has_more:
            self._push(self._transcoder.push(b""))
            await trio.lowlevel.checkpoint()
            await self._target.room()

    def step(self, command: Command) -> bool:
        """See `Link`. Must wait when the next stage is full."""
        if isinstance(command, bytes):
            transcoder = self._transcoder
            chunk = transcoder.push(command)
            has_room = self._push(chunk) if chunk else True
            # After a long piece of work somebody else has a turn, and after the next one again.
            is_light = transcoder.is_passthrough or not (transcoder.has_more or len(command) >= PIECE_BYTES)
            return has_room and is_light
        if command is Control.FINISH:
            self._push(self._transcoder.finish())
        return self._target.push(command)

    def position_ms(self, bytes_on: int) -> int:
        """How much of the source's audio is in the first ``bytes_on`` of what was handed on, whole milliseconds.

        Exact when that is all of it; within what waits in between by its share of the bytes.
        """
        return self._transcoder.source_ms * bytes_on // self.pushed_bytes if self.pushed_bytes else 0

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
