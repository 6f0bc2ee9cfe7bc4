"""What the driver does for the gateway: long messages both ways at once, closes without a code, audio in texts."""

import pytest
import trio
from trio.testing import MockClock
from wsproto.events import CloseConnection

from routeraudio.policy.rates import Bucket
from routeraudio.transport.websocket import TINY_BYTES, UNSENT_PAUSE_BYTES
from tests.transport.peers import CLIENT, SERVER, Kind, at_once, open_line, text


@pytest.mark.parametrize("kind", [SERVER, CLIENT], ids=str)
async def test_what_the_session_sends_keeps_nobody_from_being_heard(
    autojump_clock: MockClock, kind: Kind
) -> None:
    """A peer that reads nothing before it has been heard is heard, however much it has still to read."""
    async with open_line(kind) as line:
        for _ in range(4):
            line.driver.send(bytes(UNSENT_PAUSE_BYTES))
        assert line.driver.is_congested
        await line.peer.say(text("hear me first"))
        await line.listener.until(lambda: line.listener.messages)
        assert line.listener.messages == ["hear me first"]
        for _ in range(4):
            assert await line.peer.message() == bytes(UNSENT_PAUSE_BYTES)


@pytest.mark.parametrize("kind", [SERVER, CLIENT], ids=str)
async def test_a_close_without_a_code(autojump_clock: MockClock, kind: Kind) -> None:
    """1005 stands for a close frame without one."""
    async with open_line(kind) as line:
        with at_once():
            line.driver.close(1005, "may not be said")
            closing = await line.peer.closing()
    assert isinstance(closing, CloseConnection)
    assert (closing.code, closing.reason or "") == (1005, "")


@pytest.mark.parametrize("counts_texts", [True, False])
async def test_texts_may_carry_audio(autojump_clock: MockClock, counts_texts: bool) -> None:
    """Then they are slowed by back-pressure like any audio, and are no flood."""
    async with open_line(flood=Bucket(1.0, 10), counts_texts=counts_texts) as line:
        with trio.fail_after(10):
            for _ in range(50):
                await line.peer.say(text("x" * TINY_BYTES))
            await line.listener.until(lambda: len(line.listener.messages) == 50 or line.listener.closings)
        assert [closed.code for closed in line.listener.closings] == ([1008] if counts_texts else [])
