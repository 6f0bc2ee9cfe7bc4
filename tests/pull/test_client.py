"""A task in a client's place: what it hands to the session, and what it hears from it."""

from typing import Any

import trio
import trio.testing

from routeraudio.dialects.base import Control
from routeraudio.model.errors import UpstreamFault
from routeraudio.model.events import Final, Partial, Raw, Ready, TurnEnd, Usage
from routeraudio.pull.client import Feed, Telling
from routeraudio.pull.outbox import Outbox


class Listener:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.room = True
        self.error: Exception | None = None

    def message(self, message: str | bytes) -> bool:
        if self.error is not None:
            raise self.error
        self.heard.append(message)
        return self.room

    def closed(self, closed: object) -> None:
        self.heard.append(closed)

    def crashed(self, error: Exception) -> None:
        self.heard.append(error)


async def test_audio_waits_for_the_session(nursery: trio.Nursery) -> None:
    """The first audio is there before the session is; nothing is lost, and nothing counts before it is handed over."""
    feed, listener = Feed(), Listener()
    nursery.start_soon(feed.audio, b"12")
    await trio.testing.wait_all_tasks_blocked()
    assert feed.fed_bytes == 0
    feed.start(listener)
    await trio.testing.wait_all_tasks_blocked()
    assert listener.heard == [b"12"]
    assert feed.fed_bytes == 2


async def test_a_full_session_is_waited_for(nursery: trio.Nursery) -> None:
    """After False no audio comes until the session asks for it; controls still do."""
    feed, listener = Feed(), Listener()
    feed.start(listener)
    listener.room = False
    await feed.audio(b"1")
    assert feed.is_paused
    nursery.start_soon(feed.audio, b"2")
    feed.control(Control.KEEPALIVE)
    await trio.testing.wait_all_tasks_blocked()
    assert listener.heard == [b"1", "keepalive"]
    feed.resume()
    await trio.testing.wait_all_tasks_blocked()
    assert listener.heard == [b"1", "keepalive", b"2"]


async def test_nothing_after_the_end() -> None:
    """A closed session is told nothing, and does not make the source wait."""
    feed, listener = Feed(), Listener()
    feed.start(listener)
    feed.close(1000)
    await feed.audio(b"1")
    feed.control(Control.FINISH)
    assert listener.heard == []


async def test_what_a_session_raises_is_the_sessions() -> None:
    """See `Listener.crashed`."""
    feed, listener = Feed(), Listener()
    feed.start(listener)
    listener.error = ValueError("bug")
    await feed.audio(b"1")
    assert listener.heard == [listener.error]


def test_controls_and_audio() -> None:
    """What the feed says the dialect understands."""
    telling = Telling(Outbox(1000, lambda: None), lambda: 0)
    assert telling.received(b"audio") == (b"audio",)
    assert telling.received("finish") == (Control.FINISH,)
    assert telling.received("keepalive") == (Control.KEEPALIVE,)


async def test_messages_are_told_with_what_they_meant() -> None:
    """Each provider message is a callback, at the place in the audio where it came; events say what may be dropped."""
    outbox = Outbox(100_000, lambda: None)
    positions_ms = iter(range(5))
    telling = Telling(outbox, lambda: next(positions_ms))
    for events in (
        (Raw("begin"), Ready()),
        (Raw("partial"), Partial("a", 0, 1)),
        (Raw("both"), Final("a", 0, 1), Partial("b", 1, 2)),
        (Raw("turn"), TurnEnd(2)),
        (Raw(b"binary"), Usage(2)),
    ):
        for event in events:
            assert telling.event(event) == ()
    told = [(await outbox.next())[0] for _ in range(5)]
    assert [one.message for one in told] == ["begin", "partial", "both", "turn", b"binary"]
    assert [one.position_ms for one in told] == [0, 1, 2, 3, 4]
    assert [one.may_give_way for one in told] == [False, True, False, False, False]


def test_fault() -> None:
    """What ended the session is remembered, and told to nobody here."""
    telling = Telling(Outbox(1000, lambda: None), lambda: 0)
    fault = UpstreamFault("Deepgram has gone")
    assert telling.error(fault) == ()
    assert telling.fault is fault
    assert telling.close_code(fault) is fault.close_code
