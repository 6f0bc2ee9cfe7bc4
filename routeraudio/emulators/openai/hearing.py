"""One recogniser per turn, so that a commit has a definite answer: all that was said, or nothing.

A `Hearing` of its own for the whole connection could be asked for a final, but it says nothing where nothing was
said, and the service always answers a commit.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec
import trio

from routeraudio.emulators.kit.base import Hear, Heard, Hearing
from routeraudio.emulators.kit.intake import LAST_WORDS_S
from routeraudio.emulators.kit.sound import BYTES_PER_MS

Wish = Callable[[], tuple[int, bool]]
"""Silence that ends an utterance, and whether partials are wanted, for the next turn."""


class Ears:
    """A `Hearing` whose `finalize` returns when everything before it was told.

    Args:
        nursery: runs one task per turn.
        tell: called with what was heard, on the connection's timeline.
    """

    def __init__(
        self, hear: Hear, nursery: trio.Nursery, wish: Wish, tell: Callable[[Heard], Awaitable[None]]
    ) -> None:
        self._hear: Final = hear
        self._nursery: Final = nursery
        self._wish: Final = wish
        self._tell: Final = tell
        self._hearing: Hearing | None = None
        self._told = trio.Event()
        self._sent_bytes = 0

    async def send(self, pcm: bytes) -> None:
        """See `Hearing`."""
        if self._hearing is None:
            await self._nursery.start(self._listen)
        assert self._hearing is not None
        self._sent_bytes += len(pcm)
        await self._hearing.send(pcm)

    async def finalize(self) -> None:
        """End the turn.

        Raises:
            trio.TooSlowError: the recogniser does not come to an end.
        """
        if self._hearing is not None:
            with trio.fail_after(LAST_WORDS_S):
                await self._hearing.finish()
                await self._told.wait()
            self._hearing = None

    async def finish(self) -> None:
        """See `Hearing`."""
        await self.finalize()

    async def __aiter__(self) -> AsyncIterator[Heard]:
        """Nothing: `tell` has been called with it."""
        nothing: tuple[Heard, ...] = ()
        for heard in nothing:
            yield heard

    async def _listen(self, *, task_status: trio.TaskStatus[None]) -> None:
        base_ms = self._sent_bytes // BYTES_PER_MS
        endpointing_ms, partials = self._wish()
        async with self._hear.open(endpointing_ms=endpointing_ms, partials=partials) as hearing:
            self._hearing = hearing
            self._told = trio.Event()
            task_status.started()
            async for heard in hearing:
                await self._tell(_later(heard, base_ms))
            self._told.set()


def _later(heard: Heard, by_ms: int) -> Heard:
    words = tuple(
        msgspec.structs.replace(word, start_ms=word.start_ms + by_ms, end_ms=word.end_ms + by_ms)
        for word in heard.words
    )
    return Heard(heard.kind, heard.text, heard.start_ms + by_ms, heard.end_ms + by_ms, words)
