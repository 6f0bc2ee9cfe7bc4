"""A whole router on loopback: the real daemon and engine, and an emulator in the provider's place."""

import sys
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from routeraudio import daemon
from routeraudio.config.schema import Config, Provider, Server
from routeraudio.emulators.deepgram import Deepgram
from routeraudio.emulators.kit.faults import NONE, Faults
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.emulators.kit.server import Emulator
from routeraudio.engine.pool import Pool
from routeraudio.policy.limits import Limits

AUDIO = Path(__file__).parent.parent / "assets" / "audio"
CLIP = AUDIO / "goforward.wav"
WORDS = "Go forward ten meters."
"""What the local engine hears in the clip."""

BARE_WORDS = "go forward ten meters"
"""The same from an emulator, which writes by its vendor's rules."""
PATIENCE_S = 60.0
"""Ends a test that hangs. No test measures time."""


SHORT = Limits(
    last_words_s=1.0, send_s=1.0, close_upstream_s=0.5, ready_s=1.0, dial_s=2.0, dial_upgrade_s=1.0
)
"""The daemon's own deadlines, made short: the tests wait for them in real time."""


class Router:
    """Where the daemon listens, and what its upstream has received."""

    def __init__(self, address: str, emulator: Emulator) -> None:
        self.address = address
        self.emulator = emulator

    def connect(self, key: str, **parameters: object) -> AbstractAsyncContextManager[WebSocketConnection]:
        """A client session."""
        return client_of(self.address, key, **parameters)

    def url(self, **parameters: object) -> str:
        """`/v1/listen` with these parameters."""
        return f"ws://{self.address}{target(parameters)}"


def target(parameters: Mapping[str, object]) -> str:
    """Path and query of `/v1/listen`."""
    return "/v1/listen?" + "&".join(f"{name}={value}" for name, value in parameters.items())


@asynccontextmanager
async def client_of(address: str, key: str, **parameters: object) -> AsyncIterator[WebSocketConnection]:
    """A client session. trio-websocket's own `open_websocket` leaks its socket when the server closes first."""
    host, _, port = address.partition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    async with stream, trio.open_nursery() as nursery:
        yield await wrap_client_stream(
            nursery, stream, address, target(parameters), extra_headers=[("x-api-key", key)]
        )
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_router(
    *, pool: Pool | None = None, faults: Faults = NONE, limits: Limits | None = None, spawn: bool = False
) -> AsyncIterator[Router]:
    """Start an emulator and a daemon in front of it; with ``spawn`` also the daemon's own engine."""
    emulator = Emulator(
        Deepgram(), hear=EngineHear(pool) if pool else None, faults=faults, keep_audio_bytes=64 * 1024 * 1024
    )
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            config = Config(
                server=Server(bind=("127.0.0.1:0",)),
                providers={
                    "deepgram": Provider(url=f"ws://127.0.0.1:{port}"),
                    "local": Provider(spawn=spawn),
                },
                limits=limits or Limits(),
            )
            addresses = await nursery.start(daemon.serve, config)
            yield Router(addresses[0], emulator)
            nursery.cancel_scope.cancel()


async def run_python(*arguments: str) -> str:
    """Run a Python program to its end; what it printed."""
    done = await trio.run_process([sys.executable, *arguments], capture_stdout=True)
    return done.stdout.decode()


async def rest(client: WebSocketConnection) -> tuple[list[str], int]:
    """Every message up to the close, and its code."""
    messages: list[str] = []
    try:
        while True:
            messages.append(await client.get_message())
    except ConnectionClosed:
        return messages, client.closed.code if client.closed else 0


def speech() -> bytes:
    """The clip's samples."""
    with wave.open(str(CLIP)) as sound:
        return sound.readframes(sound.getnframes())


def bare(text: str) -> str:
    """Letters only, as every vendor would agree on."""
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ").strip()
