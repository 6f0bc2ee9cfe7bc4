"""Before a key has been shown, a client is read one short message."""

import pytest
import trio
from trio.testing import MockClock

from routeraudio.model.errors import ClientFault, CloseCode
from routeraudio.session.first_messages import (
    FIRST_CHARACTERS_MAX,
    HELD_CHARACTERS_MAX,
    MESSAGE_CHARACTERS,
    FirstMessages,
)
from routeraudio.session.streams import Closed


async def test_a_short_message_is_given_and_no_more_is_read() -> None:
    """What follows it waits."""
    first = FirstMessages()
    assert first.message("x" * FIRST_CHARACTERS_MAX) is False
    assert await first.first() == "x" * FIRST_CHARACTERS_MAX


@pytest.mark.parametrize("message", ["x" * (FIRST_CHARACTERS_MAX + 1), b"x" * (FIRST_CHARACTERS_MAX + 1)])
async def test_a_long_one_is_refused_unread(message: str | bytes) -> None:
    """Taking it apart would be work for somebody unknown."""
    first = FirstMessages()
    first.message(message)
    with pytest.raises(ClientFault, match=f"{FIRST_CHARACTERS_MAX} characters") as caught:
        await first.first()
    assert caught.value.close_code is CloseCode.TOO_BIG


async def test_a_client_that_leaves(nursery: trio.Nursery) -> None:
    """Nobody waits for its message any longer."""
    first = FirstMessages()
    first.closed(Closed(1000, ""))
    assert await first.first() is None


async def test_several_messages(autojump_clock: MockClock) -> None:
    """Are read until one is the last that is needed."""
    first = FirstMessages(lambda message: message == "enough")
    assert first.message("more")
    assert not first.message("enough")
    assert not first.message("what was read already")
    await first.settled(first_s=1, more_s=1)
    assert trio.current_time() == 0
    assert first.messages == ["more", "enough", "what was read already"]


@pytest.mark.parametrize(("messages", "waited_s"), [([], 5), (["more"], 2)])
async def test_waiting_has_an_end(messages: list[str], waited_s: float, autojump_clock: MockClock) -> None:
    """For the first message, and for what it leaves open."""
    first = FirstMessages(lambda _: False)
    for message in messages:
        first.message(message)
    began_s = trio.current_time()
    await first.settled(first_s=5, more_s=2)
    assert trio.current_time() - began_s == waited_s
    assert not first.message("later"), "nobody reads it now"


async def test_a_client_that_sends_too_much() -> None:
    """Is not read for ever, however short its messages are."""
    first = FirstMessages(lambda _: False)
    count = 0
    while first.message("x"):
        count += 1
    assert count < HELD_CHARACTERS_MAX / MESSAGE_CHARACTERS
    await first.settled(first_s=0)


async def test_a_message_that_cannot_be_read() -> None:
    """Is whoever waits for it to tell."""
    first = FirstMessages()
    first.crashed(ValueError("bad"))
    with pytest.raises(ValueError, match="bad"):
        await first.settled(first_s=1)
