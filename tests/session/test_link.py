"""`Link`: nothing lost, nothing reordered, nothing without bound, and the producer is always woken."""

from collections import deque

import hypothesis.strategies as st
import pytest
import trio
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from trio.testing import MockClock, wait_all_tasks_blocked

from routeraudio.session.link import Link


class Consumer:
    """Takes items until told that a step must wait; then waits until it `may_go_on`."""

    def __init__(self, room_bytes: int = 100) -> None:
        self.taken: list[bytes] = []
        self.is_slow = False
        self.rooms = 0
        self.waits = 0
        self._go_on = trio.Event()
        self._go_on.set()
        self.link = Link[bytes](
            self.step, wait=self.wait, size=len, room_bytes=room_bytes, on_room=self.on_room
        )

    def step(self, item: bytes) -> bool:
        self.taken.append(item)
        return not self.is_slow

    async def wait(self) -> None:
        self.waits += 1
        await self._go_on.wait()

    def on_room(self) -> None:
        self.rooms += 1

    def blocks(self) -> None:
        self.is_slow = True
        if self._go_on.is_set():
            self._go_on = trio.Event()

    def goes_on(self) -> None:
        self.is_slow = False
        self._go_on.set()


async def test_the_fast_path_is_closed_until_the_consumer_has_waited_once(nursery: trio.Nursery) -> None:
    """Before the consumer's task has waited, items gather; then they go straight through."""
    consumer = Consumer()
    assert consumer.link.push(b"early")
    assert consumer.taken == []
    nursery.start_soon(consumer.link.run)
    await wait_all_tasks_blocked()
    assert consumer.taken == [b"early"]
    assert consumer.link.is_level
    assert consumer.link.push(b"direct")
    assert consumer.taken == [b"early", b"direct"]


async def test_an_item_behind_a_waiting_one_never_overtakes_it(nursery: trio.Nursery) -> None:
    """While the consumer waits everything gathers, in order, also what comes while it wakes up."""
    consumer = Consumer()
    nursery.start_soon(consumer.link.run)
    await wait_all_tasks_blocked()
    consumer.blocks()
    consumer.link.push(b"1")  # taken on the fast path, which closes behind it
    consumer.link.push(b"2")
    await wait_all_tasks_blocked()
    consumer.link.push(b"3")
    consumer.goes_on()
    consumer.link.push(b"4")
    assert consumer.taken == [b"1"]
    await wait_all_tasks_blocked()
    consumer.link.push(b"5")
    assert consumer.taken == [b"1", b"2", b"3", b"4", b"5"]


async def test_the_producer_is_asked_to_stop_and_told_when_there_is_room(nursery: trio.Nursery) -> None:
    """`push` answers False from the limit on; `on_room` is called once, when less than half is left."""
    consumer = Consumer(room_bytes=40)
    answers = [consumer.link.push(bytes(10)) for _ in range(6)]
    assert answers == [True, True, True, False, False, False]
    consumer.is_slow = True
    nursery.start_soon(consumer.link.run)
    await wait_all_tasks_blocked()
    assert consumer.rooms == 1
    assert len(consumer.taken) == 6
    assert consumer.link.push(bytes(10))


async def test_room_waits_until_there_is_room(nursery: trio.Nursery) -> None:
    """`room` returns at once when there is room, else when the consumer has made some."""
    consumer = Consumer(room_bytes=10)
    await consumer.link.room()
    assert not consumer.link.push(bytes(10))
    with trio.move_on_after(0) as scope:
        await consumer.link.room()
    assert scope.cancelled_caught
    nursery.start_soon(consumer.link.run)
    await consumer.link.room()
    assert consumer.taken == [bytes(10)]


@pytest.mark.parametrize("room_bytes", [1, 2, 3])
async def test_the_tightest_room_still_lets_everything_through(
    nursery: trio.Nursery, room_bytes: int, autojump_clock: MockClock
) -> None:
    """A limit of a byte or two slows the producer and never stops it for ever."""
    consumer = Consumer(room_bytes=room_bytes)
    nursery.start_soon(consumer.link.run)
    with trio.fail_after(1):
        for _ in range(5):
            if not consumer.link.push(b"x"):
                await consumer.link.room()
            consumer.is_slow = True
            await wait_all_tasks_blocked()
    assert len(consumer.taken) == 5
    assert consumer.link.push(b"x")


async def test_drain_takes_everything_also_what_the_cancelled_task_had_in_hand() -> None:
    """When the session ends, what the consumer's task was waiting to hand over is not lost, and comes first."""
    consumer = Consumer()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(consumer.link.run)
        await wait_all_tasks_blocked()
        consumer.blocks()
        consumer.link.push(b"1")
        consumer.link.push(b"2")
        await wait_all_tasks_blocked()  # the task has woken up for b"2" and waits for the consumer
        consumer.link.push(b"3")
        nursery.cancel_scope.cancel()
    assert consumer.taken == [b"1"]
    consumer.link.drain()
    assert consumer.taken == [b"1", b"2", b"3"]


async def test_an_item_handed_over_in_the_moment_of_cancellation_is_not_lost() -> None:
    """An item that wakes the consumer's task just when it is cancelled is still there to be drained."""
    consumer = Consumer()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(consumer.link.run)
        await wait_all_tasks_blocked()
        consumer.blocks()
        consumer.link.push(b"1")
        consumer.link.push(b"2")
        nursery.cancel_scope.cancel()
    consumer.link.drain()
    assert consumer.taken == [b"1", b"2"]


async def test_what_the_wait_raises_ends_the_consumers_task() -> None:
    """A consumer that cannot go on says so through `run`."""

    async def wait() -> None:
        raise ValueError("gone")

    link = Link[bytes](lambda item: True, wait=wait, size=len, room_bytes=10, on_room=lambda: None)
    with pytest.raises(ValueError, match="gone"):
        await link.run()


async def test_a_bug_in_the_step_reaches_the_producer_on_the_fast_path(nursery: trio.Nursery) -> None:
    """On the fast path the producer's turn carries the consumer's step, and its exceptions."""
    link = Link[bytes](
        lambda item: bool(1 // len(item)),
        wait=trio.lowlevel.checkpoint,
        size=len,
        room_bytes=10,
        on_room=lambda: None,
    )
    nursery.start_soon(link.run)
    await wait_all_tasks_blocked()
    with pytest.raises(ZeroDivisionError):
        link.push(b"")


async def test_room_may_shrink_while_items_wait(nursery: trio.Nursery) -> None:
    """A smaller room counts for what comes next; what is there already stays and is handed over."""
    consumer = Consumer(room_bytes=100)
    assert consumer.link.push(bytes(60))
    consumer.link.room_bytes = 20
    assert not consumer.link.push(bytes(1))
    nursery.start_soon(consumer.link.run)
    await wait_all_tasks_blocked()
    assert [len(item) for item in consumer.taken] == [60, 1]
    assert consumer.rooms == 1


async def test_a_busy_fast_path_does_not_starve_what_has_gathered(nursery: trio.Nursery) -> None:
    """A producer that pushes all the time never gets past what gathered before."""
    consumer = Consumer(room_bytes=10_000)
    for number in range(100):
        consumer.link.push(bytes([number]))
        if number == 50:
            nursery.start_soon(consumer.link.run)
        await trio.lowlevel.checkpoint()
    assert [item[0] for item in consumer.taken] == list(range(100))


@given(st.data())
def test_any_interleaving_keeps_order_and_bounds(data: st.DataObject) -> None:
    """Whatever the consumer does and however the tasks are scheduled: all items, in order, within bounds."""

    async def story() -> None:
        room_bytes = data.draw(st.integers(1, 64))
        consumer = Consumer(room_bytes=room_bytes)
        sent: list[bytes] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consumer.link.run)
            for _ in range(data.draw(st.integers(1, 30))):
                match data.draw(
                    st.sampled_from(["push", "push", "push", "block", "go on", "settle", "tick"])
                ):
                    case "push":
                        item = bytes([len(sent)]) * data.draw(st.integers(1, 20))
                        sent.append(item)
                        consumer.link.push(item)
                    case "block":
                        consumer.blocks()
                    case "go on":
                        consumer.goes_on()
                    case "settle":
                        await wait_all_tasks_blocked()
                    case _:
                        await trio.lowlevel.checkpoint()
                assert consumer.taken == sent[: len(consumer.taken)]
            consumer.goes_on()
            await wait_all_tasks_blocked()
            assert consumer.taken == sent
            nursery.cancel_scope.cancel()

    trio.run(story)


class LinkMachine(RuleBasedStateMachine):
    """A producer that obeys, against a model of what may be held. `drain` stands for a consumer that catches up."""

    def __init__(self) -> None:
        super().__init__()
        self.consumer = Consumer(room_bytes=50)
        self.waiting: deque[bytes] = deque()
        self.may_push = True
        self.taken = 0

    @property
    def held_bytes(self) -> int:
        return sum(map(len, self.waiting))

    @precondition(lambda self: self.may_push)
    @rule(size=st.integers(1, 30))
    def push(self, size: int) -> None:
        item = bytes(size)
        self.waiting.append(item)
        self.may_push = self.consumer.link.push(item)
        assert self.may_push == (self.held_bytes < 50)

    @rule()
    def drain(self) -> None:
        rooms = self.consumer.rooms
        self.consumer.link.drain()
        assert self.consumer.taken[self.taken :] == list(self.waiting)
        self.taken = len(self.consumer.taken)
        self.waiting.clear()
        assert self.consumer.rooms - rooms == (0 if self.may_push else 1), (
            "told once, and only who was stopped"
        )
        self.may_push = True

    @invariant()
    def held_is_bounded(self) -> None:
        assert self.held_bytes < 50 + 30


TestLinkMachine = LinkMachine.TestCase
