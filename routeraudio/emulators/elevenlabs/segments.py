"""Hearing in segments: a commit is answered when everything before it has been heard.

A recogniser that is asked for finals says nothing where nothing was said, so nobody knows when to stop waiting. Here
each commit ends one hearing, whose end is unmistakable, and the audio behind it begins another.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import msgspec
import trio

from routeraudio.emulators.kit.base import Hear, Heard, HeardWord, Hearing
from routeraudio.emulators.kit.sound import BYTES_PER_MS

LAST_WORDS_S: Final = 30.0
"""From a commit to its last final. The recogniser has then at most its bounded backlog to work off."""


class Segments:
    """A `Hearing` of any length. One task sends, another iterates. Made by `open_segments`."""

    def __init__(self, hear: Hear, stack: AsyncExitStack, endpointing_ms: int) -> None:
        self._hear = hear
        self._stack = stack
        self._endpointing_ms = endpointing_ms
        self._hearing: Hearing | None = None
        self._heard: AsyncIterator[Heard] | None = None
        self._has_begun = trio.Event()
        self._is_told = trio.Event()
        self._start_ms = 0
        self._sent_bytes = 0

    async def send(self, pcm: bytes) -> None:
        """See `Hearing.send`."""
        if self._hearing is None:
            self._hearing = await self._begin()
        await self._hearing.send(pcm)
        self._sent_bytes += len(pcm)

    async def finalize(self) -> None:
        """Return when everything that was sent has been heard, and told by whoever iterates.

        Raises:
            trio.TooSlowError: the recogniser does not come to an end.
        """
        if self._hearing is None:
            return
        await self._hearing.finish()
        with trio.fail_after(LAST_WORDS_S):
            await self._is_told.wait()
        self._hearing = None
        await self._stack.aclose()

    async def finish(self) -> None:
        """See `Hearing.finish`."""
        await self.finalize()

    def __aiter__(self) -> "Segments":
        return self

    async def __anext__(self) -> Heard:
        while True:
            await self._has_begun.wait()
            assert self._heard is not None
            try:
                return _later(await anext(self._heard), self._start_ms)
            except StopAsyncIteration:
                self._has_begun = trio.Event()
                self._is_told.set()

    async def _begin(self) -> Hearing:
        opened = self._hear.open(endpointing_ms=self._endpointing_ms, partials=True)
        hearing = await self._stack.enter_async_context(opened)
        self._heard = aiter(hearing)
        self._start_ms = self._sent_bytes // BYTES_PER_MS
        self._is_told = trio.Event()
        self._has_begun.set()
        return hearing


@asynccontextmanager
async def open_segments(hear: Hear, *, endpointing_ms: int) -> AsyncIterator[Segments]:
    """Listen until the block is left, which ends the last hearing."""
    async with AsyncExitStack() as stack:
        yield Segments(hear, stack, endpointing_ms)


def _later(heard: Heard, by_ms: int) -> Heard:
    """The same on the connection's timeline."""
    words = tuple(HeardWord(word.text, word.start_ms + by_ms, word.end_ms + by_ms) for word in heard.words)
    return msgspec.structs.replace(
        heard, start_ms=heard.start_ms + by_ms, end_ms=heard.end_ms + by_ms, words=words
    )
