"""A moment at which a connection can be replaced without cutting a word in two."""

import trio

from routeraudio.audio.pcm import is_quiet
from routeraudio.model.audio import AudioFormat

PAUSE_MS = 300
"""Quiet for this long is a pause between words (within words, stops are quiet for under 150 ms)."""


class Pause:
    """Waits for a pause: behind a final, or where nobody speaks.

    Args:
        audio: what the provider is sent; quiet is heard in PCM only.
    """

    def __init__(self, audio: AudioFormat) -> None:
        self._audio = audio
        self._is_heard = audio.encoding == "pcm_s16le"
        self._quiet_ms = 0
        self._come = trio.Event()

    def audio(self, chunk: bytes) -> None:
        """This is being sent."""
        if self._is_heard and is_quiet(chunk):
            self._quiet_ms += self._audio.duration_ms(len(chunk))
        else:
            self._quiet_ms = 0
        if self._quiet_ms >= PAUSE_MS:
            self._come.set()

    def end(self) -> None:
        """An utterance is final, or there is no use in waiting any more."""
        self._come.set()

    async def wait(self) -> None:
        """Until it has come."""
        await self._come.wait()
