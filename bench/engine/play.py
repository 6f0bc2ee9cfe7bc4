"""Streams of audio to a running engine, at the speed of speech or as fast as it takes them."""

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import trio
from trio_websocket import ConnectionClosed

from tests.engine.client import dialled

CHUNK_MS: Final = 20
MS_BYTES: Final = 32
SILENCE_MS: Final = 1600
"""Behind each recording, so that its last final comes by endpointing and not by `finish`."""
ENDPOINTING_MS: Final = 500
STAGGER_S: Final = 0.37
"""Between the starts of two streams."""
PATIENCE_S: Final = 900.0


class Said(msgspec.Struct, frozen=True):
    """A partial or final, and when it came on the clock of its stream's audio."""

    at_ms: float
    kind: str
    text: str


class StreamFailed(Exception):
    """The engine ended a stream with an error."""


async def play(port: int, recordings: Sequence[bytes], sessions: int) -> list[list[Said]]:
    """Stream every recording in real time with partials, so many at once; gives what each brought, in order."""
    heard: list[list[Said]] = [[] for _ in recordings]
    waiting = iter(enumerate(recordings))

    async def streams(delay_s: float) -> None:
        await trio.sleep(delay_s)
        for index, recording in waiting:
            heard[index] = await stream(port, recording + bytes(SILENCE_MS * MS_BYTES), is_live=True)

    async with trio.open_nursery() as nursery:
        for number in range(sessions):
            nursery.start_soon(streams, number * STAGGER_S)
    return heard


async def stream(port: int, recording: bytes, *, is_live: bool) -> list[Said]:
    """One stream; without `is_live` as fast as the engine takes it, and without partials.

    Raises:
        StreamFailed: it ended with an error.
    """
    query = f"?partials={str(is_live).lower()}&endpointing_ms={ENDPOINTING_MS}"
    said: list[Said] = []
    with trio.fail_after(PATIENCE_S):
        async with dialled(port, query) as websocket:
            _expect(json.loads(await websocket.get_message()), "ready")
            began_s = trio.current_time()

            async def send() -> None:
                step = (CHUNK_MS if is_live else 1000) * MS_BYTES
                for start in range(0, len(recording), step):
                    if is_live:
                        # A chunk can be sent when its last sample has been spoken.
                        await trio.sleep_until(began_s + (start + step) / MS_BYTES / 1000)
                    await websocket.send_message(recording[start : start + step])
                await websocket.send_message('{"type":"finish"}')

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                try:
                    while (message := json.loads(await websocket.get_message()))["type"] != "done":
                        _expect(message, "partial", "final")
                        at_ms = (trio.current_time() - began_s) * 1000
                        said.append(Said(at_ms, message["type"], message["text"]))
                except ConnectionClosed as closed:
                    raise StreamFailed(f"the engine closed a stream with {closed.reason}") from None
    return said


def _expect(message: Any, *kinds: str) -> None:
    if message["type"] not in kinds:
        raise StreamFailed(f"the engine said {message['type']}: {message.get('message', '')}")
