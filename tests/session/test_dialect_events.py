"""Dialects that speak first, that tell themselves something, and that keep time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from routeraudio.dialects.base import Command, DialectEvent
from routeraudio.model.errors import CloseCode, Fault
from routeraudio.model.events import Event, Final
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.policy.limits import Limits
from routeraudio.session.deliver import Deliver
from tests.session.adapter import FakeAdapter
from tests.session.conversation import conversation
from tests.session.fakes import FakeStream


class Talker:
    """A dialect that greets, echoes text to its client by way of itself, and counts the time."""

    tick_s = 1.0
    tick = DialectEvent("tick")

    def greeting(self) -> Sequence[Message]:
        return ("hello",)

    def received(self, message: Message) -> Sequence[Command | DialectEvent]:
        return (message,) if isinstance(message, bytes) else (DialectEvent(message),)

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        if isinstance(event, DialectEvent):
            return (str(event.note),)
        return (event.text,) if isinstance(event, Final) else ()

    def error(self, fault: Fault) -> Sequence[Message]:
        return ("sorry",)

    def close_code(self, fault: Fault) -> CloseCode:
        return CloseCode.INTERNAL


def talker(options: Options, request_id: str) -> Talker:
    return Talker()


@asynccontextmanager
async def delivering() -> AsyncIterator[tuple[Deliver, FakeStream]]:
    client = FakeStream()
    stage = Deliver(client, Talker(), Limits(), on_room=lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.run)
        yield stage, client
        nursery.cancel_scope.cancel()


async def test_the_greeting_comes_first(autojump_clock: MockClock) -> None:
    """Before anything that happened earlier."""
    async with delivering() as (stage, client):
        stage.push(Final("early", 0, 100))
        await wait_all_tasks_blocked()
        assert client.texts == ["hello", "early"]


async def test_asides_keep_their_place_among_events(autojump_clock: MockClock) -> None:
    """Also while the client does not read."""
    async with delivering() as (stage, client):
        await wait_all_tasks_blocked()
        client.stops_reading()
        for event in (Final("1", 0, 100), DialectEvent("2"), Final("3", 0, 100)):
            stage.push(event)
        client.reads()
        await wait_all_tasks_blocked()
        assert client.texts == ["hello", "1", "2", "3"]


async def test_time_is_told(autojump_clock: MockClock) -> None:
    """Every so often, but not to a client that does not read: ticks must not gather."""
    async with delivering() as (stage, client):
        await trio.sleep(3.5)
        assert client.texts == ["hello"] + ["tick"] * 3
        client.stops_reading()
        stage.push(Final("slow", 0, 100))
        await trio.sleep(5)
        client.reads()
        await wait_all_tasks_blocked()
        assert client.texts[4:] == ["slow"]


async def test_a_sessions_asides_and_its_dialects_close_code(autojump_clock: MockClock) -> None:
    """What a client says may be answered without the provider; a fault is told and closed as the dialect says."""
    async with conversation(adapter=FakeAdapter(), make_dialect=talker) as play:
        await play.ready()
        await play.client.says("echo")
        await play.upstream.says("fail gone")
        await play.ends()
        assert [text for text in play.client.texts if text != "tick"] == ["hello", "echo", "sorry"]
        assert play.client.close.code == 1011
        assert play.logged("session_ended")["close_code"] == 1011


async def test_a_client_that_does_not_read_its_answers_is_not_read(autojump_clock: MockClock) -> None:
    """So they cannot gather; when it reads again it is read again, and has missed none."""
    async with conversation(adapter=FakeAdapter(), make_dialect=talker) as play:
        await play.ready()
        play.client.stops_reading()
        count = 0
        while not play.client.is_paused:
            play.client.says_at_once(f"{count}")
            count += 1
            assert count <= Limits().outbox_messages_max + 2
        play.client.reads()
        await wait_all_tasks_blocked()
        assert not play.client.is_paused
        await play.client.says("more")
        echoed = [text for text in play.client.texts if text not in ("hello", "tick")]
        assert echoed == [*(f"{number}" for number in range(count)), "more"]
        await play.upstream.says("fail gone")
        await play.ends()
