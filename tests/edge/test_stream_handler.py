"""From the upgrade request to the end of the session, over loopback, with providers that fail."""

import itertools
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from hashlib import sha256

import msgspec
import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest

from routeraudio import daemon
from routeraudio.config.schema import Access, Key, Provider
from routeraudio.store.contract import UsageQuery
from routeraudio.transport.poller import Poller
from tests.edge.fakes import (
    AUDIO,
    KEY,
    LISTEN,
    FakeDeepgram,
    ask,
    client,
    config,
    connect,
    daemon_on,
    free_port,
    results,
    upgrade,
    whole_session,
)
from tests.transport.dialling import open_sockets
from tests.transport.peers import at_once

ROUTER_KEY = "router_test"


class Failing(FakeDeepgram):
    """Does what it is told when a connection opens."""

    def __init__(self, act: Callable[[WebSocketConnection], Awaitable[None]] | int) -> None:
        super().__init__()
        self.act = act

    async def _serve(self, request: WebSocketRequest) -> None:
        if isinstance(self.act, int):
            await request.reject(self.act, body=b'{"err_code":"CODE","err_msg":"in words"}')
            return
        connection = await request.accept()
        try:
            await self.act(connection)
        except ConnectionClosed:
            pass


async def ending(deepgram: FakeDeepgram, *, is_finishing: bool = True) -> tuple[int, str]:
    """The close code and the error code that a client gets."""
    async with deepgram.serving() as url, daemon_on(config(deepgram=url)) as port, client(port) as caller:
        if is_finishing:
            await caller.finish()
        messages, code = await caller.rest()
    errors = [message["code"] for message in messages if message["type"] == "error"]
    assert len(errors) <= 1
    return code, errors[0] if errors else ""


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, (4040, "provider_error")),
        (401, (3000, "unauthorized")),
        (402, (4040, "provider_error")),
        (403, (3000, "unauthorized")),
        (429, (4040, "rate_limited")),
        (500, (4040, "provider_error")),
    ],
)
async def test_a_refusal_is_told(status: int, expected: tuple[int, str], autojump_clock: MockClock) -> None:
    """A key of the client's that the provider refuses is the client's to mend, everything else the provider's."""
    with at_once() if status < 429 else nullcontext():  # the others are asked again
        assert await ending(Failing(status)) == expected


async def test_an_unreachable_provider_is_told(autojump_clock: MockClock) -> None:
    """Nobody at the provider's address."""
    async with daemon_on(config(deepgram=f"ws://127.0.0.1:{free_port()}")) as port, client(port) as caller:
        messages, code = await caller.rest()
    assert (code, messages[-1]["code"]) == (4040, "provider_unreachable")
    assert "127.0.0.1" not in messages[-1]["error"], "where a provider is reached is the operator's business"


async def leave(connection: WebSocketConnection) -> None:
    await connection.aclose(1011, "gone")


async def vanish(connection: WebSocketConnection) -> None:
    await trio.aclose_forcefully(connection._stream)


async def stay_mute(connection: WebSocketConnection) -> None:
    while True:
        await connection.get_message()


@pytest.mark.parametrize("act", [leave, vanish, stay_mute])
async def test_a_provider_that_fails_is_told(
    act: Callable[[WebSocketConnection], Awaitable[None]], autojump_clock: MockClock
) -> None:
    """However a provider ends a session it should not have ended, or does not end it, the client hears whose fault."""
    code, error = await ending(Failing(act))
    assert code == 4040
    assert error in ("provider_error", "provider_unreachable")


async def test_a_client_that_leaves_takes_its_upstream_along(autojump_clock: MockClock) -> None:
    """No upstream connection outlives its client, however that left."""
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, daemon_on(config(deepgram=url)) as port:
        for how in ("closes", "vanishes"):
            async with client(port) as caller:
                await caller.send(AUDIO)
                await deepgram.until(1)
                if how == "closes":
                    await caller.socket.aclose(1000)
                else:
                    await trio.aclose_forcefully(caller.stream)
                began_s = trio.current_time()
                await deepgram.until(0)
                assert trio.current_time() - began_s < 3
        await whole_session(port)


async def test_a_provider_that_does_not_read_slows_the_client_down(autojump_clock: MockClock) -> None:
    """Sound that nobody takes is not piled up: the client's sends wait, and in the end the provider is blamed."""

    async def deaf(_connection: WebSocketConnection) -> None:
        await trio.sleep_forever()

    sent = 0
    async with (
        Failing(deaf).serving() as url,
        daemon_on(config(deepgram=url)) as port,
        client(port) as caller,
    ):
        try:
            while sent < 200 << 20:
                await caller.send(bytes(64 << 10))
                sent += 64 << 10
        except ConnectionClosed:
            pass
        _, code = await caller.rest()
    assert code == 4040
    assert sent < 64 << 20


async def test_a_client_that_does_not_read_is_closed(autojump_clock: MockClock) -> None:
    """Words that nobody reads are not piled up: the provider is read no further, and the session ends."""

    async def talk(connection: WebSocketConnection) -> None:
        for number in itertools.count():
            await connection.send_message(json.dumps(results("word " * 2000, 1.0, start_s=float(number))))
            await trio.sleep(0.001)

    async with (
        Failing(talk).serving() as url,
        daemon_on(config(deepgram=url)) as port,
        await connect(port) as stream,
    ):
        await stream.send_all(upgrade(LISTEN, f"x-api-key: {KEY}"))
        began_s = trio.current_time()
        await trio.sleep(60)
        received = 0
        while more := await stream.receive_some():
            received += len(more)
        assert received < 32 << 20
        assert trio.current_time() - began_s < 61


async def test_the_waiting_room_is_left_with_a_good_key_only(autojump_clock: MockClock) -> None:
    """A client with a bad key is turned away within the closing deadline, also when it does not answer."""
    limits = {"connections_per_address_max": 1}
    async with daemon_on(config(limits=limits)) as port, await connect(port) as stream:
        await stream.send_all(upgrade(LISTEN, "x-api-key: router_wrong"))
        await trio.testing.wait_all_tasks_blocked()
        assert (await ask(port, upgrade())).status == 503
        await trio.sleep(5.1)
        async with client(port, headers={}) as caller:
            assert (await caller.rest())[1] == 3000


async def test_router_keys(autojump_clock: MockClock) -> None:
    """A router key opens what a stored credential pays for; without one the operator is asked for it."""
    keys = [Key(id="test", hash="sha256:" + sha256(ROUTER_KEY.encode()).hexdigest())]
    deepgram = FakeDeepgram()
    access = Access(own_provider_keys=False)
    async with deepgram.serving() as url, daemon_on(config(deepgram=url, keys=keys, access=access)) as port:
        async with client(port, headers={"x-api-key": ROUTER_KEY}) as caller:
            messages, code = await caller.rest()
            assert (code, messages[0]["code"]) == (4040, "provider_error")
        async with client(port) as caller:
            messages, code = await caller.rest()
            assert (code, messages[0]["code"]) == (3003, "forbidden")
        async with client(port, LISTEN + f"&api_key={ROUTER_KEY}", headers={}) as caller:
            assert (await caller.rest())[1] == 4040


@pytest.mark.parametrize("length", [8100, 8177, 8178, 8192])
async def test_long_queries_are_served(length: int, autojump_clock: MockClock) -> None:
    """A target is served up to its limit: tokens are long."""
    deepgram = FakeDeepgram()
    path = LISTEN + "&token="
    path += "x" * (length - len(path))
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url)) as port,
        client(port, path) as caller,
    ):
        await caller.finish()
        assert (await caller.rest())[1] == 1000


async def test_long_headers_are_served(autojump_clock: MockClock) -> None:
    """A browser's cookies may fill most of the head."""
    deepgram = FakeDeepgram()
    headers = {"x-api-key": KEY, "cookie": "a=" + "b" * 12_000}
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url)) as port,
        client(port, headers=headers) as caller,
    ):
        await caller.finish()
        assert (await caller.rest())[1] == 1000


async def test_many_sessions_at_once(autojump_clock: MockClock) -> None:
    """Forty sessions side by side each get their own words."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url)) as port,
        trio.open_nursery() as nursery,
    ):
        for _ in range(40):
            nursery.start_soon(whole_session, port)
    assert [bytes(audio) for audio in deepgram.audio] == [AUDIO] * 40


async def test_cancelled_a_daemon_says_goodbye(autojump_clock: MockClock) -> None:
    """A daemon that is cancelled tells its clients 1012 and leaves no socket behind."""
    deepgram = FakeDeepgram()
    began = open_sockets()
    async with deepgram.serving() as url:
        streams = []
        async with daemon_on(config(deepgram=url)) as port:
            for _ in range(5):
                stream = await connect(port)
                streams.append(stream)
                await stream.send_all(upgrade(LISTEN, f"x-api-key: {KEY}"))
            await deepgram.until(5)
        for stream in streams:
            data = b""
            while more := await stream.receive_some():
                data += more
            assert data.endswith(b"\x88\x02\x03\xf4")
            await stream.aclose()
    assert open_sockets() == began


async def test_a_session_that_cannot_be_made() -> None:
    """A certificate file that has gone: the client is told an id and 1011; a stranger leaves no line in the ledger."""
    settings = Provider(url="wss://127.0.0.1:9", ca_file="/nowhere")
    given = msgspec.structs.replace(config(), providers={"deepgram": settings})
    poller = Poller()
    served = daemon.Daemon(given, poller)
    async with trio.open_nursery() as nursery:
        addresses = await nursery.start(served.run)
        async with client(int(addresses[0].rpartition(":")[2])) as caller:
            [message], code = await caller.rest()
        assert (message["type"], message["code"], code) == ("error", "internal", 1011)
        assert re.search(r"request [0-9a-f]{32} ", message["error"])
        await served._persistence.ledger.flush()
        found = served._persistence._store.total(UsageQuery())
        assert found.sessions == 0
        assert not served._persistence.ledger._credits
        nursery.cancel_scope.cancel()
