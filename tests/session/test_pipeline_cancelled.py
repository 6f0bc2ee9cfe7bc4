"""`Session`: cancelled at any step, both streams are released, the client is told 1012, and nothing is a bug."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from tests.session.conversation import CHUNK, Conversation, conversation, settled
from tests.session.fakes import FakeStream

END = '{"type":"end_of_stream"}'


class Steps(trio.abc.Instrument):
    """Counts the scheduler's steps from `begin` on, and calls back at one of them."""

    def __init__(self) -> None:
        self.count = 0
        self._at = -1
        self._then: Callable[[], None] | None = None

    def begin(self, at: int, then: Callable[[], None]) -> None:
        self._at, self._then = at, then

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._then is None:
            return
        if self.count == self._at:
            self._then()
        self.count += 1


async def _long_story(play: Conversation) -> None:
    """Early audio, readiness, congestion on both sides, a slow end; every wait of a session is passed."""
    await play.client.says(CHUNK)
    await trio.sleep(3)
    await play.upstream.says("ready")
    await play.client.says(CHUNK)
    play.upstream.stops_reading()
    for _ in range(3):
        await play.client.says(CHUNK)
    play.client.stops_reading()
    for word in ("final 1", "partial 2", "final 2"):
        await play.upstream.says(word)
    await trio.sleep(2)
    play.upstream.reads()
    play.client.reads()
    await play.client.says(END)
    await trio.sleep(1)
    await play.upstream.says("final last words")
    await play.upstream.says("end")


async def _tell_and_cancel(steps: Steps, at: int, *, is_polite: bool) -> Conversation:
    """The story, with the session cancelled after step ``at``."""
    client, upstream = FakeStream(is_polite=is_polite), FakeStream(is_polite=is_polite)
    async with trio.open_nursery() as nursery:
        async with conversation(client=client, upstream=upstream, dial_s=1) as play:
            steps.begin(at, play.scope.cancel)
            nursery.start_soon(_long_story, play)
        nursery.cancel_scope.cancel()
    return play


def _run(at: int, *, is_polite: bool) -> tuple[Conversation, int]:
    steps = Steps()
    clock = MockClock(autojump_threshold=0)

    async def story() -> Conversation:
        return await _tell_and_cancel(steps, at, is_polite=is_polite)

    return trio.run(story, clock=clock, instruments=[steps]), steps.count


@pytest.mark.parametrize("is_polite", [True, False])
def test_cancelled_after_any_step(is_polite: bool) -> None:
    """Wherever cancellation strikes, nothing stays open, the client has a close code, and no bug is logged."""
    whole, count = _run(-1, is_polite=is_polite)
    assert whole.story == ["final 1", "final 2", "final last words", "1000"]
    assert count > 50
    codes = set()
    for at in range(count):
        play, _ = _run(at, is_polite=is_polite)
        check_released(play)
        codes.add(play.client.close.code)
    assert codes == {1000, 1012}


def check_released(play: Conversation) -> None:
    """Both streams are closed and released, and the log knows of no bug."""
    assert play.client.is_released
    assert play.client.close.code in (1000, 1012)
    if play.upstream.is_started:
        assert play.upstream.is_released
        assert play.upstream.close.code == 1000
    assert play.bugs == []


async def test_a_cancelled_session_waits_for_nobody(autojump_clock: MockClock) -> None:
    """A rude client and a rude vendor cannot hold up a session that is cancelled."""
    rude = FakeStream(is_polite=False)
    async with conversation(client=rude, upstream=FakeStream(is_polite=False)) as play:
        await play.ready()
        play.scope.cancel()
        await play.ends()
        assert play.duration_s == 0
        assert rude.close.code == 1012


async def test_a_session_cancelled_while_it_closes_waits_no_longer(autojump_clock: MockClock) -> None:
    """A session that is already closing keeps its close code when it is cancelled."""
    async with conversation(client=FakeStream(is_polite=False)) as play:
        await play.ready()
        await play.upstream.says("fail gone")
        await trio.sleep(1)
        play.scope.cancel()
        await play.ends()
        assert play.duration_s == pytest.approx(1)
        assert play.client.close.code == 4040


async def test_cancellation_leaves_a_line_in_the_log(autojump_clock: MockClock) -> None:
    """A cancelled session ends in the log like any other, with what it has used."""
    async with conversation() as play:
        await play.ready()
        await play.client.says(CHUNK)
        play.scope.cancel()
        await play.ends()
        line = play.logged("session_ended")
        assert (line["close_code"], line["audio_ms"]) == (1012, 20)


async def test_one_session_ends_and_the_other_one_does_not_notice(autojump_clock: MockClock) -> None:
    """Sessions share nothing: a bug, a stalled client and a cancellation beside it leave a session as it was."""
    async with conversation() as good:
        await good.ready()
        async with conversation() as bad:
            await bad.ready()
            bad.scope.cancel()
        async with conversation(client=FakeStream(is_polite=False)) as stalled:
            await stalled.ready()
            stalled.client.stops_reading()
            await stalled.upstream.says("final 1")
            await stalled.upstream.says("final 2")
            await stalled.ends()
        await good.client.says(CHUNK)
        await settled()
        assert good.upstream.heard == [CHUNK]
        await good.client.says(END)
        await good.upstream.says("end")
        await good.ends()
        assert good.story == ["1000"]
