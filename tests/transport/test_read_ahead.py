"""What is read while nobody takes it: pings are answered, everything else comes whole and in order, within bounds."""

import random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock
from wsproto.events import Ping, Pong

from routeraudio.transport.read_ahead import ReadAhead, Total
from tests.transport.peers import binary, frame, open_line, polling

AHEAD = 1 << 20


def ahead(controls: list[bytes], bytes_max: int = AHEAD, total: Total | None = None) -> ReadAhead:
    return ReadAhead(
        Total(1 << 30) if total is None else total,
        bytes_max,
        1 << 20,
        is_masked=True,
        on_control=controls.append,
    )


def taken(kept: ReadAhead) -> bytes:
    parts = []
    while (chunk := kept.next()) is not None:
        parts.append(chunk)
    return b"".join(parts)


FRAMES = [
    frame(0x82, b""),
    frame(0x82, b"abc"),
    frame(0x81, b"{}"),
    frame(0x82, bytes(200)),
    frame(0x82, bytes(70_000)),
    frame(0x02, b"part"),
    frame(0x80, b"rest"),
]
CONTROLS = [frame(0x89, b""), frame(0x89, b"ping"), frame(0x8A, b"pong"), frame(0x89, bytes(125))]


@given(st.lists(st.sampled_from(FRAMES + CONTROLS), max_size=12), st.lists(st.integers(1, 3000), max_size=20))
def test_controls_come_out_and_the_rest_stays(frames: list[bytes], cuts: list[int]) -> None:
    """However it is cut."""
    controls: list[bytes] = []
    kept = ahead(controls)
    data = b"".join(frames)
    for cut in cuts:
        kept.feed(data[:cut])
        data = data[cut:]
    kept.feed(data)
    assert controls == [one for one in frames if one in CONTROLS]
    assert taken(kept) == b"".join(one for one in frames if one not in CONTROLS)


@pytest.mark.parametrize(
    "wrong",
    [
        frame(0x88, b"\x03\xe8"),  # a close: what stands before it is taken first
        b"\x82\x03abc",  # no mask
        frame(0x89, bytes(126)),  # a control frame too long
        b"\x82\xff" + (1 << 40).to_bytes(8) + bytes(4),
    ],
)
def test_what_is_not_understood_is_left_alone(wrong: bytes) -> None:
    """Whoever takes it says what is wrong with it; nothing behind it is looked into."""
    for step in (1, 3, 1000):
        controls: list[bytes] = []
        kept = ahead(controls)
        data = frame(0x82, b"abc") + wrong + frame(0x89, b"late")
        for start in range(0, len(data), step):
            kept.feed(data[start : start + step])
        assert controls == []
        assert taken(kept) == data


def test_bounds() -> None:
    """Of a connection, and of all together; what is taken or forgotten makes room."""
    total = Total(3000)
    one, other = ahead([], 2000, total), ahead([], 2000, total)
    one.feed(frame(0x82, bytes(2000)))
    assert not one.has_room
    assert other.has_room
    other.feed(frame(0x82, bytes(1200)))
    assert not other.has_room
    taken(one)
    assert other.has_room
    other.forget()
    assert total.held_bytes == 0


@pytest.mark.parametrize("seed", range(5))
async def test_a_client_that_is_not_taken_is_answered(autojump_clock: MockClock, seed: int) -> None:
    """Its pings come back at once; what it sent is heard whole and in order afterwards."""
    draw = random.Random(seed)
    async with open_line(ahead_bytes_max=AHEAD) as line:
        line.listener.has_room = False
        sent = [draw.randbytes(draw.choice([1, 100, 5000, 70_000])) for _ in range(30)]
        for number, data in enumerate(sent):
            await line.peer.say(binary(data))
            if number % 7 == 3:
                await line.peer.say(Ping(payload=bytes([number])))
                with trio.fail_after(1):
                    assert isinstance(await line.peer.event(), Pong)
        assert len(line.listener.messages) < len(sent)
        line.listener.has_room = True
        line.driver.resume()
        await line.listener.until(lambda: len(line.listener.messages) == len(sent))
        assert line.listener.messages == sent


async def test_beyond_the_bound_the_peer_is_not_read(autojump_clock: MockClock) -> None:
    """TCP slows it, as without reading ahead."""
    async with polling() as poller, open_line(poller=poller, ahead_bytes_max=AHEAD) as line:
        line.listener.has_room = False
        assert isinstance(line.peer.stream, trio.SocketStream)
        sock = line.peer.stream.socket
        data = frame(0x82, bytes(60_000)) * 200
        sent = 0
        with trio.move_on_after(5):
            while sent < len(data):
                sent += await sock.send(data[sent : sent + 65_536])
        assert sent < len(data)
        assert poller.ahead.held_bytes < AHEAD + 200_000
        line.listener.has_room = True
        line.driver.resume()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(line.peer.stream.send_all, data[sent:])
            await line.listener.until(lambda: len(line.listener.messages) == 200)
        assert poller.ahead.held_bytes == 0


async def test_the_end_comes_behind_what_was_read_ahead(autojump_clock: MockClock) -> None:
    """A peer that sends everything and goes: nothing of it is lost."""
    async with open_line(ahead_bytes_max=AHEAD) as line:
        line.listener.has_room = False
        for number in range(10):
            await line.peer.say(binary(bytes([number]) * 1000))
        await trio.sleep(0.1)
        await line.peer.stream.aclose()
        await trio.sleep(0.1)
        assert line.listener.closings == []
        line.listener.has_room = True
        line.driver.resume()
        await line.listener.end()
        assert len(line.listener.messages) == 10


async def test_released_with_something_read_ahead(autojump_clock: MockClock) -> None:
    """It counts no more."""
    async with polling() as poller:
        async with open_line(poller=poller, ahead_bytes_max=AHEAD) as line:
            line.listener.has_room = False
            for _ in range(5):
                await line.peer.say(binary(bytes(1000)))
            await trio.sleep(0.1)
            assert poller.ahead.held_bytes > 0
        assert poller.ahead.held_bytes == 0
