"""Bytes through the gateway: sockets on both sides, everything between them real but the ledger."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection
from websockets.frames import Close
from websockets.http11 import Request
from websockets.server import ServerProtocol
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from routeraudio.model.errors import BudgetUsedUp
from tests.edge.fakes import UPGRADE, until_end
from tests.gateway.gateways import LISTEN, ROUTER_KEY, FakeLedger, Upstream, caller, echo, house, rest
from tests.transport.peers import Peer, frame

MESSAGES = 10_000
MEGABYTE = 1_048_576
PATIENCE_S = 120.0
"""Ends a test that hangs, on a machine that is busy with other things."""

EDGES = [
    "",
    "{",
    '{"type":"CloseStream"',
    "\0",
    "\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff",
    "\u202e\ufeff\u0301",
    "[" * 10_000,
]
SECOND = bytes(32_000)


@asynccontextmanager
async def raw_client(port: int, target: str = LISTEN) -> AsyncIterator[Peer]:
    """A client that sends whatever frames it is told to."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    head = f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Token {ROUTER_KEY}\r\n".encode()
    await stream.send_all(head + UPGRADE + b"\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += await stream.receive_some(1)
    assert b" 101 " in answer
    async with stream:
        yield Peer(stream, ConnectionType.CLIENT)


@asynccontextmanager
async def passage(
    talk: Callable[[WebSocketConnection], Awaitable[None]] = echo, **home: Any
) -> AsyncIterator[tuple[Upstream, Any]]:
    """A provider and a gateway in front of it."""
    provider = Upstream(talk)
    with trio.fail_after(PATIENCE_S):
        async with provider.serving() as url, house({"deepgram": url}, **home) as opened:
            yield provider, opened


def some_messages(chance: random.Random) -> list[str | bytes]:
    """Mostly small, a few of the greatest size, of both kinds, and the edges."""
    lengths = [0, 1, 125, 126, 127, 65_535, 65_536, MEGABYTE - 1, MEGABYTE]
    lengths += [
        min(int(chance.expovariate(1 / 300)), 20_000) for _ in range(MESSAGES - 2 * len(lengths) - len(EDGES))
    ]
    messages: list[str | bytes] = [*EDGES]
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, MEGABYTE - 1, MEGABYTE, *lengths]:
        data = chance.randbytes(length)
        messages.append(
            data if chance.random() < 0.5 else data.decode("latin-1")[: length // 2] or "t" * (length % 2)
        )
    chance.shuffle(messages)
    return messages


async def test_ten_thousand_messages_come_back_as_they_were() -> None:
    """Kind, content and order, from nothing to a mebibyte, whatever is in them."""
    messages = some_messages(random.Random(5))
    assert len(messages) >= MESSAGES
    heard: list[str | bytes] = []

    async def speak(client: WebSocketConnection) -> None:
        for message in messages:
            await client.send_message(message)

    async with (
        passage(limits={"flood_burst_max": MESSAGES}) as (_, home),
        caller(home.port) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(speak, client)
        while len(heard) < len(messages):
            heard.append(await client.get_message())
    wrong = [index for index, (one, other) in enumerate(zip(messages, heard, strict=True)) if one != other]
    assert wrong == []
    assert list(map(type, heard)) == list(map(type, messages))


async def test_fragments_come_out_whole() -> None:
    """Cut anywhere, also inside a character, with pings between the pieces; pings are answered here."""
    chance = random.Random(7)
    async with passage() as (_, home), raw_client(home.port) as client:
        for _ in range(100):
            data = chance.randbytes(chance.randrange(3000))
            text = "".join(chance.choices("aé€\U0001f600", k=chance.randrange(800)))
            cases: list[tuple[Any, Any]] = [(data, BytesMessage), (text, TextMessage)]
            for whole, kind in cases:
                cuts = sorted(chance.randrange(len(whole) + 1) for _ in range(3))
                ends = [*cuts, len(whole)]
                for index, (start, end) in enumerate(zip([0, *cuts], ends, strict=True)):
                    piece = kind(data=whole[start:end], message_finished=index == len(ends) - 1)
                    await client.say(piece)
                    await client.say(Ping(payload=b"p"))
                parts: list[Any] = []
                pongs = 0
                while True:
                    event = await client.event()
                    if isinstance(event, Pong):
                        pongs += 1
                        continue
                    assert isinstance(event, kind)
                    parts.append(event.data)
                    if event.message_finished:
                        break
                got = "".join(parts) if kind is TextMessage else b"".join(map(bytes, parts))
                assert got == whole


CODES = [*range(1000, 1004), *range(1007, 1014), 3000, 3999, 4000, 4999]
"""And 1014, which came later: trio-websocket does not know it. See `Frames`."""


@pytest.mark.parametrize("code", CODES)
async def test_the_clients_close_reaches_the_provider(code: int) -> None:
    """With its reason, behind the last message."""
    heard: list[str | bytes] = []

    async def listen(connection: WebSocketConnection) -> None:
        while True:
            heard.append(await connection.get_message())

    async with passage(listen) as (provider, home), raw_client(home.port) as client:
        await client.say(TextMessage(data="last"), CloseConnection(code=code, reason="wär's"))
        await client.closing()
        await provider.over.wait()
    assert (provider.closed, heard) == ([(code, "wär's")], ["last"])


@pytest.mark.parametrize("code", CODES)
async def test_the_providers_close_reaches_the_client(code: int) -> None:
    """The other way round."""

    async def leave(connection: WebSocketConnection) -> None:
        await connection.send_message("last")
        await connection.aclose(code, "wär's")

    async with passage(leave) as (_, home), caller(home.port) as client:
        assert await rest(client) == (["last"], code, "wär's")


def close_frame(code: int | None, *, is_masked: bool) -> bytes:
    """By hand; None: without a code. The mask is of zeros."""
    payload = b"" if code is None else code.to_bytes(2) + b"why"
    return frame(0x88, payload, is_masked=is_masked)


class Frames:
    """A provider of bare frames: says ``says`` when it is open, and keeps how it was closed."""

    def __init__(self, says: bytes = b"") -> None:
        self.says = says
        self.received: Close | None = None
        self.over = trio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
            yield f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            nursery.cancel_scope.cancel()

    async def _serve(self, stream: trio.SocketStream) -> None:
        protocol = ServerProtocol()
        while protocol.close_rcvd is None:
            protocol.receive_data(await stream.receive_some())
            for event in protocol.events_received():
                if isinstance(event, Request):
                    protocol.send_response(protocol.accept(event))
                    await stream.send_all(b"".join(protocol.data_to_send()) + self.says)
        self.received = protocol.close_rcvd
        self.over.set()


@pytest.mark.parametrize("code", [1014, None])
async def test_closes_that_few_libraries_know(code: int | None) -> None:
    """A bad gateway, and no code at all, are passed on as they came, both ways."""
    provider = Frames(says=close_frame(code, is_masked=False))
    async with provider.serving() as url, house({"deepgram": url}) as home, raw_client(home.port) as client:
        assert await until_end(client.stream) == close_frame(code, is_masked=False)
    provider = Frames()
    async with provider.serving() as url, house({"deepgram": url}) as home, raw_client(home.port) as client:
        await client.say_raw(close_frame(code, is_masked=True))
        with trio.fail_after(PATIENCE_S):
            await provider.over.wait()
    assert provider.received == (Close(1005, "") if code is None else Close(1014, "why"))


async def test_lost_connections() -> None:
    """A provider that vanishes is 1011, a client that does has gone away."""

    async def vanish(connection: WebSocketConnection) -> None:
        await connection.get_message()
        await connection._stream.aclose()

    async with passage(vanish) as (_, home), caller(home.port) as client:
        await client.send_message("x")
        _, code, reason = await rest(client)
        assert (code, reason) == (1011, "the connection to Deepgram was lost")
    async with passage() as (provider, home):
        async with raw_client(home.port) as lost:
            await lost.say(TextMessage(data="x"))
            await lost.message()
        await provider.over.wait()
    assert provider.closed == [(1001, None)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x82\0\0\0\0\xc3\x28", 1007),
        (b"\x82\xff" + (MEGABYTE + 1).to_bytes(8) + b"\0\0\0\0", 1009),
        (b"\x81\xff" + (MEGABYTE + 1).to_bytes(8) + b"\0\0\0\0", 1009),
        (b"\x83\x80\0\0\0\0", 1002),
    ],
    ids=["bad UTF-8", "binary too big", "text too big", "reserved opcode"],
)
async def test_what_is_no_message_goes_no_further(data: bytes, code: int) -> None:
    """The client is told what it did; the provider only that it has gone."""
    async with passage() as (provider, home), raw_client(home.port) as client:
        await client.say(TextMessage(data="x"))
        await client.message()
        await client.say_raw(data)
        assert (await client.closing()).code == code
        await provider.over.wait()
    assert provider.closed == [(1001, None)]


async def test_audio_before_the_provider_answers_is_kept() -> None:
    """The upgrade is answered at once; what is sent meanwhile arrives, all of it and in order."""
    answers = trio.Event()
    heard: list[str | bytes] = []

    async def listen(connection: WebSocketConnection) -> None:
        while True:
            heard.append(await connection.get_message())

    provider = Upstream(listen, before=answers.wait)
    sent = [bytes([index]) * 32_000 for index in range(30)]
    with trio.fail_after(PATIENCE_S):
        async with provider.serving() as url, house({"deepgram": url}) as home, caller(home.port) as client:
            for message in sent:
                await client.send_message(message)
            assert heard == []
            answers.set()
            await client.aclose(1000)
            await provider.over.wait()
    assert heard == sent


async def test_a_provider_that_reads_nothing_holds_the_client_back() -> None:
    """A client that pushes 16 MB is stopped at a few, kernel buffers included, and when it goes on nothing is lost."""
    reads = trio.Event()
    heard = sent = 0

    async def listen(connection: WebSocketConnection) -> None:
        nonlocal heard
        await reads.wait()
        while True:
            heard += len(await connection.get_message())

    async def push(client: WebSocketConnection) -> None:
        nonlocal sent
        for _ in range(500):
            await client.send_message(SECOND)
            sent += len(SECOND)
        await client.aclose(1000)

    async with (
        passage(listen, limits={"read_ahead_bytes": 1_000_000}) as (provider, home),
        caller(home.port) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(push, client)
        before = -1
        while before < sent:
            before = sent
            await trio.sleep(0.5)
        assert sent < 10_000_000
        reads.set()
        await provider.over.wait()
    assert heard == sent == 500 * len(SECOND)


async def test_a_used_up_budget_ends_the_stream_after_the_paid_audio() -> None:
    """The provider hears exactly what was paid and that no more comes; the client its last words, then 4402."""
    heard: list[str | bytes] = []
    five = trio.Event()

    async def listen(connection: WebSocketConnection) -> None:
        while True:
            heard.append(await connection.get_message())
            if len(heard) == 5:
                five.set()
            if isinstance(heard[-1], str):
                await connection.send_message("last words")
                await connection.aclose(1000)

    ledger = FakeLedger(granted=1)
    async with passage(listen, ledger=ledger) as (provider, home), caller(home.port) as client:
        for _ in range(5):
            await client.send_message(SECOND)
        await five.wait()
        ledger.credits[0].refuse(BudgetUsedUp("the budget is used up"))
        try:
            for _ in range(10):
                await client.send_message(SECOND)
        except ConnectionClosed:
            pass
        assert await rest(client) == (["last words"], 4402, "the budget is used up")
        await provider.over.wait()
        await home.admission.emptied()
    assert heard == [*[SECOND] * 5, '{"type":"CloseStream"}']
    assert ledger.credits[0].closings[0]["audio_ms"] == 5000
    assert ledger.credits[0].marks == [1]


async def test_a_stopping_daemon() -> None:
    """Lets the provider say its last words, then says 1012."""

    async def listen(connection: WebSocketConnection) -> None:
        await connection.get_message()
        await connection.send_message("heard")
        assert await connection.get_message() == '{"type":"CloseStream"}'
        await connection.send_message("last words")
        await connection.aclose(1000)

    async with passage(listen) as (_, home), caller(home.port) as client:
        await client.send_message(SECOND)
        assert await client.get_message() == "heard"
        home.gateway.finish_all()
        assert (await rest(client))[:2] == (["last words"], 1012)
        await home.admission.emptied()


async def test_floods_of_what_carries_no_audio() -> None:
    """Pings and tiny messages are bounded as everywhere; texts, in which audio may travel, are not."""
    async with (
        passage(limits={"flood_burst_max": 50, "flood_per_s": 1.0}) as (_, home),
        raw_client(home.port) as client,
    ):
        for _ in range(500):
            await client.say(TextMessage(data="x" * 100))
        for _ in range(500):
            assert await client.message() == "x" * 100
        await client.say(*[BytesMessage(data=b"")] * 60)
        while not isinstance(event := await client.event(), CloseConnection):
            assert event is not None
        assert event.code == 1008


async def test_compression_is_never_agreed() -> None:
    """On neither side, whoever offers it."""
    provider = Upstream(echo)
    async with provider.serving() as url, house({"deepgram": url}) as home:
        stream = await trio.open_tcp_stream("127.0.0.1", home.port)
        lines = f"Authorization: {ROUTER_KEY}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n".encode()
        async with stream:
            await stream.send_all(
                f"GET {LISTEN} HTTP/1.1\r\nHost: x\r\n".encode() + UPGRADE + lines + b"\r\n"
            )
            await stream.send_all(b"\x88\x80\0\0\0\0")
            answer = await until_end(stream)
    assert b" 101 " in answer
    assert b"deflate" not in answer
