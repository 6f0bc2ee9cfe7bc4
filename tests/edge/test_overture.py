"""Clients whose options come in their first messages: who is dialled, and who is not."""

import json
from base64 import b64encode
from hashlib import sha256
from typing import Any

import msgspec
import pytest
import trio.testing
from trio.testing import MockClock

from routeraudio.config.schema import Access, Key, Provider
from routeraudio.config.secret import Secret
from routeraudio.edge.overture import MORE_S
from routeraudio.policy.limits import Limits
from tests.edge.fakes import KEY, FakeDeepgram, ask, client, config, daemon_on, upgrade

TARGET = "/as/openai/v1/realtime?intent=transcription"

BEARER = {"authorization": f"Bearer {KEY}"}

SECOND = json.dumps({"type": "input_audio_buffer.append", "audio": b64encode(bytes(32_000)).decode()})


def update(**members: Any) -> str:
    """Sixteen kilohertz, and what else is given."""
    session = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}, **members}}}
    return json.dumps({"type": "session.update", "session": session})


DEEPGRAM = {"transcription": {"model": "deepgram/nova-3"}}


async def test_the_options_choose_the_provider(autojump_clock: MockClock) -> None:
    """Nobody is dialled before; audio that came ahead of them is not lost."""
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, daemon_on(config(deepgram=url)) as port:
        async with client(port, TARGET, BEARER) as caller:
            assert (await caller.receive())["type"] == "session.created"
            await caller.send(SECOND)
            assert deepgram.requests == []
            await caller.send(update(**DEEPGRAM))
            assert (await caller.receive())["type"] == "session.updated"
            await caller.send(SECOND)
            await deepgram.until_heard(64_000)
        await deepgram.until(0)
    assert len(deepgram.requests) == 1
    assert "sample_rate=16000" in deepgram.requests[0].path


async def test_options_that_do_not_come(autojump_clock: MockClock) -> None:
    """Audio alone: after a while the upgrade's hold."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url)) as port,
        client(port, f"{TARGET}&model=deepgram", BEARER) as caller,
    ):
        await caller.receive()
        await caller.send(SECOND)
        await deepgram.until_heard(32_000)
    assert autojump_clock.current_time() >= MORE_S


@pytest.mark.parametrize(
    ("message", "code", "close_code"),
    [
        (None, "timeout", 1008),
        (update(format={"type": "audio/pcma"}), "invalid_parameter", 1008),
        (update(transcription={"language": "xx"}), "unsupported_language", 1008),
    ],
)
async def test_what_cannot_be(
    message: str | None, code: str, close_code: int, autojump_clock: MockClock
) -> None:
    """Is told in the protocol's words; nobody is dialled."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url, limits={"idle_s": 5.0})) as port,
        client(port, f"{TARGET}&model=deepgram", BEARER) as caller,
    ):
        await caller.receive()
        if message is not None:
            await caller.send(message)
        (error,), code_ = await caller.rest()
    assert (error["type"], error["error"]["code"], code_) == ("error", code, close_code)
    assert deepgram.requests == []


async def test_a_huge_first_message(autojump_clock: MockClock) -> None:
    """Is cut off at the bound of every message."""
    async with daemon_on(config()) as port, client(port, TARGET, BEARER) as caller:
        await caller.receive()
        await caller.send("x" * (Limits().message_binary_bytes + 1))
        assert await caller.rest() == ([], 1009)


async def test_a_client_that_leaves_without_a_word(autojump_clock: MockClock) -> None:
    """Costs nothing, and the daemon goes on."""
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, daemon_on(config(deepgram=url)) as port:
        for _ in range(2):
            async with client(port, TARGET, BEARER) as caller:
                await caller.receive()
    assert deepgram.requests == []


@pytest.mark.parametrize("headers", [("authorization: Bearer router_wrong",), ()])
async def test_a_bad_key_is_refused_before_the_greeting(
    headers: tuple[str, ...], autojump_clock: MockClock
) -> None:
    """Clients that were greeted connect again for ever."""
    keys = [Key(id="one", hash="sha256:" + sha256(b"router_good").hexdigest())]
    async with daemon_on(config(keys=keys)) as port:
        answer = await ask(port, upgrade(f"{TARGET}&model=deepgram", *headers))
    assert answer.status == 401
    assert answer.json["error"]["code"] == "invalid_api_key"


async def test_a_full_daemon_refuses_before_the_greeting(autojump_clock: MockClock) -> None:
    """Who is greeted takes himself for served."""
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, daemon_on(config(deepgram=url, max_sessions=1)) as port:
        async with client(port, TARGET, BEARER) as caller:
            await caller.send(update(**DEEPGRAM))
            await deepgram.until(1)
            await trio.testing.wait_all_tasks_blocked()  # the provider's acceptance is noted
            answer = await ask(port, upgrade(TARGET, f"authorization: Bearer {KEY}"))
            assert (answer.status, answer.json["error"]["code"]) == (503, "rate_limit_exceeded")
        await deepgram.until(0)


async def test_a_key_that_may_not_use_the_usual_provider(autojump_clock: MockClock) -> None:
    """Is greeted: the first message may ask for another one. What it may not is told then."""
    configuration = config(access=Access(own_provider_keys=False))
    async with daemon_on(configuration) as port:
        for message in (update(**DEEPGRAM), update(transcription={"model": "soniox"})):
            async with client(port, TARGET, BEARER) as caller:
                await caller.receive()
                await caller.send(message)
                (error,), code = await caller.rest()
            assert (error["error"]["code"], code) == ("forbidden", 1008)


async def test_connections_that_are_kept_ready(autojump_clock: MockClock) -> None:
    """Have shown their key: they are not counted among strangers'. LiveKit opens them ahead."""
    keys = [Key(id="one", hash="sha256:" + sha256(b"router_good").hexdigest())]
    known = {"authorization": "Bearer router_good"}
    stored = {"deepgram": Provider(url="ws://127.0.0.1:9", api_key=Secret("stored"))}
    given = config(limits={"connections_per_address_max": 1}, keys=keys)
    given = msgspec.structs.replace(given, providers=stored)
    async with (
        daemon_on(given) as port,
        client(port, f"{TARGET}&model=deepgram", known) as one,
        client(port, f"{TARGET}&model=deepgram", known) as other,
    ):
        for caller in (one, other):
            assert (await caller.receive())["type"] == "session.created"
