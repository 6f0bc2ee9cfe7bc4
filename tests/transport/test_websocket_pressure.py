"""Silence, floods, peers that do not read, listeners that cannot keep up: bounded time, bounded memory."""

import gc

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from websockets.frames import Frame
from wsproto.events import CloseConnection, Ping, Pong

from routeraudio.policy.rates import Bucket
from routeraudio.transport.websocket import FRAMES_PER_PASS, TINY_BYTES
from tests.transport.peers import (
    CLIENT,
    KINDS,
    PING_S,
    PONG_S,
    SERVER,
    Kind,
    Line,
    at_once,
    binary,
    clog,
    encoded,
    frame,
    is_released,
    open_line,
    polling,
    text,
)

BEAT_S = 1.0
"""How late a look at the ping clock may come."""

KERNEL_BYTES = 4 << 20
"""More than a socket pair holds on the way, in both directions."""


# Silence.


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_silent_peer_is_pinged_and_given_up(kind: Kind, autojump_clock: MockClock) -> None:
    """A ping after the one deadline, the end after the other; the socket is free then."""
    async with open_line(kind) as line:
        began_s = trio.current_time()
        assert isinstance(await line.peer.event(), Ping)
        assert trio.current_time() - began_s == pytest.approx(PING_S, abs=2 * BEAT_S)
        ended = await line.listener.end()
        assert trio.current_time() - began_s == pytest.approx(PING_S + PONG_S, abs=2 * BEAT_S)
        assert (ended.code, ended.is_violation) == (None, False)
        assert is_released(line)


@pytest.mark.parametrize(
    "sign", [Pong(), text("hi"), binary(b""), Ping()], ids=["pong", "text", "empty", "ping"]
)
async def test_any_sign_of_life_will_do(sign: Pong, autojump_clock: MockClock) -> None:
    """A peer that says something within the deadline, whatever it is, is kept for hours."""
    async with open_line() as line:
        for _ in range(200):
            while not isinstance(await line.peer.event(), Ping):
                pass
            await trio.sleep(PONG_S - 2 * BEAT_S)
            await line.peer.say(sign)
        assert line.listener.closings == []


async def test_a_byte_at_a_time_is_a_sign_of_life(autojump_clock: MockClock) -> None:
    """A slow line that needs minutes for one message is not silent."""
    async with open_line() as line:
        for byte in line.peer.encode(binary(b"slowly")):
            await line.peer.say_raw(bytes([byte]))
            await trio.sleep(PING_S + PONG_S - 3 * BEAT_S)
        await line.listener.until(lambda: line.listener.messages)
    assert line.listener.messages == [b"slowly"]


async def test_a_half_open_connection_ends(autojump_clock: MockClock) -> None:
    """A peer that neither reads nor speaks is given up although our pings pile up in its window."""
    async with open_line() as line:
        clog(line)
        began_s = trio.current_time()
        assert (await line.listener.end()).code is None
        assert trio.current_time() - began_s <= PING_S + PONG_S + 2 * BEAT_S
        assert is_released(line)


async def test_a_peer_we_do_not_read_cannot_be_silent(autojump_clock: MockClock) -> None:
    """While the listener keeps the peer waiting, however long, the peer is not given up for its silence."""
    async with open_line() as line:
        line.listener.has_room = False
        await line.peer.say(text("full"))
        await line.listener.until(lambda: line.driver.is_paused)
        await trio.sleep(10 * (PING_S + PONG_S))
        line.listener.has_room = True
        line.driver.resume()
        await line.peer.say(text("again"))
        await line.listener.until(lambda: len(line.listener.messages) == 2)
        assert line.listener.closings == []
        assert isinstance(await line.peer.event(), Ping)


async def test_after_a_pause_silence_counts_again(autojump_clock: MockClock) -> None:
    """A peer that died while it was kept waiting is found out."""
    async with open_line() as line:
        line.listener.has_room = False
        await line.peer.say(text("full"))
        await line.listener.until(lambda: line.driver.is_paused)
        await trio.sleep(100)
        line.driver.resume()
        began_s = trio.current_time()
        await line.listener.end()
        assert trio.current_time() - began_s == pytest.approx(PING_S + PONG_S, abs=3 * BEAT_S)


# Floods.

BURST, RATE = 50, 10.0

CHAFF = {
    "pings": frame(0x89),
    "pongs": frame(0x8A),
    "empty messages": frame(0x82),
    "empty texts": frame(0x81),
    "texts": frame(0x81, b"{}"),
    "fragments": frame(0x00),
    "crumbs of audio": frame(0x82, b"ab"),
    "fragments of audio": frame(0x00, b"ab"),
}


def opening(name: str) -> bytes:
    return frame(0x02) if name.startswith("fragments") else b""


@pytest.mark.parametrize("name", CHAFF)
async def test_a_flood_is_refused(name: str, autojump_clock: MockClock) -> None:
    """More messages without audio than the burst allows end the connection with 1008."""
    async with open_line(flood=Bucket(RATE, BURST)) as line:
        await line.peer.say_raw(opening(name) + CHAFF[name] * (BURST + 1))
        with at_once():
            ended = await line.listener.end()
            assert (ended.code, ended.is_violation) == (1008, True)
            assert (await line.peer.closing()).code == 1008


@pytest.mark.parametrize("name", CHAFF)
async def test_what_the_rate_allows_goes_on(name: str, autojump_clock: MockClock) -> None:
    """A burst, and then the sustained rate, are nobody's fault."""
    async with open_line(flood=Bucket(RATE, BURST)) as line:
        await line.peer.say_raw(opening(name) + CHAFF[name] * (BURST - 2))
        for _ in range(200):
            await trio.sleep(1 / RATE)
            await line.peer.say_raw(CHAFF[name])
        await trio.testing.wait_all_tasks_blocked()
        assert line.listener.closings == []


@pytest.mark.parametrize("name", CHAFF)
async def test_a_little_more_than_the_rate_allows_is_found_out(name: str, autojump_clock: MockClock) -> None:
    """A flood that hides below the burst ends too."""
    async with open_line(flood=Bucket(RATE, BURST)) as line:
        await line.peer.say_raw(opening(name))
        for _ in range(20 * BURST):
            if line.listener.closings:
                break
            await line.peer.say_raw(CHAFF[name])
            await trio.sleep(0.9 / RATE)
        assert [ended.code for ended in line.listener.closings] == [1008]


async def test_audio_is_no_flood(autojump_clock: MockClock) -> None:
    """Messages of 5 ms of audio or more, however many, are slowed down, not refused."""
    async with open_line(flood=Bucket(RATE, BURST)) as line:
        for _ in range(40):
            await line.peer.say_raw(frame(0x82, bytes(TINY_BYTES)) * 500)
        await line.listener.until(lambda: len(line.listener.messages) == 20_000)
        assert line.listener.closings == []


async def test_thousands_of_messages_are_taken_in_portions(autojump_clock: MockClock) -> None:
    """One read can hold 9,000 of them; others are served in between, and their order stays."""
    portions: list[int] = []
    async with polling() as poller, open_line(poller=poller) as line, open_line(poller=poller) as other:
        count = 3 * FRAMES_PER_PASS + 5
        await line.peer.say_raw(b"".join(frame(0x82, number.to_bytes(2)) for number in range(count)))
        await other.peer.say(text("me"))
        await other.listener.until(lambda: bool(other.listener.messages))
        portions.append(len(line.listener.messages))
        await line.listener.until(lambda: len(line.listener.messages) == count)
        assert portions[0] < count
        assert line.listener.messages == [number.to_bytes(2) for number in range(count)]


async def push_until_stuck(line: Line, data: bytes) -> int:
    """How much of ``data``, over and over, the peer can send while it reads nothing itself."""
    sent = 0
    assert isinstance(line.peer.stream, trio.SocketStream)
    sock = line.peer.stream.socket
    while sent < 4 * KERNEL_BYTES:
        with trio.move_on_after(5) as scope:
            sent += await sock.send(data)
        if scope.cancelled_caught or line.listener.closings:
            break
    return sent


@pytest.mark.parametrize("payload", [bytes(10), bytes(125)], ids=["small", "large"])
@pytest.mark.parametrize("kind", [SERVER, CLIENT], ids=str)
async def test_answers_that_nobody_reads_do_not_pile_up(
    kind: Kind, payload: bytes, autojump_clock: MockClock
) -> None:
    """A peer that sends pings and reads no pong is read no further: memory is bounded by that."""
    async with open_line(kind) as line:
        sent = await push_until_stuck(line, encoded(kind.side, Ping(payload=payload)) * 2000)
        assert sent < KERNEL_BYTES


@pytest.mark.parametrize("kind", [SERVER, CLIENT], ids=str)
async def test_behind_a_full_socket_answers_do_not_pile_up(kind: Kind, autojump_clock: MockClock) -> None:
    """The same when messages of ours already wait."""
    async with open_line(kind) as line:
        clog(line)
        sent = await push_until_stuck(line, encoded(kind.side, Ping(payload=bytes(125))) * 500)
        assert sent < KERNEL_BYTES


async def test_a_flood_of_pings_that_ends_is_answered_in_full(autojump_clock: MockClock) -> None:
    """When the peer reads again, everything it asked is answered in order, and everything is read."""
    count = 20_000
    async with open_line(CLIENT) as line, trio.open_nursery() as nursery:
        asked = [Ping(payload=b"%d" % number) for number in range(count)]
        nursery.start_soon(line.peer.say_raw, line.peer.encode(*asked, text("over")))
        await trio.sleep(5)
        for number in range(count):
            assert await line.peer.event() == Pong(payload=b"%d" % number)
        await line.listener.until(lambda: line.listener.messages)


async def test_a_message_in_endless_fragments_takes_no_memory(autojump_clock: MockClock) -> None:
    """Empty fragments are nothing, whatever their number; nothing is kept for each."""
    async with open_line(CLIENT) as line:
        await line.peer.say_raw(frame(0x02, is_masked=False))
        for _ in range(20):
            await line.peer.say_raw(frame(0x00, is_masked=False) * 1000)
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        kept = sum(isinstance(thing, Frame) for thing in gc.get_objects())
        assert kept < 1000
        await line.peer.say_raw(frame(0x80, b"end", is_masked=False))
        await line.listener.until(lambda: line.listener.messages)
    assert line.listener.messages == [b"end"]


# Pressure both ways.


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_slow_reader_makes_us_wait(kind: Kind, autojump_clock: MockClock) -> None:
    """`is_congested` while something is kept back; `flushed` returns when the peer has read; nothing is lost."""
    async with open_line(kind) as line, trio.open_nursery() as nursery:
        assert not line.driver.is_congested
        await line.driver.flushed()
        sent = 0
        while not line.driver.is_congested:
            line.driver.send(sent.to_bytes(4) * 10_000)
            sent += 1
        line.driver.send("behind")
        with trio.move_on_after(3) as scope:
            await line.driver.flushed()
        assert scope.cancelled_caught
        waited = trio.Event()

        async def wait() -> None:
            await line.driver.flushed()
            waited.set()

        nursery.start_soon(wait)
        nursery.start_soon(wait)
        for number in range(sent):
            assert await line.peer.message() == number.to_bytes(4) * 10_000
        assert await line.peer.message() == "behind"
        with at_once():
            await waited.wait()
        assert not line.driver.is_congested


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_listener_without_room_makes_the_peer_wait(kind: Kind, autojump_clock: MockClock) -> None:
    """After a False nothing more is read; the peer's sends block; `resume` brings everything in order."""
    count = 3000
    async with open_line(kind) as line, trio.open_nursery() as nursery:
        line.listener.has_room = False
        is_sent = False

        async def talk() -> None:
            nonlocal is_sent
            for number in range(count):
                await line.peer.say(binary(number.to_bytes(4) * 1000))
            is_sent = True

        nursery.start_soon(talk)
        await trio.sleep(5)
        assert line.driver.is_paused
        assert not is_sent
        stood_at = len(line.listener.messages)
        assert stood_at < 40, "more than one read's worth"
        await trio.sleep(5)
        assert len(line.listener.messages) == stood_at
        line.listener.has_room = True
        line.driver.resume()
        await line.listener.until(lambda: len(line.listener.messages) == count)
        assert not line.driver.is_paused
    assert line.listener.messages == [number.to_bytes(4) * 1000 for number in range(count)]


async def test_paused_again_and_again_nothing_is_lost(autojump_clock: MockClock) -> None:
    """A listener that asks to stop after every message gets every message."""
    async with open_line() as line:
        line.listener.has_room = False
        for number in range(50):
            await line.peer.say(text(str(number)))
            await line.listener.until(lambda: line.driver.is_paused)
            line.driver.resume()
    assert line.listener.messages == [str(number) for number in range(50)]


async def test_writing_goes_on_while_reading_is_paused(autojump_clock: MockClock) -> None:
    """A paused peer still gets what is sent to it, also what did not fit at once."""
    async with open_line() as line:
        line.listener.has_room = False
        await line.peer.say(text("full"))
        await line.listener.until(lambda: line.driver.is_paused)
        sent = 0
        while not line.driver.is_congested:
            line.driver.send(bytes(10_000))
            sent += 1
        for _ in range(sent):
            assert await line.peer.message() == bytes(10_000)


# Listeners with bugs.


class Bug(Exception):
    pass


def _raise(_said: object) -> None:
    raise Bug


@pytest.mark.parametrize("kind", KINDS, ids=str)
async def test_a_listener_that_raises_costs_only_itself(kind: Kind, autojump_clock: MockClock) -> None:
    """Its own session is told, once; the poller and the other connections go on."""
    async with open_line(kind) as broken, open_line(poller=broken.poller) as other:
        broken.listener.on_message = _raise
        await broken.peer.say(text("boom"), text("more"))
        await broken.listener.until(lambda: broken.listener.crashes)
        await broken.peer.say(text("still there"))
        await other.peer.say(text("hello"))
        await other.listener.until(lambda: other.listener.messages)
        assert [type(error) for error in broken.listener.crashes] == [Bug]
        assert broken.listener.messages == ["boom"]
        assert broken.listener.closings == []


@pytest.mark.parametrize("split", [False, True], ids=["whole", "with half a frame behind"])
async def test_after_a_listener_has_raised_the_goodbye_works(split: bool, autojump_clock: MockClock) -> None:
    """The session can still tell the peer 1011 and see its answer, whatever stood behind the fatal message."""
    async with open_line() as line, trio.open_nursery() as nursery:
        line.listener.on_message = _raise
        data = line.peer.encode(text("boom"), binary(b"behind"))
        cut = len(data) - 3 if split else len(data)
        await line.peer.say_raw(data[:cut])
        await line.listener.until(lambda: line.listener.crashes)
        line.driver.close(1011)
        nursery.start_soon(line.driver.aclose)
        event = await line.peer.event()
        assert isinstance(event, CloseConnection)
        assert event.code == 1011
        with at_once():
            await line.peer.say_raw(data[cut:] + line.peer.encode(event.response()))
            await line.peer.eof()
            await trio.aclose_forcefully(line.peer.stream)
            await trio.testing.wait_all_tasks_blocked()
            assert is_released(line)


@pytest.mark.parametrize("end", ["close frame", "end of stream", "violation", "silence"])
async def test_a_listener_that_raises_at_the_end_is_told_too(end: str, autojump_clock: MockClock) -> None:
    """A bug in `closed` reaches the session like one in `message`, and nobody else."""
    async with open_line() as broken, open_line(poller=broken.poller) as other:
        broken.listener.on_closed = _raise
        if end == "close frame":
            await broken.peer.say(CloseConnection(code=1000))
        elif end == "end of stream":
            await trio.aclose_forcefully(broken.peer.stream)
        elif end == "violation":
            await broken.peer.say_raw(frame(0x81, b"\xff"))
        else:
            await other.peer.say(Pong())
            await trio.sleep(PING_S)
            await other.peer.say(Pong())
            await trio.sleep(PONG_S)
            await other.peer.say(Pong())
        await broken.listener.until(lambda: broken.listener.crashes)
        await other.peer.say(text("hello"))
        await other.listener.until(lambda: other.listener.messages)
        assert [type(error) for error in broken.listener.crashes] == [Bug]


@pytest.mark.parametrize("is_cut", [False, True])
async def test_a_narrow_line(is_cut: bool, autojump_clock: MockClock) -> None:
    """Who has shown no key may say little at once, in one frame or in several; afterwards as much as anybody."""
    async with open_line() as line:
        line.driver.narrow(100)
        await line.peer.say(text("x" * 100))
        await line.listener.until(lambda: len(line.listener.messages) == 1)
        line.driver.widen()
        await line.peer.say(text("x" * 1000))
        await line.listener.until(lambda: len(line.listener.messages) == 2)
        line.driver.narrow(100)
        long = frame(0x81, b"x" * 101)
        if is_cut:
            long = frame(0x01, b"x" * 60) + frame(0x00, b"x" * 60)
        await line.peer.say_raw(long)
        ended = await line.listener.end()
        assert (ended.code, ended.is_violation) == (1009, True)
