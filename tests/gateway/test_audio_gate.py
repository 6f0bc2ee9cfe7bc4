"""What may pass when: cycles by samples, by the clock, and messages that hold several."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from routeraudio.gateway.audio_gate import AudioGate
from routeraudio.model.errors import BudgetUsedUp, Fault
from routeraudio.providers.native import AudioCounter
from tests.session.fakes import FakeTab

SECOND = bytes(32_000)


class Way:
    """A toll, and the messages that want to pass it."""

    def __init__(self, granted: float, rate: int = 32_000) -> None:
        self.credit = FakeTab(granted)
        self.meter = AudioCounter(rate)
        self.refusals: list[Fault] = []
        self.toll = AudioGate(self.credit, self.meter, on_refused=self.refusals.append)

    def passes(self, audio: bytes = SECOND) -> bool:
        self.meter.read(audio)
        return self.toll.lets_pass()


def test_twelve_seconds_are_three_cycles() -> None:
    """A cycle begins with its first sample, and is told once."""
    way = Way(granted=10)
    assert all(way.passes() for _ in range(12))
    assert (way.credit.marks, way.toll.cycles, way.toll.passed_ms) == ([1, 2, 3], 3, 12_000)


def test_no_audio_costs_nothing() -> None:
    """Not even with nothing granted."""
    way = Way(granted=0)
    assert way.passes(b"")
    assert (way.credit.marks, way.toll.cycles) == ([], 0)


def test_a_cycle_is_not_begun_before_it_is_granted() -> None:
    """What is granted passes to its last sample; the next one waits, also when it comes again."""
    way = Way(granted=1)
    assert [way.passes() for _ in range(6)] == [True] * 5 + [False]
    assert not way.toll.lets_pass()
    assert (way.credit.marks, way.toll.passed_ms) == ([1], 5000)
    way.credit.grant(2)
    assert way.toll.lets_pass()
    assert (way.credit.marks, way.toll.passed_ms) == ([1, 2], 6000)


def test_a_message_of_several_cycles() -> None:
    """It passes when its last is granted, and is charged nothing before."""
    way = Way(granted=1)
    assert not way.passes(SECOND * 12)
    way.credit.grant(2)
    assert not way.toll.lets_pass()
    assert (way.credit.marks, way.toll.passed_ms) == ([], 0)
    way.credit.grant(3)
    assert way.toll.lets_pass()
    assert (way.credit.marks, way.toll.passed_ms) == ([3], 12_000)


async def test_a_message_beyond_the_budget(autojump_clock: MockClock) -> None:
    """All of its cycles are asked for at once, and none is charged when one of them is refused."""
    way = Way(granted=1)
    way.credit.refuse(BudgetUsedUp("used up"))
    assert not way.passes(SECOND * 131)
    await way.toll.wait()
    assert (way.credit.waited, way.credit.marks, way.toll.passed_ms) == ([27], [], 0)
    assert len(way.refusals) == 1


async def test_waiting_for_a_grant(autojump_clock: MockClock) -> None:
    """Whoever waits goes on with the grant."""
    way = Way(granted=1)
    assert way.passes(SECOND * 5)
    assert not way.passes()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(way.toll.wait)
        await wait_all_tasks_blocked()
        way.credit.grant(2)
    assert way.credit.waited == [2]
    assert way.credit.marks[-1] == 2


async def test_no_more_is_granted(autojump_clock: MockClock) -> None:
    """It is said once, and nothing passes any more."""
    way = Way(granted=1)
    way.credit.refuse(BudgetUsedUp("used up"))
    assert way.passes(SECOND * 5)
    assert not way.passes()
    await way.toll.wait()
    await way.toll.wait()
    assert [type(fault) for fault in way.refusals] == [BudgetUsedUp]
    way.credit.granted = 100
    assert not way.toll.lets_pass()


async def test_audio_without_a_size(autojump_clock: MockClock) -> None:
    """Its first message begins a cycle, and time begins the others, also when nothing is said."""
    way = Way(granted=100, rate=0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(way.toll.run)
        await trio.sleep(60)
        assert way.credit.marks == []
        assert way.passes(b"OggS")
        await trio.sleep(12)
        nursery.cancel_scope.cancel()
    assert way.credit.marks == [1, 2, 3]


async def test_time_that_is_not_granted(autojump_clock: MockClock) -> None:
    """Silence on a container's connection ends with the budget, too."""
    way = Way(granted=2, rate=0)
    way.credit.refuse(BudgetUsedUp("used up"))
    assert way.passes(b"OggS")
    with trio.fail_after(11):
        await way.toll.run()
    assert trio.current_time() == pytest.approx(10, abs=0.1)
    assert len(way.refusals) == 1


async def test_audio_without_a_size_that_comes_at_once(autojump_clock: MockClock) -> None:
    """Half an hour of Opus in two seconds is charged by its bytes, as at 6 kbit/s."""
    way = Way(granted=1000, rate=0)
    for _ in range(10):
        assert way.passes(bytes(150_000))
    assert way.credit.marks[-1] == 1_500_000 // 750 // 5


async def test_a_container_beyond_the_budget(autojump_clock: MockClock) -> None:
    """However fast it comes."""
    way = Way(granted=2, rate=0)
    way.credit.refuse(BudgetUsedUp("used up"))
    assert way.passes(bytes(3000))
    assert not way.passes(bytes(30_000))
