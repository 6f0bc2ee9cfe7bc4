"""One recording's way: the confined decoder, a session in which it is the client, its text."""

from collections.abc import Callable
from typing import Final

import trio

from routeraudio.dialects.base import Control
from routeraudio.edge.sessions import Converse
from routeraudio.model.errors import Fault, invalid_parameter
from routeraudio.model.events import Final as FinalText
from routeraudio.pull.client import Feed
from routeraudio.pull.decoder import Decoder, decoding
from routeraudio.pull.faults import SourceFault
from routeraudio.pull.gathering import Gathering
from routeraudio.pull.wire import Job, upload_url

CPU_S: Final = 300
"""For decoding one recording: a day of MP3 takes a minute."""

WAIT_S: Final = 10.0
"""For anything that a decoder waits for; a file keeps nobody waiting."""

FIRST_AUDIO_S: Final = 30.0
"""From the decoder's start to its first audio: starting it takes half a second, on a machine that is busy some."""


class Recording:
    """One file.

    Args:
        descriptor: of the file, at its beginning.
        memory_bytes: that its decoder may have.
    """

    def __init__(self, descriptor: int, memory_bytes: int) -> None:
        self._descriptor = descriptor
        self._job = Job(url=upload_url(descriptor), wait_s=WAIT_S, memory_bytes=memory_bytes, cpu_s=CPU_S)
        self._feed = Feed()
        self._lost: SourceFault | None = None

    @property
    def heard_ms(self) -> int:
        """Audio in it, once it has been heard."""
        return self._feed.fed_ms

    async def transcribe(self, converse: Converse, on_final: Callable[[FinalText], None]) -> None:
        """Hear it to its end. Nobody is dialled for a file that holds no audio.

        Args:
            converse: runs the session.
            on_final: given the text, piece by piece.

        Raises:
            Fault: whoever's.
        """
        async with decoding(self._job, None, self._descriptor) as decoder:
            first = await self._first(decoder)
            if not first:
                return
            gathering = Gathering(on_final)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hear, decoder, first)
                await converse(self._feed, gathering)
                nursery.cancel_scope.cancel()
        if gathering.fault is not None:
            raise gathering.fault
        if self._lost is not None:
            raise _unreadable(self._lost)

    async def _first(self, decoder: Decoder) -> bytes:
        try:
            with trio.fail_after(FIRST_AUDIO_S):
                return await decoder.read()
        except SourceFault as fault:
            raise _unreadable(fault) from None
        except trio.TooSlowError:
            raise _unreadable(SourceFault("the decoder gave no audio in time", is_retryable=False)) from None

    async def _hear(self, decoder: Decoder, block: bytes) -> None:
        try:
            while block:
                await self._feed.audio(block)
                block = await decoder.read()
        except SourceFault as fault:
            self._lost = fault
        self._feed.control(Control.FINISH)


def _unreadable(fault: SourceFault) -> Fault:
    sentence = fault.message.replace("the source", "the file")
    return invalid_parameter("file", f"file: {sentence}; send wav, mp3, m4a, ogg, webm or flac, in whole")
