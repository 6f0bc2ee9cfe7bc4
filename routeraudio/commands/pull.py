"""`routeraudio pull`: fetch a stream as the daemon's stream pull does, and show its transcripts here."""

from collections.abc import Awaitable, Callable
from functools import partial
from ipaddress import ip_network
from typing import Annotated, Final
from urllib.parse import urlsplit

import trio
from cyclopts import Parameter

from routeraudio.commands import display
from routeraudio.commands.client import converse
from routeraudio.commands.conversation import Conversation
from routeraudio.commands.errors import DONE, Trouble, leaves, usage
from routeraudio.commands.stream import Wishes, headers, listen_url, succeed
from routeraudio.config.schema import Log, Pull
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.observability import logs
from routeraudio.pull.addresses import Network
from routeraudio.pull.factory import bounds
from routeraudio.pull.faults import SourceFault
from routeraudio.pull.guard import Guard
from routeraudio.pull.sandbox.opening import OPENERS
from routeraudio.pull.source_reader import SourceReader

PIECES_MAX: Final = 2
"""Of audio, at most a second each, on their way from the source to the daemon."""


HINT: Final = "--allow-network allows one"
"""To who names a source in a private network: any page or playlist could send a public one there."""


class Pulled:
    """What a source says, as a sound that a conversation can read. Paced by the source's side."""

    format = PCM_16K_MONO
    duration_s: float | None = None
    is_live = True

    def __init__(self, pieces: trio.MemoryReceiveChannel[bytes]) -> None:
        self._pieces = pieces

    def read(self, chunk_ms: int) -> bytes:  # noqa: ARG002 - the source cuts
        """See `Sound.read`."""
        return trio.from_thread.run(self._next)

    async def _next(self) -> bytes:
        async for piece in self._pieces:
            return piece
        return b""


class Puller:
    """One source and one conversation about it."""

    def __init__(self, source: str, guard: Guard) -> None:
        self._send, pieces = trio.open_memory_channel[bytes](PIECES_MAX)
        self.sound = Pulled(pieces)
        self._listening = SourceReader(source, guard, bounds(Pull()), self._hear)
        self._lost: SourceFault | None = None
        self._has_news = trio.Event()

    async def run(
        self, address: str, key: dict[str, str], conversation: Conversation, ca_file: str | None
    ) -> None:
        """Own the source until the conversation is over. The daemon is called when there is audio for it.

        Raises:
            Trouble: there is no audio, or the source was lost, or see `converse`.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen)
            await self._has_news.wait()
            if self._listening.heard_bytes:
                await converse(address, key, conversation, ca_file=ca_file)
            nursery.cancel_scope.cancel()
        if not self._listening.is_end(self._lost):
            assert self._lost is not None
            raise usage(str(self._lost)) if self._lost.is_refused else Trouble(str(self._lost))

    async def _listen(self) -> None:
        with self._send:
            self._lost = await self._listening.run()
        self._has_news.set()

    async def _hear(self, piece: bytes) -> None:
        self._has_news.set()
        await self._send.send(piece)


def pull(
    source: str,
    /,
    *,
    provider: str,
    url: str = "ws://127.0.0.1:8080",
    key: str | None = None,
    model: str | None = None,
    language: str | None = None,
    partials: bool = False,
    diarize: bool | None = None,
    punctuate: bool | None = None,
    endpointing: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
    allow_network: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    ca_file: str | None = None,
) -> int:
    """Fetch a stream, send it to a daemon and show the transcripts.

    Parameters
    ----------
    source
        The stream's address: http, https, rtmp, rtmps, rtsp or rtsps; a file, a live stream or an HLS playlist.
    provider
        Who recognises: local, deepgram, …
    url
        The daemon's address.
    key
        A router key, or the provider's own; else the environment variable ROUTERAUDIO_KEY.
    model
        The provider's model.
    language
        A code such as en, or auto.
    partials
        Show text while it may still change.
    diarize
        Tell speakers apart.
    punctuate
        Ask for punctuation.
    endpointing
        Milliseconds of silence that end an utterance.
    json
        Print each server message on one line, and nothing else.
    allow_network
        A private network the source may be in, such as 127.0.0.0/8; may be given several times.
    ca_file
        An extra certificate authority to trust for the daemon, in PEM.
    """
    if urlsplit(source).scheme not in OPENERS:
        raise usage(f"expected a source that begins with one of {', '.join(OPENERS)}")
    puller = Puller(source, Guard(_networks(allow_network), HINT))
    logs.configure(Log(level="error"))
    wishes = Wishes(
        provider=provider,
        model=model,
        language=language,
        partials=partials,
        diarize=diarize,
        punctuate=punctuate,
        endpointing=endpointing,
    )
    with display.chosen(is_json=json, duration_s=None) as shown:
        conversation = Conversation(puller.sound, shown, is_realtime=True)
        address = listen_url(url, PCM_16K_MONO, wishes)
        _run(partial(puller.run, address, headers(key), conversation, ca_file))
    succeed(conversation.ending)
    return DONE


def _networks(texts: tuple[str, ...]) -> list[Network]:
    try:
        return [ip_network(text) for text in texts]
    except ValueError:
        raise usage("--allow-network: expected a network such as 127.0.0.0/8") from None


def _run(main: Callable[[], Awaitable[None]]) -> None:
    """`trio.run`, and of what went wrong in it the first thing that a person can do something about."""
    troubles: list[Trouble] = []
    try:
        trio.run(main)
    except* Trouble as group:
        troubles += [error for error in leaves(group) if isinstance(error, Trouble)]
    if troubles:
        raise troubles[0]
