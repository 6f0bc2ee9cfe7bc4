"""Many peers at once, most of them rude: what they cost the others."""

import random
import socket
from contextlib import AsyncExitStack

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.edge.fakes import (
    KEY,
    LISTEN,
    UPGRADE,
    FakeDeepgram,
    client,
    config,
    connect,
    daemon_on,
    get,
    until_end,
    upgrade,
    whole_session,
)


async def test_two_hundred_who_say_nothing(autojump_clock: MockClock) -> None:
    """Connections that never say anything keep nobody out: whoever has waited longest gives way."""
    async with daemon_on(config(limits={"connections_per_address_max": 200})) as port:
        idle = [await connect(port) for _ in range(200)]
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(5):
            assert (await get(port, "/healthz")).status == 200
        assert await until_end(idle[0]) == b""
        await trio.sleep(6)
        for stream in idle:
            assert await until_end(stream) == b""
            await stream.aclose()


async def test_one_address_cannot_fill_the_waiting_room(autojump_clock: MockClock) -> None:
    """So many from one address, then 503 for it and 200 for the others; whoever leaves makes room."""
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, daemon_on(config(deepgram=url)) as port:
        idle = [await connect(port, source="127.0.0.7") for _ in range(50)]
        await trio.testing.wait_all_tasks_blocked()
        assert (await get(port, "/healthz", source="127.0.0.7")).status == 503
        assert (await get(port, "/healthz", source="127.0.0.8")).status == 200
        await whole_session(port)
        await idle.pop().aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert (await get(port, "/healthz", source="127.0.0.7")).status == 200
        for stream in idle:
            await stream.aclose()


async def test_sessions_do_not_wait_in_the_waiting_room(autojump_clock: MockClock) -> None:
    """Whoever has shown a good key does not count for the address any more."""
    deepgram = FakeDeepgram()
    limits = {"connections_per_address_max": 2}
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url, limits=limits)) as port,
        AsyncExitStack() as stack,
    ):
        for number in range(1, 5):
            await stack.enter_async_context(client(port))
            # A provider's own key is good when the provider has let it in.
            await deepgram.until(number)
            await trio.testing.wait_all_tasks_blocked()
        assert (await get(port, "/healthz")).status == 200


async def test_invented_keys_take_no_places(autojump_clock: MockClock) -> None:
    """Whoever shows a provider's own key is a stranger until the provider has accepted it: bounded by address."""
    provider = socket.create_server(("127.0.0.1", 0))  # accepts, and never answers an upgrade
    url = f"ws://127.0.0.1:{provider.getsockname()[1]}"
    limits = {"connections_per_address_max": 3}
    async with daemon_on(config(deepgram=url, limits=limits)) as port, AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(client(port))
        await trio.testing.wait_all_tasks_blocked()
        assert (await get(port, "/healthz")).status == 503
        assert (await get(port, "/healthz", source="127.0.0.8")).status == 200
    provider.close()


async def test_connections_have_a_bound(autojump_clock: MockClock) -> None:
    """All of them together, sessions included."""
    deepgram = FakeDeepgram()
    async with (
        deepgram.serving() as url,
        daemon_on(config(deepgram=url, limits={"connections_max": 2})) as port,
    ):
        async with client(port), client(port):
            await deepgram.until(2)
            assert (await get(port, "/healthz")).status == 503
        await deepgram.until(0)
        assert (await get(port, "/healthz")).status == 200


async def test_fifty_peers_that_send_noise(autojump_clock: MockClock) -> None:
    """Random bytes on fifty connections, then a session."""
    noise = random.Random(7)
    deepgram = FakeDeepgram()
    async with deepgram.serving() as url, daemon_on(config(deepgram=url)) as port:
        for _ in range(50):
            async with await connect(port) as stream:
                await stream.send_all(noise.randbytes(noise.randrange(1, 3000)))
        await whole_session(port)


async def test_fifty_peers_that_reset(autojump_clock: MockClock) -> None:
    """Resets before, within and behind the head, and in a session, end nothing else."""
    deepgram = FakeDeepgram()
    head = upgrade(LISTEN, f"x-api-key: {KEY}")
    async with deepgram.serving() as url, daemon_on(config(deepgram=url)) as port:
        for at in range(50):
            stream = await connect(port)
            await stream.send_all(head[: len(head) * at // 40])
            if at % 2:
                await trio.testing.wait_all_tasks_blocked()
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await stream.aclose()
        await whole_session(port)


@settings(max_examples=20)
@given(
    st.lists(
        st.binary(max_size=40)
        | st.sampled_from(
            [b"GET / HTTP/1.1\r\n", b"Host: x\r\n", UPGRADE, b"\r\n", LISTEN.encode(), b"\x82\x85"]
        ),
        max_size=8,
    )
)
async def test_whatever_is_sent_the_next_one_is_served(pieces: list[bytes]) -> None:
    """Any bytes at all, then a good request."""
    async with daemon_on(config()) as port:
        async with await connect(port) as stream:
            await stream.send_all(b"".join(pieces))
            await trio.testing.wait_all_tasks_blocked()
        assert (await get(port, "/healthz")).status == 200
