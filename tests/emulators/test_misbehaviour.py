"""Every fault on request, as a client meets it."""

import json

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from routeraudio.emulators.deepgram import Deepgram
from routeraudio.emulators.kit.faults import Faults
from routeraudio.emulators.kit.server import Emulator
from tests.emulators.helping import KEY, PATIENCE_S, RAW, SECOND, FakeHear, Heads, ask, chunks, heard, talk

V1 = f"/v1/listen?model=nova-3&{RAW}"
V2 = f"/v2/listen?model=flux-general-en&{RAW}"
CLOSE = {"type": "CloseStream"}


def by_key(fault: str) -> Heads:
    return [("Authorization", f"Token fault-{fault}")]


def emulate() -> Emulator:
    return Emulator(Deepgram(), hear=FakeHear(rest=[heard("final", "go forward", 100)]))


async def test_a_slow_handshake(autojump_clock: MockClock) -> None:
    """The answer to the upgrade, also a refusal, takes as long as it was told to."""
    started = trio.current_time()
    status, _, _ = await ask(emulate(), V1, by_key("delay-5+refuse-429"))
    assert (status, trio.current_time() - started) == (429, pytest.approx(5))
    async with talk(emulate(), V1, by_key("delay-5")) as client:
        assert trio.current_time() - started == pytest.approx(10)
        await client.send(SECOND, CLOSE)
        _, closed = await client.rest()
    assert closed.code == 1000


@pytest.mark.parametrize("target", [V1, V2])
async def test_a_stalled_service(target: str, autojump_clock: MockClock) -> None:
    """Everything is read, nothing is ever said, no timer runs out."""
    emulator = emulate()
    async with talk(emulator, target, by_key("stall")) as client:
        await client.send(SECOND, CLOSE, SECOND)
        with trio.move_on_after(3600) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught
    [record] = emulator.connections
    assert (record.audio_bytes, record.sent) == (2 * len(SECOND), [])


async def test_an_endless_stream(autojump_clock: MockClock) -> None:
    """CloseStream is ignored."""
    async with talk(emulate(), V1, by_key("endless")) as client:
        await client.send(SECOND, CLOSE)
        with trio.move_on_after(3600) as waiting:
            await client.receive_whatever()
        assert waiting.cancelled_caught


async def test_an_early_close(autojump_clock: MockClock) -> None:
    """Close 1000 in the middle, and what was heard is lost."""
    async with talk(emulate(), V1, by_key("early-0.5")) as client:
        await client.send(*chunks(SECOND, 3200)[:5])
        messages, closed = await client.rest()
    assert (messages, closed.code) == ([], 1000)


@pytest.mark.parametrize(
    ("kind", "first"),
    [("text", "<html>502 Bad Gateway</html>"), ("binary", b"\x00\xffnot expected")],
)
async def test_nonsense_of_the_wrong_kind(kind: str, first: str | bytes, autojump_clock: MockClock) -> None:
    """The first audio is answered with nonsense; then all goes on as usual."""
    async with talk(emulate(), V1, by_key(f"garbage-{kind}")) as client:
        await client.send(SECOND, CLOSE)
        assert await client.receive_whatever() == first
        _, closed = await client.rest()
    assert closed.code == 1000


@pytest.mark.parametrize(("target", "kind"), [(V1, "Results"), (V2, "TurnInfo")])
async def test_nonsense_of_the_wrong_types(target: str, kind: str, autojump_clock: MockClock) -> None:
    """A message of the endpoint's main type whose fields are something else."""
    async with talk(emulate(), target, by_key("garbage-types")) as client:
        await client.send(SECOND)
        message = await client.receive()
        while message["type"] == "Connected":
            message = await client.receive()
    assert message["type"] == kind
    assert not isinstance(message.get("words", message.get("channel")), list | dict)


async def test_nonsense_that_is_no_text(autojump_clock: MockClock) -> None:
    """Invalid UTF-8 in a text message is put on the wire, where a WebSocket library stumbles over it."""
    async with talk(emulate(), V1, by_key("garbage-utf8")) as client:
        await client.send(SECOND)
        with pytest.raises(ConnectionClosed) as closed, trio.fail_after(PATIENCE_S):
            await client.socket.get_message()
    assert closed.value.reason is not None
    assert closed.value.reason.code == 1007


async def test_a_dropped_connection() -> None:
    """TCP is reset in the middle of the audio."""
    emulator = emulate()
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulator.serve)
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            client = await _connected(nursery, stream, by_key("drop-0.5"))
            await client.send_message(SECOND)
            with pytest.raises(ConnectionClosed) as closed:
                await client.get_message()
            assert closed.value.reason is not None
            assert closed.value.reason.code == 1006
            await stream.aclose()
            await emulator.connections[0].ended.wait()
            nursery.cancel_scope.cancel()
    assert emulator.connections[0].error is None


async def test_a_drop_is_a_reset() -> None:
    """The client's kernel hears a reset, not an end."""
    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            port = await nursery.start(emulate().serve)
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(_upgrade(by_key("drop-0")))
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 101")
            await stream.send_all(
                b"\x82\x82\x00\x00\x00\x00\x01\x00"
            )  # two bytes of audio, masked with zeros
            with pytest.raises(trio.BrokenResourceError) as broken:
                await stream.receive_some()
            await stream.aclose()
            nursery.cancel_scope.cancel()
    assert isinstance(broken.value.__cause__, ConnectionResetError)


async def test_a_deaf_service_pushes_back(autojump_clock: MockClock) -> None:
    """When nobody reads any more, the client's sends come to a halt."""
    emulator = emulate()
    ours, theirs = trio.testing.lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(emulator.answer, theirs)
        client = await _connected(nursery, ours, by_key("deaf-0.5"))
        with trio.move_on_after(60) as waiting:
            for _ in range(100):
                await client.send_message(SECOND)
        assert waiting.cancelled_caught
        assert len(SECOND) <= emulator.connections[0].audio_bytes < 10 * len(SECOND)
        nursery.cancel_scope.cancel()


async def test_faults_of_the_whole_emulator(autojump_clock: MockClock) -> None:
    """What an emulator is started with holds for every key."""
    emulator = Emulator(Deepgram(), hear=FakeHear(), faults=Faults(early_after_s=0.1))
    for headers in (KEY, by_key("delay-1")):
        async with talk(emulator, V1, headers) as client:
            await client.send(SECOND)
            messages, closed = await client.rest()
        assert (messages, closed.code) == ([], 1000)


async def test_what_was_sent_is_recorded_byte_for_byte(autojump_clock: MockClock) -> None:
    """A relay can be checked against the record."""
    emulator = emulate()
    received = []
    async with talk(emulator, V1) as client:
        await client.send(SECOND, CLOSE)
        while emulator.connections[0].close_sent is None or len(received) < len(emulator.connections[0].sent):
            received.append(await client.receive_whatever())
    assert received == emulator.connections[0].sent
    assert json.loads(received[-1])["type"] == "Metadata"


async def _connected(nursery: trio.Nursery, stream: trio.abc.Stream, headers: Heads) -> WebSocketConnection:
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    return await wrap_client_stream(nursery, stream, "127.0.0.1", V1, extra_headers=encoded)


def _upgrade(headers: Heads) -> bytes:
    lines = [
        f"GET {V1} HTTP/1.1",
        "Host: emulator",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode()
