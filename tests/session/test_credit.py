"""A session and its credit: what is charged, what happens when nothing more is granted, and that it is closed once."""

import pytest
import trio
from trio.testing import MockClock

from routeraudio.model.errors import BudgetUsedUp, CloseCode
from routeraudio.policy.limits import Limits
from tests.session.conversation import SECOND, conversation, settled
from tests.session.fakes import FakeTab

END = '{"type":"end_of_stream"}'


async def test_a_session_is_charged_for_what_the_provider_was_sent(autojump_clock: MockClock) -> None:
    """Twelve seconds are three cycles, told as they begin; the closing tells seconds of audio and of connection."""
    credit = FakeTab(granted=100)
    async with conversation(credit=credit) as play:
        await play.ready()
        for _ in range(12):
            await play.client.says(SECOND)
        await play.client.says(END)
        await trio.sleep(3)
        await play.upstream.says("usage 11900")
        await play.upstream.says("end")
        await play.ends()
    assert credit.marks == [1, 2, 3]
    assert credit.closings == [
        {"audio_ms": 12_000, "connected_ms": 3000, "provider_ms": 11_900, "ending": "ok"}
    ]
    assert play.logged("session_ended")["cycles"] == 3


async def test_an_open_socket_costs_nothing(autojump_clock: MockClock) -> None:
    """Silence on the line, up to the idle limit, begins no cycle."""
    credit = FakeTab(granted=1)
    async with conversation(credit=credit) as play:
        await play.ready()
        await trio.sleep(66)
        await play.upstream.says("end")
        await play.ends()
    assert credit.marks == []
    assert credit.closings[0]["audio_ms"] == 0
    assert credit.closings[0]["ending"] == "timeout"


async def test_a_provider_that_is_never_reached_costs_nothing(autojump_clock: MockClock) -> None:
    """Audio that waited for a provider in vain is not charged."""
    credit = FakeTab(granted=1)
    async with conversation(credit=credit, limits=Limits(ready_s=5)) as play:
        await settled()
        for _ in range(7):
            await play.client.says(SECOND)
        await play.ends()
    assert credit.marks == []
    assert credit.closings[0]["audio_ms"] == 0


async def test_the_paid_audio_is_heard_out(autojump_clock: MockClock) -> None:
    """When the budget is used up the provider says its last words on what was paid, then comes the refusal."""
    credit = FakeTab(granted=1)
    async with conversation(credit=credit) as play:
        await play.ready()
        for _ in range(8):
            await play.client.says(SECOND)
        await settled()
        assert credit.waited == [2]
        credit.refuse(BudgetUsedUp("nothing left"))
        await settled()
        await play.upstream.says("final what was paid")
        await play.upstream.says("end")
        await play.ends()
    sent = [message for message in play.upstream.heard if isinstance(message, bytes)]
    assert len(b"".join(sent)) == 5 * len(SECOND)
    assert play.story == ["final what was paid", "error budget_exhausted", "1013"]
    assert credit.closings[0]["audio_ms"] == 5000


async def test_a_late_grant_lets_the_rest_follow(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Audio behind a grant that is waited for is kept, in order, and the client is held back."""
    credit = FakeTab(granted=1)
    async with conversation(credit=credit) as play:
        await play.ready()
        for _ in range(12):
            nursery.start_soon(play.client.says, SECOND)
        await settled()
        assert play.client.is_paused
        for granted in (2, 3):
            credit.grant(granted)
            await settled()
        await play.client.says(END)
        await settled()
        await play.upstream.says("end")
        await play.ends()
    sent = [message for message in play.upstream.heard if isinstance(message, bytes)]
    assert len(b"".join(sent)) == 12 * len(SECOND)
    assert credit.marks == [1, 2, 3]
    assert play.story == ["1000"]


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_the_tab_is_closed_whatever_happens(autojump_clock: MockClock, is_cancelled: bool) -> None:
    """A client that leaves and a session that is cancelled each close the credit, once."""
    credit = FakeTab(granted=1)
    async with conversation(credit=credit) as play:
        await play.ready()
        await play.client.says(SECOND)
        if is_cancelled:
            play.scope.cancel()
        else:
            play.client.hangs_up(1001)
        await play.ends()
    (closing,) = credit.closings
    assert closing["audio_ms"] == 1000
    assert closing["ending"] == ("restart" if is_cancelled else "client_gone")
    assert is_cancelled == (play.client.close.code == CloseCode.RESTART)
