"""One client, one value of `provider` after the other, the same speech: the same words in the same shape."""

import json
import re
import wave
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
import trio

from routeraudio import daemon
from routeraudio.config.schema import Config, Provider, Server
from routeraudio.dialects import listen
from routeraudio.emulators.catalog import EMULATORS
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.engine.pool import open_pool
from routeraudio.providers.catalog import PROVIDERS

from .router import BARE_WORDS, CLIP, PATIENCE_S, client_of, rest

AT_ONCE = 3
"""Recognitions that a small machine keeps up with."""

PAUSE = bytes(2 * 16000 * 2)
"""Two seconds of silence: whoever ends utterances by silence ends one here."""


@pytest.fixture
async def address(nursery: trio.Nursery) -> AsyncIterator[str]:
    """A daemon in front of every emulator and its own engine."""
    async with open_pool(workers_max=4) as pool, trio.open_nursery() as emulators:
        providers = {"local": Provider(spawn=True)}
        for name, serve in EMULATORS.items():
            port = await emulators.start(partial(serve, hear=EngineHear(pool)))
            providers[name] = Provider(url=f"ws://127.0.0.1:{port}")
        addresses = await emulators.start(
            daemon.serve, Config(server=Server(bind=("127.0.0.1:0",)), providers=providers)
        )
        yield addresses[0]
        emulators.cancel_scope.cancel()


async def test_every_provider_says_the_same(address: str) -> None:
    """Words, times and order are those of the speech, whoever recognised it; every message fits the schema."""
    heard: dict[str, tuple[list[dict[str, Any]], int]] = {}
    limiter = trio.CapacityLimiter(AT_ONCE)

    async def listen_to(provider: str) -> None:
        async with limiter:
            with trio.fail_after(PATIENCE_S):
                heard[provider] = await transcribed(address, provider)

    async with trio.open_nursery() as nursery:
        for provider in PROVIDERS:
            nursery.start_soon(listen_to, provider)
    problems = {name: problem for name, (told, code) in heard.items() if (problem := wrong(name, told, code))}
    assert problems == {}


async def transcribed(address: str, provider: str) -> tuple[list[dict[str, Any]], int]:
    """Two utterances, in real time: some vendors insist on it."""
    with wave.open(str(CLIP)) as sound:
        speech = sound.readframes(sound.getnframes())
    audio = speech + PAUSE + speech
    wish = {"provider": provider, "encoding": "pcm_s16le", "sample_rate": 16000, "partial_results": "true"}
    async with client_of(address, "good-key", **wish, summary="true") as client:
        for start in range(0, len(audio), 3200):
            await client.send_message(audio[start : start + 3200])
            await trio.sleep(0.1)
        await client.send_message('{"type":"end_of_stream"}')
        messages, code = await rest(client)
    return [json.loads(message) for message in messages], code


def wrong(provider: str, told: list[dict[str, Any]], code: int) -> str:
    """What is not as it should be; empty: nothing."""
    try:
        for message in told:
            jsonschema.validate(message, listen.schema())
    except jsonschema.ValidationError as error:
        return f"schema: {error.message}"
    errors = [message for message in told if message["type"] == "error"]
    finals = [message for message in told if message["type"] == "transcript" and not message["is_partial"]]
    text = " ".join(re.findall(r"[a-z']+", " ".join(final["transcript"] for final in finals).lower()))
    times = [final["start_time"] for final in finals]
    if errors or code != 1000:
        return f"{code} {errors}"
    if text != f"{BARE_WORDS} {BARE_WORDS}":
        return f"heard {text!r}"
    if {message["provider"] for message in told} != {provider}:
        return "says it is somebody else"
    if not all(earlier < later for earlier, later in pairwise(times)) or not 3.5 < times[-1] < 7.6:
        return f"times {times}"
    if told[-1]["type"] != "summary" or told[-1]["seconds_lost"]:
        return f"summary {told[-1]}"
    return ""
