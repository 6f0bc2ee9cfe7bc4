"""A recognition that gives its worker back while nothing is said, and gets one again with the next audio."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import msgspec
import trio

from routeraudio.engine.endpointing import BYTES_PER_MS
from routeraudio.engine.hearing import Hearing
from routeraudio.engine.pool import Pool
from routeraudio.engine.wire import Heard, HeardWord, Wish


class Lease:
    """Has the methods of `Hearing`, and like it one task that sends and one that iterates.

    Entering starts the first worker and raises what `Pool.open` does; so does `send` after a rest.
    """

    def __init__(self, pool: Pool, wish: Wish) -> None:
        self._pool = pool
        self._wish = wish
        self._hearing: Hearing | None = None
        self._owned = AsyncExitStack()
        self._sent_bytes = 0
        self._is_finished = False
        self._begun = trio.Event()
        """A worker has been started, or none will be any more."""
        self._ended = trio.Event()
        """The last word of the present worker has been read."""
        self._heard = self._all()

    @property
    def audio_ms(self) -> int:
        """Audio sent so far."""
        return self._sent_bytes // BYTES_PER_MS

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._heard.aclose()
        await self._owned.aclose()

    async def send(self, pcm: bytes) -> None:
        """See `Hearing.send`."""
        if not pcm:
            return
        hearing = self._hearing or await self._begin()
        self._sent_bytes += len(pcm)
        await hearing.send(pcm)

    async def finalize(self) -> None:
        """See `Hearing.finalize`."""
        if self._hearing is not None:
            await self._hearing.finalize()

    async def finish(self) -> None:
        """See `Hearing.finish`."""
        self._is_finished = True
        if self._hearing is not None:
            await self._hearing.finish()
        else:
            self._begun.set()

    async def rest(self) -> None:
        """Give the worker back; what it still has to say is said first."""
        if self._hearing is None:
            return
        await self._hearing.finish()
        self._hearing = None
        await self._ended.wait()
        await self._owned.aclose()

    def __aiter__(self) -> AsyncGenerator[Heard]:
        return self._heard

    async def _begin(self) -> Hearing:
        self._owned = AsyncExitStack()
        self._hearing = await self._owned.enter_async_context(self._pool.open(self._wish))
        self._start_ms = self.audio_ms
        self._ended = trio.Event()
        self._begun.set()
        return self._hearing

    async def _all(self) -> AsyncGenerator[Heard]:
        """What all workers of this recognition hear, one after the other."""
        while True:
            await self._begun.wait()
            self._begun = trio.Event()
            hearing = self._hearing
            if hearing is None:
                return
            start_ms = self._start_ms
            async for heard in hearing:
                yield _later(heard, start_ms)
            self._ended.set()
            if self._is_finished:
                return


def _later(heard: Heard, by_ms: int) -> Heard:
    """The same on a timeline that began earlier."""
    words = heard.words and tuple(
        HeardWord(word.text, word.start_ms + by_ms, word.end_ms + by_ms) for word in heard.words
    )
    return msgspec.structs.replace(
        heard, start_ms=heard.start_ms + by_ms, end_ms=heard.end_ms + by_ms, words=words
    )
