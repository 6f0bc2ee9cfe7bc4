"""A real daemon with routes: whatever one provider does, the words come from the next one, and once."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from hashlib import sha256

import pytest
import trio

from routeraudio import daemon
from routeraudio.config.schema import Access, Config, Failover, Key, Provider, RouteTable, Server
from routeraudio.config.secret import Secret
from routeraudio.emulators.deepgram import Deepgram
from routeraudio.emulators.kit.hearing import EngineHear
from routeraudio.emulators.kit.server import Emulator
from routeraudio.emulators.soniox import Soniox
from routeraudio.engine.pool import Pool
from tests.edge.fakes import ask, get

from .router import PATIENCE_S, SHORT, client_of, rest, speech

ROUTER_KEY = "router_e2e_failover"
KEYS = (Key(id="test", hash="sha256:" + sha256(ROUTER_KEY.encode()).hexdigest()),)
RAW = {"encoding": "pcm_s16le", "sample_rate": 16000, "summary": "true"}
ADMIN_KEY = "admin_e2e_failover_0123456789"
END = '{"type":"end_of_stream"}'
FAULTS = (
    "refuse-401",
    "refuse-402",
    "refuse-429",
    "refuse-503",
    "delay-5",
    "stall",
    "garbage-text",
    "garbage-types",
    "garbage-utf8",
    "drop-1",
    "early-1",
    "endless",
)


class Two:
    """A daemon in front of Deepgram and Soniox."""

    def __init__(self, address: str, deepgram: Emulator, soniox: Emulator) -> None:
        self.address = address
        self.deepgram = deepgram
        self.soniox = soniox

    async def converse(self, provider: str, **more: object) -> tuple[list[dict[str, object]], int]:
        """The clip, told to whoever serves."""
        data = speech()
        async with client_of(self.address, ROUTER_KEY, provider=provider, **RAW, **more) as client:
            for start in range(0, len(data), 8000):
                await client.send_message(data[start : start + 8000])
            await client.send_message(END)
            told, code = await rest(client)
        return [json.loads(one) for one in told], code


@asynccontextmanager
async def two(pool: Pool, fault: str, *, redial: bool = True) -> AsyncIterator[Two]:
    """Deepgram does what ``fault`` says, Soniox is well."""
    deepgram = Emulator(Deepgram(), hear=EngineHear(pool))
    soniox = Emulator(Soniox(), hear=EngineHear(pool))
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            ports = [await nursery.start(deepgram.serve), await nursery.start(soniox.serve)]
            config = Config(
                server=Server(bind=("127.0.0.1:0",)),
                access=Access(admin_key=Secret(ADMIN_KEY)),
                keys=KEYS,
                providers={
                    "deepgram": Provider(
                        url=f"ws://127.0.0.1:{ports[0]}",
                        api_key=Secret(f"fault-{fault}"),
                        redial=redial,
                        price_per_hour_usd=Decimal("7.2"),
                    ),
                    "soniox": Provider(
                        url=f"ws://127.0.0.1:{ports[1]}",
                        api_key=Secret("good"),
                        price_per_hour_usd=Decimal("0.72"),
                    ),
                },
                routes={"english": RouteTable(providers=("deepgram/nova-3", "soniox"))},
                failover=Failover(within_s=10.0),
                limits=SHORT,
            )
            addresses = await nursery.start(daemon.serve, config)
            yield Two(addresses[0], deepgram, soniox)
            nursery.cancel_scope.cancel()


def finals(messages: list[dict[str, object]]) -> str:
    """All final text, plain."""
    texts = [
        str(one["transcript"]) for one in messages if one["type"] == "transcript" and not one["is_partial"]
    ]
    return "".join(letter for letter in " ".join(texts).lower() if letter.isalpha() or letter == " ").strip()


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_next_one_serves(pool: Pool, fault: str) -> None:
    """The client hears every word, once, and a good end; each transcript says who said it."""
    async with two(pool, fault) as daemon_:
        messages, code = await daemon_.converse("english")
    assert finals(messages) == "go forward ten meters"
    assert code == 1000
    said_by = {one["provider"] for one in messages if one["type"] == "transcript"}
    assert said_by == {"deepgram" if fault == "endless" else "soniox"}
    assert messages[-1]["seconds_lost"] == 0.0


async def test_the_bill(pool: Pool) -> None:
    """Is for who made the words final; what had to be said again stands beside it, and costs the customer nothing."""
    async with two(pool, "drop-1") as daemon_:
        messages, _ = await daemon_.converse("english")
        _, _, port = daemon_.address.partition(":")
        admin = f"x-api-key: {ADMIN_KEY}"
        with trio.fail_after(PATIENCE_S):
            while True:  # until the end is written
                report = (await get(int(port), "/v1/usage?by=provider", admin)).json
                rows = {row["provider"]: row for row in report["rows"]}
                if rows.get("soniox", {}).get("audio_seconds"):
                    break
                await trio.sleep(0.1)
    assert [part["provider"] for part in messages[-1]["connections"]][-1] == "soniox"  # type: ignore[attr-defined]
    assert (rows["deepgram"]["cycles"], rows["soniox"]["cycles"]) == (0, 1)
    assert rows["soniox"]["amount_usd"] == "0.001"
    assert rows["soniox"]["replayed_seconds"] > 0
    assert report["total"]["sessions"] == 1


@pytest.mark.parametrize("provider", ["deepgram,soniox", "deepgram/nova-3,soniox", "soniox,deepgram", "auto"])
async def test_ways_to_name_a_route(pool: Pool, provider: str) -> None:
    """A list, a list with models, whoever speaks the language."""
    async with two(pool, "drop-1") as daemon_:
        messages, code = await daemon_.converse(provider)
    assert (finals(messages), code) == ("go forward ten meters", 1000)


async def test_no_audio_leaves_to_whom_nobody_named(pool: Pool) -> None:
    """A single provider that fails for good is no reason to ask another one."""
    async with two(pool, "drop-1") as daemon_:
        messages, code = await daemon_.converse("deepgram")
        assert code == 4040
        assert not daemon_.soniox.connections
        assert len(daemon_.deepgram.connections) > 1
    assert messages[-2]["type"] == "error"


async def test_redial_can_be_switched_off(pool: Pool) -> None:
    """Then the first loss is the session's end."""
    async with two(pool, "drop-1", redial=False) as daemon_:
        _, code = await daemon_.converse("deepgram")
        assert (code, len(daemon_.deepgram.connections)) == (4040, 1)


async def test_a_vendor_s_own_messages_are_one_vendor_s(pool: Pool) -> None:
    """`parse_json=false` is never served by another one."""
    async with two(pool, "drop-1") as daemon_:
        data = speech()
        async with client_of(
            daemon_.address, ROUTER_KEY, provider="english", **RAW, parse_json="false"
        ) as client:
            for start in range(0, len(data), 8000):
                await client.send_message(data[start : start + 8000])
            _, code = await rest(client)
        assert code == 4040
        assert not daemon_.soniox.connections


async def test_an_unknown_name_is_refused(pool: Pool) -> None:
    """Naming providers and routes."""
    async with two(pool, "drop-1") as daemon_:
        _, _, port = daemon_.address.partition(":")
        for name in ("nobody", "deepgram,nobody", "nobody/x"):
            query = f"provider={name}&encoding=pcm_s16le&sample_rate=16000"
            head = (
                f"GET /v1/listen?{query} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            answer = await ask(int(port), head.encode())
            assert answer.status == 400
            assert "english" in answer.json["error"]
