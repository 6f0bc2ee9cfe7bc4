"""The emulator outlives whatever a client does, and leaves nothing open."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from routeraudio.emulators.deepgram import Deepgram
from routeraudio.emulators.kit import server, wire
from routeraudio.emulators.kit.server import Emulator
from tests.emulators.helping import KEY, PATIENCE_S, RAW, SECOND, FakeHear, ask, heard, talk

V1 = f"/v1/listen?model=nova-3&{RAW}"

UPGRADE = (
    f"GET {V1} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Token good\r\n"
).encode()
MASK = b"\x00\x00\x00\x00"
END = b"\x82\x80" + MASK
"""An empty binary message."""


def emulate() -> Emulator:
    return Emulator(Deepgram(), hear=FakeHear(rest=[heard("final", "go", 100)]))


@asynccontextmanager
async def raw(emulator: Emulator) -> AsyncIterator[trio.StapledStream[Any, Any]]:
    """A connection without a WebSocket library; the emulator must end it by itself."""
    ours, theirs = trio.testing.memory_stream_pair()
    with trio.fail_after(100):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(emulator.answer, theirs)
            yield ours


async def drained(stream: trio.StapledStream[Any, Any]) -> bytes:
    """All that comes until the end."""
    data = b""
    while part := await stream.receive_some():
        data += part
    return data


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # TLS
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/listen HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\n\r\n",
        UPGRADE + b"Sec-WebSocket-Protocol: \xff\xfe\r\n\r\n",
        UPGRADE + b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=abc\r\n\r\n\xff",
        UPGRADE.replace(b"/v1/listen?", b"/v1/listen?" + b"a=b&" * 300) + b"\r\n",
        UPGRADE.replace(b"/v1/listen", b"//[") + b"\r\n",
    ],
)
async def test_requests_that_make_no_sense(sent: bytes, autojump_clock: MockClock) -> None:
    """Each is ended, answered or not, and the next client is served."""
    emulator = emulate()
    async with raw(emulator) as stream:
        await stream.send_all(sent)
        stream.send_stream.close()
        await drained(stream)
    assert (await ask(emulator, V1))[0] == 101


@pytest.mark.parametrize(
    "frames",
    [
        b"\x82\x05hello",  # not masked
        b"\xc2\x80" + MASK,  # compressed, though that was never agreed on
        b"\x83\x80" + MASK,  # unknown opcode
        b"\x80\x80" + MASK,  # continues nothing
        b"\x81\x82" + MASK + b"\xc3\x28",  # not UTF-8
        b"\x09\x80" + MASK,  # a ping in pieces
        b"\x88\x81" + MASK + b"\x00",  # half a close code
        b"\x88\x82" + MASK + b"\x00\x01",  # an impossible close code
        b"\x82\xff" + b"\x7f" + b"\xff" * 7 + MASK,  # eight exabytes announced
        b"\x82\xfe\xff\xff" + MASK + b"half",  # half a message, then the end
    ],
)
async def test_frames_that_break_the_protocol(frames: bytes, autojump_clock: MockClock) -> None:
    """Each ends its own connection only."""
    emulator = emulate()
    async with raw(emulator) as stream:
        await stream.send_all(UPGRADE + b"\r\n")
        await stream.receive_some()
        await stream.send_all(frames)
        stream.send_stream.close()
        await drained(stream)
    assert emulator.connections[0].ended.is_set()
    async with talk(emulator, V1) as client:
        await client.send(SECOND, {"type": "CloseStream"})
        assert (await client.rest())[1].code == 1000


async def test_a_client_that_never_asks(autojump_clock: MockClock) -> None:
    """A connection without a request ends after ten seconds."""
    async with raw(emulate()) as stream:
        started = trio.current_time()
        await drained(stream)
        assert trio.current_time() - started == pytest.approx(server.HANDSHAKE_S)


async def test_a_client_that_does_not_answer_a_close(autojump_clock: MockClock) -> None:
    """The closing handshake is given two seconds."""
    emulator = emulate()
    async with raw(emulator) as stream:
        await stream.send_all(UPGRADE + b"\r\n")
        await stream.receive_some()
        await stream.send_all(END)
        started = trio.current_time()
        await drained(stream)
        assert trio.current_time() - started == pytest.approx(2)
    assert emulator.connections[0].close_sent is not None


async def test_a_ping_after_the_close(autojump_clock: MockClock) -> None:
    """A client that pings instead of answering the close harms nobody."""
    emulator = emulate()
    async with raw(emulator) as stream:
        await stream.send_all(UPGRADE + b"\r\n")
        await stream.receive_some()
        await stream.send_all(END)
        await trio.sleep(1)
        await stream.send_all(b"\x89\x80" + MASK)
        await drained(stream)
    assert emulator.connections[0].error is None


async def test_a_client_that_does_not_read(autojump_clock: MockClock) -> None:
    """Answers that nobody takes end the connection after the wire's deadline."""
    emulator = Emulator(Deepgram(), hear=FakeHear([(0, heard("final", "go", 100))]))
    ours, theirs = trio.testing.lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(emulator.answer, theirs)
        await ours.send_all(UPGRADE + b"\r\n")
        await ours.receive_some()
        started = trio.current_time()
        await ours.send_all(b"\x82\x82" + MASK + b"\x01\x00")
        await emulator.connections[0].ended.wait()
        assert trio.current_time() - started == pytest.approx(wire.SEND_S)
    assert emulator.connections[0].error is None


async def test_a_message_that_is_too_big(autojump_clock: MockClock) -> None:
    """Messages above the limit are answered with 1009."""
    async with talk(emulate(), V1) as client:
        await client.send(bytes(server.MESSAGE_BYTES_MAX + 1))
        _, closed = await client.rest()
    assert closed.code == 1009


async def test_clients_that_just_leave(autojump_clock: MockClock) -> None:
    """With and without a close frame; the recogniser is released."""
    hear = FakeHear()
    emulator = Emulator(Deepgram(), hear=hear)
    async with talk(emulator, V1) as client:
        await client.send(SECOND)
        await client.socket.aclose(4001, "bored")
    async with talk(emulator, V1) as client:
        await client.send(SECOND)
        await trio.aclose_forcefully(client.stream)
    closes = [record.close_received for record in emulator.connections]
    assert [closing and closing.code for closing in closes] == [4001, 1006]
    assert hear.open_now == 0


async def test_too_many_connections(monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> None:
    """Those above the limit are closed unheard."""
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 1)
    emulator = emulate()
    async with talk(emulator, V1), raw(emulator) as stream:
        assert await drained(stream) == b""
    assert (await ask(emulator, V1))[0] == 101


async def test_only_so_many_records_are_kept(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """The oldest are forgotten."""
    monkeypatch.setattr(server, "RECORDS_MAX", 2)
    emulator = emulate()
    for number in range(3):
        await ask(emulator, f"/v1/listen?model=nova-3&tag={number}")
    assert [record.request.params[-1] for record in emulator.connections] == [("tag", "1"), ("tag", "2")]


async def test_our_own_mistakes_end_one_connection(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """A recogniser that fails ends its connection; record and log name the kind of error only."""

    class Broken(FakeHear):
        def open(self, *, endpointing_ms: int, partials: bool) -> Any:
            raise RuntimeError("no ears")

    emulator = Emulator(Deepgram(), hear=Broken())
    async with raw(emulator) as stream:
        await stream.send_all(UPGRADE + b"\r\n")
        await drained(stream)
    assert emulator.connections[0].error == "RuntimeError"
    assert "RuntimeError" in caplog.text
    assert "no ears" not in caplog.text
    assert (await ask(emulator, V1))[0] == 101


async def test_cancelling_closes_everything() -> None:
    """Clients see the end at once; no recogniser stays open."""
    hear = FakeHear()
    emulator = Emulator(Deepgram(), hear=hear)
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as serving:
            port = await serving.start(emulator.serve)
            streams = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(5)]
            for stream in streams:
                await stream.send_all(UPGRADE + b"\r\n")
                await stream.receive_some()
            serving.cancel_scope.cancel()
        for stream in streams:
            assert await stream.receive_some() == b""
            await stream.aclose()
    assert hear.open_now == 0
    assert all(record.ended.is_set() for record in emulator.connections)
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", port)


async def test_keys_are_not_logged(caplog: pytest.LogCaptureFixture, autojump_clock: MockClock) -> None:
    """trio-websocket's debug records, which print requests, stay off."""
    caplog.set_level(logging.DEBUG)
    await ask(emulate(), f"{V1}&tag=confidential", [("Authorization", "Token confidential")])
    assert "confidential" not in caplog.text
    assert KEY[0][1] not in caplog.text
