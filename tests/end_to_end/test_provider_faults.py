"""Every provider, five ways to fail: the client learns who failed and whose fault it was."""

import json
from functools import partial
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed

from routeraudio import daemon
from routeraudio.config.schema import Config, Provider, Server
from routeraudio.emulators.catalog import EMULATORS
from routeraudio.policy.limits import Limits
from routeraudio.providers.catalog import PROVIDERS

from .router import PATIENCE_S, client_of, rest

FAULTS = ("drop-1", "stall", "garbage-text", "refuse-500", "early-1")
SHORT = Limits(last_words_s=2.0, ready_s=2.0, close_upstream_s=0.5)
"""The daemon's own deadlines, made short: the tests wait for them in real time."""

AUDIO = bytes(range(256)) * 500
"""Four seconds of 16 kHz PCM: loud, and no speech."""


class Deaf:
    """Ears for emulators that hear nothing, at once."""

    def open(self, *, endpointing_ms: int, partials: bool) -> Any:
        return _Nothing()


class _Nothing:
    async def __aenter__(self) -> "_Nothing":
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def send(self, pcm: bytes) -> None:
        await trio.lowlevel.checkpoint()

    async def finalize(self) -> None:
        await trio.lowlevel.checkpoint()

    async def finish(self) -> None:
        await trio.lowlevel.checkpoint()

    def __aiter__(self) -> "_Nothing":
        return self

    async def __anext__(self) -> Any:
        await trio.sleep_forever()


@pytest.mark.parametrize("provider", sorted(EMULATORS))
async def test_five_faults(provider: str, nursery: trio.Nursery) -> None:
    """One error message that names the provider, whose fault it is in its code, and 4040."""
    told: dict[str, tuple[list[dict[str, Any]], int]] = {}
    with trio.fail_after(PATIENCE_S):
        port = await nursery.start(partial(EMULATORS[provider], hear=Deaf()))
        config = Config(
            server=Server(bind=("127.0.0.1:0",)),
            providers={provider: Provider(url=f"ws://127.0.0.1:{port}")},
            limits=SHORT,
        )
        (address,) = await nursery.start(daemon.serve, config)

        async def converse(fault: str) -> None:
            told[fault] = await conversed(address, provider, f"fault-{fault}")

        async with trio.open_nursery() as clients:
            for fault in FAULTS:
                clients.start_soon(converse, fault)
    for fault in FAULTS:
        messages, code = told[fault]
        errors = [message for message in messages if message["type"] == "error"]
        assert (fault, code, len(errors)) == (fault, 4040, 1), messages
        assert errors[0]["provider"] == provider
        assert errors[0]["code"] in ("provider_error", "provider_unreachable")
        assert PROVIDERS[provider].title.split()[0].lower() in errors[0]["error"].lower()
        assert f"fault-{fault}" not in json.dumps(messages)
    nursery.cancel_scope.cancel()


async def conversed(address: str, provider: str, key: str) -> tuple[list[dict[str, Any]], int]:
    """A client that sends in real time for a while, then asks for the end."""
    wish = {"provider": provider, "encoding": "pcm_s16le", "sample_rate": 16000}
    async with client_of(address, key, **wish) as client:
        try:
            for start in range(0, len(AUDIO), 3200):
                await client.send_message(AUDIO[start : start + 3200])
                await trio.sleep(0.1)
            await client.send_message('{"type":"end_of_stream"}')
        except ConnectionClosed:
            pass  # what came before is still to be read
        messages, code = await rest(client)
    return [json.loads(message) for message in messages], code
