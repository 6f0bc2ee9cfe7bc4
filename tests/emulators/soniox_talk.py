"""What the tests of Soniox's emulator share: its first message, and how to listen to it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from routeraudio.emulators.kit.server import Emulator
from routeraudio.emulators.soniox import Soniox
from tests.emulators.helping import Client, FakeHear, Heads, talk

TARGET = "/transcribe-websocket"
KEY: Heads = (("Authorization", "Bearer good"),)
START = {"model": "stt-rt-v5", "audio_format": "pcm_s16le", "sample_rate": 16000, "num_channels": 1}
ENDPOINTS = {**START, "enable_endpoint_detection": True, "max_endpoint_delay_ms": 500}


def emulate(hear: FakeHear | None = None, **options: Any) -> Emulator:
    """An emulator that hears what it is told to."""
    return Emulator(Soniox(), hear=hear, **options)


@asynccontextmanager
async def started(
    emulator: Emulator, start: dict[str, Any] = START, headers: Heads = KEY, subprotocols: Sequence[str] = ()
) -> AsyncIterator[Client]:
    """A stream behind its first message."""
    async with talk(emulator, TARGET, headers, subprotocols) as client:
        await client.send(start)
        yield client


def by_key(fault: str) -> Heads:
    """A key that asks for a fault."""
    return (("Authorization", f"Bearer fault-{fault}"),)


def finals(messages: Iterable[Any]) -> list[str]:
    """Texts of all final tokens, in order."""
    return [token["text"] for each in messages for token in each["tokens"] if token["is_final"]]


def guesses(messages: Iterable[Any]) -> list[str]:
    """What each message's open tokens say."""
    return ["".join(token["text"] for token in each["tokens"] if not token["is_final"]) for each in messages]
