"""Order, room, who gives way, and the last word."""

import trio
from hypothesis import given
from hypothesis import strategies as st

from routeraudio.pull.outbox import CALLBACK_BYTES, Outbox
from routeraudio.pull.record import STOPPED


class Bell:
    def __init__(self) -> None:
        self.rung = 0

    def __call__(self) -> None:
        self.rung += 1


def box(places: int = 100, bell: Bell | None = None) -> Outbox:
    """Room for so many callbacks of one byte."""
    return Outbox(places * (CALLBACK_BYTES + 1), bell or Bell())


async def taken(outbox: Outbox, count: int) -> list[str]:
    """The next messages; the ending as its sentence."""
    found = []
    for _ in range(count):
        with trio.fail_after(1):
            callback, _scope = await outbox.next()
        found.append(str(callback.message) if callback.ending is None else callback.ending.message)
    return found


async def test_in_order_with_numbers() -> None:
    """Callbacks leave as they came, numbered, the ending last."""
    outbox = box()
    for message in "abc":
        outbox.put(message, 0)
    outbox.end(STOPPED, 0)
    callbacks = [(await outbox.next())[0] for _ in range(4)]
    assert [callback.number for callback in callbacks] == [1, 2, 3, 4]
    assert [callback.message for callback in callbacks] == ["a", "b", "c", b""]
    assert callbacks[-1].ending is STOPPED


async def test_oldest_partials_give_way() -> None:
    """When there is no room, partials go, the oldest first; finals and everything else stay."""
    outbox = box(places=3)
    for message, is_partial in (("p", True), ("F", False), ("q", True), ("r", True), ("G", False)):
        outbox.put(message, 0)
        if is_partial:
            outbox.was_partial()
        else:
            outbox.was_final()
    outbox.end(STOPPED, 0)
    assert await taken(outbox, 4) == ["F", "r", "G", STOPPED.message]
    assert outbox.dropped == 2


async def test_a_message_with_both_stays() -> None:
    """A message that holds final words beside open ones does not give way."""
    outbox = box(places=1)
    outbox.put("b", 0)
    outbox.was_final()
    outbox.was_partial()
    outbox.put("p", 0)
    outbox.was_partial()
    outbox.put("q", 0)
    outbox.end(STOPPED, 0)
    assert (await taken(outbox, 1)) == ["b"]


async def test_full_of_finals_rings_once() -> None:
    """Finals beyond the room are kept, and the task is told, once."""
    bell = Bell()
    outbox = box(places=2, bell=bell)
    for message in "abcd":
        outbox.put(message, 0)
        outbox.was_final()
    assert bell.rung == 1
    assert await taken(outbox, 4) == ["a", "b", "c", "d"]


async def test_silence() -> None:
    """After a stop nothing is called back but the ending, and an attempt under way is given up."""
    outbox = box()
    outbox.put("a", 0)
    outbox.put("b", 0)
    _callback, attempt = await outbox.next()
    outbox.silence()
    outbox.put("c", 0)
    outbox.end(STOPPED, 0)
    assert attempt.cancel_called
    callback, last_attempt = await outbox.next()
    assert callback.ending is STOPPED
    assert not last_attempt.cancel_called
    assert outbox.dropped == 1


async def test_the_ending_survives_silence() -> None:
    """The last callback is never taken back."""
    outbox = box()
    outbox.put("a", 0)
    outbox.end(STOPPED, 0)
    outbox.silence()
    assert await taken(outbox, 1) == [STOPPED.message]


@given(st.lists(st.sampled_from(["partial", "final", "other"]), max_size=60), st.integers(1, 10))
def test_nothing_but_partials_is_ever_missing(kinds: list[str], places: int) -> None:
    """Whatever comes: what is left is in order, and only partials are missing."""
    outbox = box(places)
    for at, kind in enumerate(kinds):
        outbox.put(chr(65 + at), 0)
        if kind == "partial":
            outbox.was_partial()
        elif kind == "final":
            outbox.was_final()
    left = [callback.number - 1 for callback in outbox._waiting]
    missing = [at for at in range(len(kinds)) if at not in left]
    assert left == sorted(left)
    assert all(kinds[at] == "partial" for at in missing)
    # The message put last may still turn out to be a final.
    assert len([at for at in left[:-1] if kinds[at] == "partial"]) <= places
    assert outbox.dropped == len(missing)
