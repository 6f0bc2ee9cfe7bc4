"""Before a key has been shown, a client is read one short message."""

import pytest
import trio

from routeraudio.gateway.first_message import FIRST_CHARACTERS_MAX, FirstMessage
from routeraudio.model.errors import ClientFault, CloseCode
from routeraudio.session.streams import Closed


async def test_a_short_message_is_given_and_no_more_is_read() -> None:
    """What follows it waits."""
    first = FirstMessage()
    assert first.message("x" * FIRST_CHARACTERS_MAX) is False
    assert await first.first() == "x" * FIRST_CHARACTERS_MAX


@pytest.mark.parametrize("message", ["x" * (FIRST_CHARACTERS_MAX + 1), b"x" * (FIRST_CHARACTERS_MAX + 1)])
async def test_a_long_one_is_refused_unread(message: str | bytes) -> None:
    """Taking it apart would be work for somebody unknown."""
    first = FirstMessage()
    first.message(message)
    with pytest.raises(ClientFault, match=f"{FIRST_CHARACTERS_MAX} characters") as caught:
        await first.first()
    assert caught.value.close_code is CloseCode.TOO_BIG


async def test_a_client_that_leaves(nursery: trio.Nursery) -> None:
    """Nobody waits for its message any longer."""
    first = FirstMessage()
    first.closed(Closed(1000, ""))
    assert await first.first() is None
