"""The deliver stage: a slow client loses partials only, and a client that does not read is let go."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hypothesis.strategies as st
import pytest
import trio
from hypothesis import given
from trio.testing import MockClock, wait_all_tasks_blocked

from routeraudio.dialects.listen import Listen
from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.model.events import Event, Failed, Final, Finished, Partial, Raw, Ready, TurnEnd, Usage, Word
from routeraudio.policy.limits import Limits
from routeraudio.session.deliver import Deliver
from tests.session.conversation import options, short
from tests.session.fakes import FakeStream


def partial(text: str) -> Partial:
    return Partial(text, 0, 100)


def final(text: str) -> Final:
    return Final(text, 0, 100)


TURN_END = TurnEnd(100)


class Delivering:
    """The stage, its client, and how often the upstream may be read again."""

    def __init__(self, limits: Limits, *, parse_json: bool = True) -> None:
        self.client = FakeStream()
        self.rooms = 0
        dialect = Listen(options(parse_json=parse_json), "request-1")
        self.stage = Deliver(self.client, dialect, limits, on_room=self._on_room)

    def _on_room(self) -> None:
        self.rooms += 1

    @property
    def told(self) -> list[str]:
        return [short(json.loads(text)) for text in self.client.texts]


@asynccontextmanager
async def delivering(limits: Limits | None = None, *, parse_json: bool = True) -> AsyncIterator[Delivering]:
    play = Delivering(Limits() if limits is None else limits, parse_json=parse_json)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play.stage.run)
        await wait_all_tasks_blocked()
        yield play
        nursery.cancel_scope.cancel()


async def test_a_client_that_reads_is_told_everything_at_once() -> None:
    """With a client that keeps up nothing waits, not even a partial."""
    async with delivering() as play:
        for event in (Ready(), partial("a"), partial("a b"), final("a b."), TURN_END, Usage(1)):
            assert play.stage.push(event)
        assert play.told == ["partial a", "partial a b", "final a b.", "turn_end"]


async def test_partials_give_way_to_the_latest() -> None:
    """While something waits only the latest partial is kept."""
    async with delivering() as play:
        play.client.stops_reading()
        for event in (final("0"), partial("a"), partial("b"), partial("c")):
            play.stage.push(event)
        play.client.reads()
        await wait_all_tasks_blocked()
        assert play.told == ["final 0", "partial c"]


async def test_a_final_makes_the_waiting_partial_obsolete() -> None:
    """A client that reads again gets the final and no partial it replaces."""
    async with delivering() as play:
        play.client.stops_reading()
        for event in (final("0"), partial("a"), final("a."), partial("b"), partial("b c")):
            play.stage.push(event)
        play.client.reads()
        await wait_all_tasks_blocked()
        assert play.told == ["final 0", "final a.", "partial b c"]


async def test_a_partial_never_overtakes_the_final_before_it() -> None:
    """A partial of the next utterance comes behind the final of the last one, also where one waited before it."""
    async with delivering() as play:
        play.client.stops_reading()
        for event in (final("0"), partial("a"), final("a."), partial("b"), final("b."), partial("c")):
            play.stage.push(event)
        play.client.reads()
        await wait_all_tasks_blocked()
        assert play.told == ["final 0", "final a.", "final b.", "partial c"]


async def test_a_partial_never_overtakes_the_end_of_a_turn() -> None:
    """A partial of the next turn is not told before the end of the last one."""
    async with delivering() as play:
        play.client.stops_reading()
        for event in (final("0"), partial("a"), TURN_END, partial("b")):
            play.stage.push(event)
        play.client.reads()
        await wait_all_tasks_blocked()
        assert play.told.index("turn_end") < play.told.index("partial b")


async def test_the_latest_partial_keeps_its_place_while_earlier_ones_go() -> None:
    """Handing over one utterance's partial does not make room for a second one of another utterance."""
    async with delivering() as play:
        play.client.stops_reading()
        for event in (final("0"), partial("a"), TURN_END, partial("b")):
            play.stage.push(event)
        for _ in range(2):
            play.client.reads(1)
            await wait_all_tasks_blocked()
        play.stage.push(partial("b c"))
        play.client.reads()
        await wait_all_tasks_blocked()
        assert play.told == ["final 0", "partial a", "turn_end", "partial b c"]


async def test_the_upstream_is_paused_and_read_again() -> None:
    """Above the bound `push` answers False; when the client has caught up, the upstream may be read again."""
    async with delivering(Limits(outbox_messages_max=8, outbox_bytes=8000)) as play:
        play.client.stops_reading()
        answers = [play.stage.push(final(str(number))) for number in range(12)]
        assert answers[0]
        assert not answers[-1]
        assert answers == sorted(answers, reverse=True)
        assert play.rooms == 0
        play.client.reads()
        await wait_all_tasks_blocked()
        assert play.rooms == 1
        assert play.told == [f"final {number}" for number in range(12)]


async def test_partials_alone_never_fill_the_outbox() -> None:
    """However many partials come while nothing is read, one is kept and the upstream is not paused for them."""
    async with delivering(Limits(outbox_messages_max=8, outbox_bytes=8000)) as play:
        play.client.stops_reading()
        assert all(play.stage.push(partial(str(number))) for number in range(1000))
        play.client.reads()
        await wait_all_tasks_blocked()
        assert play.told == ["partial 0", "partial 999"]


@pytest.mark.parametrize(
    "long", [final("x" * 10_000), Final("x", 0, 100, tuple(Word("x", 0, 100) for _ in range(100)))]
)
async def test_long_finals_count_by_their_length(long: Final) -> None:
    """The outbox is bounded in bytes too: a few long finals fill it."""
    async with delivering(Limits(outbox_messages_max=256, outbox_bytes=100_000)) as play:
        play.client.stops_reading()
        answers = [play.stage.push(long) for _ in range(14)]
        assert not answers[-1]
        assert all(answers[:5])


@pytest.mark.parametrize("message", ["x" * 10_000, b"x" * 10_000])
async def test_raw_messages_count_by_their_length(message: str | bytes) -> None:
    """With `parse_json=false` the outbox is bounded in bytes just the same."""
    async with delivering(Limits(outbox_messages_max=256, outbox_bytes=100_000), parse_json=False) as play:
        play.client.stops_reading()
        answers = [play.stage.push(Raw(message)) for _ in range(14)]
        assert not answers[-1]
        assert all(answers[:5])
        play.client.reads()
        await wait_all_tasks_blocked()
        assert play.client.heard == [message] * 14


async def test_a_client_that_reads_slowly_is_kept(autojump_clock: MockClock) -> None:
    """One message every nine seconds is enough to stay, and all finals arrive in order."""
    async with delivering(Limits(send_s=10)) as play:
        play.client.stops_reading()
        for number in range(6):
            play.stage.push(final(str(number)))
        for _ in range(6):
            await trio.sleep(9)
            play.client.reads(1)
        await wait_all_tasks_blocked()
        assert play.told == [f"final {number}" for number in range(6)]


async def test_a_client_that_does_not_read_is_let_go(autojump_clock: MockClock) -> None:
    """After `send_s` without reading the stage raises the client's fault."""
    play = Delivering(Limits(send_s=10))
    began_s = trio.current_time()
    with pytest.RaisesGroup(pytest.RaisesExc(ClientFault, check=_is_timeout)):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(play.stage.run)
            await wait_all_tasks_blocked()
            play.client.stops_reading()
            play.stage.push(final("1"))
            play.stage.push(final("2"))
    assert trio.current_time() - began_s == pytest.approx(10)


def _is_timeout(fault: ClientFault) -> bool:
    return (fault.code, fault.close_code) == ("timeout", CloseCode.TIMEOUT)


@pytest.mark.parametrize("last", [Finished(), Failed(UpstreamFault("gone"))])
async def test_the_ending_is_known_behind_everything_before_it(last: Finished | Failed) -> None:
    """`ended` is set when the client has been handed all that came before the end, not earlier."""
    async with delivering() as play:
        play.client.stops_reading()
        for event in (final("1"), final("2"), last):
            play.stage.push(event)
        await wait_all_tasks_blocked()
        assert not play.stage.ended.is_set()
        play.client.reads()
        await wait_all_tasks_blocked()
        assert play.stage.ended.is_set()
        assert play.stage.ending is last
        assert play.told == ["final 1", "final 2"]


async def test_drain_hands_everything_to_the_stream() -> None:
    """What waits when the session ends goes out in order, the partial too, without waiting for the client."""
    play = Delivering(Limits())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(play.stage.run)
        await wait_all_tasks_blocked()
        play.client.stops_reading()
        for event in (final("1"), final("2"), partial("a"), partial("b")):
            play.stage.push(event)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    play.stage.drain()
    play.client.reads()
    assert play.told == ["final 1", "final 2", "partial b"]


EVENTS = st.sampled_from(["partial", "partial", "final", "turn", "stop", "read one", "read", "settle"])


@given(st.lists(EVENTS, max_size=40))
def test_any_pace_of_reading_loses_partials_only(actions: list[str]) -> None:
    """Whatever the client's pace: what it is told is what it would have been told, without some partials."""

    async def story() -> None:
        said: list[Event] = []
        async with delivering(Limits(outbox_messages_max=4, outbox_bytes=4000)) as play:
            play.client.stops_reading()
            for number, action in enumerate(actions):
                match action:
                    case "partial":
                        said.append(partial(str(number)))
                    case "final":
                        said.append(final(str(number)))
                    case "turn":
                        said.append(TURN_END)
                    case "stop":
                        play.client.stops_reading()
                    case "read one":
                        play.client.reads(1)
                    case "read":
                        play.client.reads()
                    case _:
                        await wait_all_tasks_blocked()
                if action in ("partial", "final", "turn"):
                    play.stage.push(said[-1])
            play.client.reads()
            await wait_all_tasks_blocked()
            told = play.told
        everything = [_short(event) for event in said]
        assert _is_subsequence(told, everything)
        assert [each for each in told if "partial" not in each] == [
            each for each in everything if "partial" not in each
        ]
        if said and isinstance(said[-1], Partial):
            assert told[-1] == everything[-1]

    trio.run(story)


def _short(event: Event) -> str:
    if isinstance(event, Partial):
        return f"partial {event.text}"
    return f"final {event.text}" if isinstance(event, Final) else "turn_end"


def _is_subsequence(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(each in rest for each in part)
