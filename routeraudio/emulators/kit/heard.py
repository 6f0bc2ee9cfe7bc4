"""What an emulator hears, and what hears for it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, Protocol

import msgspec


class HeardWord(msgspec.Struct, frozen=True):
    """One word, with its place on the timeline of the connection's audio."""

    text: str
    start_ms: int
    end_ms: int


class Heard(msgspec.Struct, frozen=True):
    """What was understood of one utterance, so far (`partial`) or for good (`final`)."""

    kind: Literal["partial", "final"]
    text: str
    start_ms: int
    end_ms: int
    words: tuple[HeardWord, ...]

    def is_followed_by_silence(self, until_ms: int, endpointing_ms: int) -> bool:
        """Whether silence closed this final, rather than somebody who asked for it at ``until_ms``.

        A recogniser does not say; it may also be slow, so that an utterance that ended long ago is told after
        the client has asked. `SLACK_MS` is what word ends and voice activity may differ by.
        """
        return until_ms - self.end_ms >= endpointing_ms + SLACK_MS


SLACK_MS: Final = 300


class Hearing(Protocol):
    """One channel being listened to. Iterating ends after `finish()` with the last final."""

    async def send(self, pcm: bytes) -> None:
        """More audio: s16le, 16 kHz, mono. Waits while too much is unheard."""

    async def finalize(self) -> None:
        """Close the open utterance now: a final, or nothing where nothing was said."""

    async def finish(self) -> None:
        """No more audio."""

    def __aiter__(self) -> AsyncIterator[Heard]:
        """What is heard, in order."""


class Hear(Protocol):
    """Something that can listen to many connections at once."""

    def open(self, *, endpointing_ms: int, partials: bool) -> AbstractAsyncContextManager[Hearing]:
        """Start to listen; ``endpointing_ms`` of silence close an utterance."""
