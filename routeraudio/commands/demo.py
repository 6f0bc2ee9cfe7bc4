"""`routeraudio demo`: the whole daemon, once, with real speech, in one command."""

import secrets
import statistics
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import trio
from rich.console import Console
from rich.text import Text

import routeraudio
from routeraudio import daemon
from routeraudio.commands import display, wire
from routeraudio.commands.client import converse
from routeraudio.commands.conversation import Conversation
from routeraudio.commands.errors import DONE, Trouble, leaves, usage
from routeraudio.commands.sound import Sound, opened
from routeraudio.commands.stream import Wishes, headers, listen_url, succeed
from routeraudio.config.schema import Config, Key, Log, Provider, Server
from routeraudio.engine.faults import EngineFault
from routeraudio.model.errors import ConfigFault
from routeraudio.observability import logs

CLIP: Final = Path(routeraudio.__file__).parent / "assets" / "goforward.wav"
"""Human speech from CMU PocketSphinx (BSD-2-Clause): "go forward ten meters"."""

CHUNK_MS: Final = 20
"""What telephones send; smaller than `stream`'s, so that the measured delay is the daemon's and not the chunk's."""


class Stopwatch:
    """A display that also notes how long after the sound each message came."""

    def __init__(self, shown: display.Display) -> None:
        self._shown = shown
        self.partials_s: list[float] = []
        self.finals_s: list[float] = []

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shown.__exit__(kind, error, trace)

    def sent(self, position_s: float, /) -> None:
        self._shown.sent(position_s)

    def message(self, text: str | bytes, message: wire.Message | None, arrived_s: float, /) -> None:
        if isinstance(message, wire.Transcript):
            delays = self.partials_s if message.is_partial else self.finals_s
            delays.append(arrived_s - message.end_time)
        self._shown.message(text, message, arrived_s)

    def summary(self) -> str:
        """The added delay in words."""
        if not self.finals_s:
            return "no speech was recognised in this audio"
        partials = "no partials came"
        if self.partials_s:
            partials = (
                f"partials {statistics.median(self.partials_s):.2f} s behind the sound "
                f"(median of {len(self.partials_s)})"
            )
        return (
            f"added delay: {partials}; finals {statistics.median(self.finals_s):.2f} s after the last word, "
            "with the silence that ends an utterance"
        )


def demo(file: str | None = None, /) -> int:
    """Start a daemon with its local engine, stream speech through it at its own pace, show what comes back.

    Parameters
    ----------
    file
        An audio file; without one, a clip that comes with the package.
    """
    sound = opened(str(CLIP) if file is None else file)
    console = Console(highlight=False)
    console.print(
        Text(f"streaming {Path(file or CLIP).name} through a daemon on this machine …", style="dim")
    )
    stopwatch = Stopwatch(display.chosen(is_json=False, duration_s=sound.duration_s))
    conversation = Conversation(sound, stopwatch, is_realtime=True, chunk_ms=CHUNK_MS)
    with stopwatch:
        _run(sound, conversation)
    succeed(conversation.ending)
    console.print(Text(stopwatch.summary(), style="green"), soft_wrap=True)
    return DONE


def _run(sound: Sound, conversation: Conversation) -> None:
    troubles: list[Trouble] = []
    try:
        trio.run(_stream, sound, conversation)
    except* (ConfigFault, EngineFault) as group:
        troubles.extend(usage(str(error)) for error in leaves(group))
    if troubles:
        raise troubles[0]


async def _stream(sound: Sound, conversation: Conversation) -> None:
    """Owns the daemon: it starts on a free port of this machine and ends with the stream."""
    key = f"router_{secrets.token_hex(24)}"
    config = _config(key)
    logs.configure(config.log)
    async with trio.open_nursery() as nursery:
        addresses = await nursery.start(daemon.serve, config)
        url = listen_url(f"ws://{addresses[0]}", sound.format, Wishes(provider="local", partials=True))
        await converse(url, headers(key), conversation)
        nursery.cancel_scope.cancel()


def _config(key: str) -> Config:
    return Config(
        server=Server(bind=("127.0.0.1:0",)),
        providers={"local": Provider(spawn=True, workers_max=1)},
        keys=(Key(id="demo", hash=f"sha256:{sha256(key.encode()).hexdigest()}"),),
        log=Log(level="warning"),
    )
