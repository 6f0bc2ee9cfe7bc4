"""What an emulated vendor is made of, and what hears for it.

An emulator is a loopback WebSocket server that checks what it is sent as the real service would and
answers with what it really hears. The parts:

    server     accepts, reads the request, owns the connection's boundary     (the same for all vendors)
    vendor     decides who gets in, and talks                                 (one file per vendor)
    call       one accepted connection, as the vendor sees it
    intake     audio in → samples → clock → faults, script, hearing
    faults     what goes wrong on request
    script     fixed answers instead of hearing

Adding a vendor is one file with a `Vendor` and one line in `catalog`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from routeraudio.emulators.kit.call import Call

# --- Hearing ----------------------------------------------------------------------------------------------


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


# --- Vendors ----------------------------------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True):
    """A client's upgrade request."""

    id: str
    """Given by the emulator; vendors return it in headers and messages."""
    path: str
    """Without the query."""
    params: tuple[tuple[str, str], ...]
    """The query, decoded, in order, repeated names kept."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    subprotocols: tuple[str, ...]

    def header(self, name: str) -> str | None:
        """The first header of this (lower-case) name."""
        return next((value for key, value in self.headers if key == name), None)


class Refusal(msgspec.Struct, frozen=True):
    """An HTTP answer instead of 101."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Admission(msgspec.Struct, frozen=True):
    """A request that is let in, and who talks to it."""

    converse: Callable[["Call"], Awaitable[None]]
    """Runs the conversation; when it returns the connection is closed with 1000."""
    subprotocol: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Vendor(Protocol):
    """One provider's service."""

    @property
    def name(self) -> str:
        """As in configuration: `deepgram`."""

    @property
    def broken_message(self) -> str:
        """JSON of a known message type whose fields have the wrong types, for the fault `garbage-types`."""

    def key(self, request: Request) -> str | None:
        """The API key or token of a request, wherever this vendor wants it."""

    def admit(self, request: Request) -> Admission | Refusal:
        """Check a request as the service does."""

    def refuse(self, request: Request, status: int) -> Refusal:
        """This vendor's usual answer with this HTTP status, for the fault `refuse`."""


def any_key_but_bad(key: str) -> bool:
    """The keys accepted by default."""
    return bool(key) and not key.startswith("bad")
