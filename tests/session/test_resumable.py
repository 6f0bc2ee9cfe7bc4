"""What a stream over several connections keeps, and for how long."""

import json

import pytest
import trio
import trio.testing

from routeraudio.dialects.base import Position
from routeraudio.model.message import Message
from routeraudio.session.resumable import KEPT_BYTES_MAX, Gone, Resumable
from routeraudio.session.streams import Closed, Listener

CUT = Closed(None, "")
PARTIAL = '{"type":"transcript","is_partial":true}'
FINAL = '{"type":"transcript","is_partial":false}'


class Line:
    """One connection."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.code: int | None = None
        self.is_paused = self.is_congested = self.is_lost = False
        self.has_said_goodbye = False
        self.listener: Listener | None = None

    def start(self, listener: Listener) -> None:
        self.listener = listener

    def resume(self) -> None:
        self.is_paused = False

    def send(self, message: Message) -> None:
        assert isinstance(message, str)
        self.sent.append(message)

    async def flushed(self) -> None:
        await trio.lowlevel.checkpoint()

    def close(self, code: int, _reason: str = "") -> None:
        self.code = code

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()

    def lose(self) -> None:
        self.is_lost = True
        self.cut()

    def cut(self, closed: Closed = CUT) -> None:
        assert self.listener is not None
        self.listener.closed(closed)

    @property
    def numbers(self) -> list[int]:
        return [message["seq"] for message in map(json.loads, self.sent) if "seq" in message]


class Tells:
    def session(self, _position: Position) -> str:
        return '{"type":"session"}'

    def ack(self, position: Position) -> str:
        return json.dumps({"type": "ack", "received_bytes": position.received_bytes})

    def is_passing(self, message: Message) -> bool:
        return '"is_partial":true' in str(message)


class Heard:
    """A session's listener."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ended: list[Closed] = []
        self.has_room = True

    def message(self, message: Message) -> bool:
        self.messages.append(message)
        return self.has_room

    def closed(self, closed: Closed) -> None:
        self.ended.append(closed)

    def crashed(self, error: Exception) -> None:
        raise error


def resumable(*, acks: bool = False) -> tuple[Line, Resumable, Heard]:
    line, heard = Line(), Heard()
    stream = Resumable(line, Tells(), resume_s=30.0, acks=acks)
    stream.start(heard)
    return line, stream, heard


async def again(nursery: trio.Nursery, stream: Resumable, after: int, *, is_polite: bool = False) -> Line:
    line = Line()
    line.has_said_goodbye = is_polite
    nursery.start_soon(stream.attach, line, after, lambda: None)
    await trio.testing.wait_all_tasks_blocked()
    return line


async def test_memory_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    """What is too old is not kept, and whoever is behind that far is told so rather than left with a gap."""
    line, stream, _ = resumable()
    long = '{"type":"transcript","is_partial":false,"transcript":"%s"}' % ("x" * 10_000)
    for _ in range(100):
        stream.send(long)
    assert len(line.sent) == 101
    assert stream._kept_bytes <= KEPT_BYTES_MAX
    with pytest.raises(Gone):
        stream.check(10)
    async with trio.open_nursery() as nursery:
        back = await again(nursery, stream, 90)
        assert back.numbers == list(range(91, 101))
        back.cut()


async def test_replaced_partials_are_not_kept(autojump_clock: trio.testing.MockClock) -> None:
    """An hour of them takes no memory; the last one, and every final, is told again."""
    line, stream, _ = resumable()
    line.cut()
    for _ in range(1_000):
        stream.send(PARTIAL)
    stream.send(FINAL)
    stream.send(PARTIAL)
    async with trio.open_nursery() as nursery:
        back = await again(nursery, stream, 0)
        assert back.numbers == [1001, 1002]
        back.cut()


@pytest.mark.parametrize("away_s", [29.0, 31.0])
async def test_how_long_it_waits(away_s: float, autojump_clock: trio.testing.MockClock) -> None:
    line, stream, heard = resumable()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        line.cut()
        await trio.sleep(away_s)
        assert len(heard.ended) == (away_s > 30)
        nursery.cancel_scope.cancel()


async def test_every_absence_has_its_own_time(autojump_clock: trio.testing.MockClock) -> None:
    line, stream, heard = resumable()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        for _ in range(5):
            line.cut()
            await trio.sleep(20)
            line = await again(nursery, stream, 0)
            await trio.sleep(20)
        assert not heard.ended
        nursery.cancel_scope.cancel()


async def test_a_session_that_is_full_stays_full(autojump_clock: trio.testing.MockClock) -> None:
    """A new connection is not read on until the session has room."""
    line, stream, heard = resumable()
    heard.has_room = False
    assert line.listener is not None
    assert not line.listener.message(b"1")
    async with trio.open_nursery() as nursery:
        back = await again(nursery, stream, 0)
        assert line.is_lost
        assert back.listener is not None
        heard.has_room = True
        assert not back.listener.message(b"2"), "nobody has said that there is room again"
        stream.resume()
        assert back.listener.message(b"3")
        assert stream.position.received_bytes == 3
        back.cut()


async def test_the_end_is_kept_for_who_is_away(autojump_clock: trio.testing.MockClock) -> None:
    """And for whoever was told it over a connection that never answered."""
    line, stream, _ = resumable()
    async with trio.open_nursery() as nursery:
        stream.send(FINAL)
        stream.close(4040)
        nursery.start_soon(stream.aclose)
        await trio.sleep(10)
        assert line.code == 4040
        back = await again(nursery, stream, 0)
        assert (back.numbers, back.code) == ([1], 4040)
        started_s = trio.current_time()
        last = await again(nursery, stream, 0, is_polite=True)
        assert (last.numbers, last.code) == ([1], 4040)
    assert trio.current_time() - started_s <= 30
    with pytest.raises(Gone):
        stream.check(0)


async def test_acknowledgements_only_when_there_is_news(autojump_clock: trio.testing.MockClock) -> None:
    line, stream, _ = resumable(acks=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.run)
        assert line.listener is not None
        line.listener.message(b"abc")
        await trio.sleep(10.5)
        assert line.sent[1:] == ['{"type": "ack", "received_bytes": 3}']
        nursery.cancel_scope.cancel()
