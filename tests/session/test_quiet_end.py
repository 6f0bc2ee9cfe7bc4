"""Vendors that say no end: silence is it."""

import pytest
import trio
from trio.testing import MockClock

from routeraudio.dialects.base import Control
from routeraudio.model.events import Failed, Finished
from routeraudio.policy.limits import Limits
from routeraudio.session.upstream import LAST_WORDS_FACTOR
from tests.session.adapter import FakeAdapter
from tests.session.conversation import settled
from tests.session.relaying import relaying


class QuietAdapter(FakeAdapter):
    """Says how long silence means the end."""

    def __init__(self, quiet_s: float | None) -> None:
        super().__init__()
        self.quiet: float | None = quiet_s

    def quiet_s(self) -> float | None:
        return self.quiet


async def test_silence_is_the_end(autojump_clock: MockClock) -> None:
    """Every message begins the wait anew; then the session has finished, and the adapter said so."""
    adapter = QuietAdapter(2.0)
    async with relaying(adapter) as play:
        await play.upstream.says("ready")
        await trio.sleep(60)
        play.relay.link.push(Control.FINISH)
        await trio.sleep(1.9)
        await play.upstream.says("final 1")
        await trio.sleep(1.9)
        assert not play.deliver.ended.is_set()
        await trio.sleep(0.2)
        assert isinstance(play.deliver.ending, Finished)
    assert adapter.calls[-1] == "closed"


async def test_nothing_to_wait_for(autojump_clock: MockClock) -> None:
    """No silence at all may be asked for."""
    async with relaying(QuietAdapter(0.0)) as play:
        await play.upstream.says("ready")
        play.relay.link.push(Control.FINISH)
        await trio.sleep(0.1)
        assert isinstance(play.deliver.ending, Finished)


async def test_text_that_is_owed(autojump_clock: MockClock) -> None:
    """It is waited for like any vendor's last words; once it has come, silence is the end."""
    adapter = QuietAdapter(None)
    async with relaying(adapter, Limits(last_words_s=5)) as play:
        await play.upstream.says("ready")
        play.relay.link.push(Control.FINISH)
        await trio.sleep(4)
        assert not play.deliver.ended.is_set()
        adapter.quiet = 1.0
        await play.upstream.says("final 1")
        await trio.sleep(1.1)
        assert isinstance(play.deliver.ending, Finished)


async def test_text_that_never_comes(autojump_clock: MockClock) -> None:
    """The deadline for last words holds."""
    async with relaying(QuietAdapter(None), Limits(last_words_s=5)) as play:
        await play.upstream.says("ready")
        play.relay.link.push(Control.FINISH)
        await trio.sleep(5.1)
        assert isinstance(play.deliver.ending, Failed)


@pytest.mark.parametrize("code", [1000, None])
async def test_a_close_still_counts(code: int | None, autojump_clock: MockClock) -> None:
    """A vendor that closes first is read as ever."""
    async with relaying(QuietAdapter(2.0)) as play:
        await play.upstream.says("ready")
        play.relay.link.push(Control.FINISH)
        await settled()
        play.upstream.hangs_up(code)
        await settled()
        assert isinstance(play.deliver.ending, Finished if code else Failed)


async def test_a_vendor_that_never_stops(autojump_clock: MockClock) -> None:
    """Who keeps talking is cut off where every vendor is."""
    async with relaying(QuietAdapter(2.0), Limits(last_words_s=5)) as play:
        await play.upstream.says("ready")
        play.relay.link.push(Control.FINISH)
        for _ in range(5 * LAST_WORDS_FACTOR + 2):
            await trio.sleep(1)
            await play.upstream.says("notice")
        await trio.sleep(2.1)
        assert play.deliver.ended.is_set()
