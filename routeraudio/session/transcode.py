"""The transcode stage: from the client's audio format to the one the adapter asked for."""

import trio

from routeraudio.audio.transcode import Transcoder
from routeraudio.dialects.base import Command, Control
from routeraudio.session.ingest import PIECE_BYTES
from routeraudio.session.link import Link


class Transcode:
    """Turns chunks into chunks and lets controls pass in their place among them."""

    def __init__(self, transcoder: Transcoder, target: Link[Command]) -> None:
        self._transcoder = transcoder
        self._target = target
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
            # Written out: once per message.
            has_room = True
            if chunk := transcoder.push(command):
                self.pushed_bytes += len(chunk)
                has_room = self._target.push(chunk)
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
        if not chunk:
            return True
        self.pushed_bytes += len(chunk)
        return self._target.push(chunk)
