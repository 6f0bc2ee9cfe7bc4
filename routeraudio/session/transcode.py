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

    async def wait(self) -> None:
        """See `Link`."""
        await trio.lowlevel.checkpoint()
        await self._target.room()

    def step(self, command: Command) -> bool:
        """See `Link`. Must wait when the next stage is full."""
        if isinstance(command, bytes):
            chunk = self._transcoder.push(command)
            has_room = self._target.push(chunk) if chunk else True
            # After a long piece of work somebody else has a turn, and after the next one again.
            return has_room and (self._transcoder.is_passthrough or len(command) < PIECE_BYTES)
        if command is Control.FINISH:
            tail = self._transcoder.finish()
            if tail:
                self._target.push(tail)
        return self._target.push(command)
