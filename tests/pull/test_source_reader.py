"""To the end of a source: pace, new attempts, and what counts as the end. Decoders are played, time is virtual."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from routeraudio.pull import source_reader
from routeraudio.pull.faults import SourceFault
from routeraudio.pull.guard import Guard
from routeraudio.pull.source_reader import Bounds, SourceReader
from routeraudio.pull.wire import Job, Opened

SECOND = bytes(32_000)
BOUNDS = Bounds(first_audio_s=10.0, stall_s=30.0, retries_max=3, memory_bytes=1 << 29, cpu_s=60)
LOST = SourceFault("the connection to the source was lost", is_retryable=True)
REFUSED = SourceFault("private", is_retryable=False, is_refused=True)
GONE = SourceFault("the source cannot be reached", is_retryable=True)

Act = bytes | SourceFault | None
"""Audio, a fault, or silence for ever."""


class Play:
    """What each decoder does, the last one for ever. A decoder without a fault ends well."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *decoders: Sequence[Act], is_live: bool = False
    ) -> None:
        self.jobs: list[Job] = []
        self.began_s: list[float] = []
        self.is_live = is_live
        self._decoders = list(decoders)
        monkeypatch.setattr(source_reader, "decoding", self.decoding)

    @asynccontextmanager
    async def decoding(self, job: Job, _guard: Guard) -> AsyncIterator["Played"]:
        self.jobs.append(job)
        self.began_s.append(trio.current_time())
        acts = self._decoders.pop(0) if len(self._decoders) > 1 else self._decoders[0]
        yield Played(list(acts), self.is_live)


class Played:
    def __init__(self, acts: list[Act], is_live: bool) -> None:
        self._acts = acts
        self._is_live = is_live

    async def opened(self) -> Opened:
        if self._acts and isinstance(self._acts[0], SourceFault):
            raise self._acts[0]
        return Opened(self._is_live, True)

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        act = self._acts.pop(0) if self._acts else b""
        if act is None:
            await trio.sleep_forever()
        if isinstance(act, SourceFault):
            raise act
        return act or b""


class Heard:
    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self.at_s: list[float] = []
        self.listening = SourceReader("http://x/", Guard(), bounds, self.hear)

    async def hear(self, _audio: bytes) -> None:
        self.at_s.append(trio.current_time())

    async def run(self) -> tuple[SourceFault | None, bool]:
        lost = await self.listening.run()
        return lost, self.listening.is_end(lost)


async def test_a_recording_ends(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """Its end is the end, in real time."""
    play, heard = Play(monkeypatch, [SECOND] * 4), Heard()
    assert await heard.run() == (None, True)
    assert [round(at - heard.at_s[0]) for at in heard.at_s] == [0, 0, 1, 2]
    assert len(play.jobs) == 1


async def test_a_recording_goes_on_where_it_broke_off(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """The second decoder is told what has been heard."""
    play, heard = Play(monkeypatch, [SECOND, SECOND, LOST], [SECOND]), Heard()
    assert await heard.run() == (None, True)
    assert [job.skip_ms for job in play.jobs] == [0, 2000]
    assert len(heard.at_s) == 3


async def test_a_recording_that_stays_lost(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """After three new attempts, 1, 2 and 4 s apart, it is no end but a failure."""
    play, heard = Play(monkeypatch, [SECOND, LOST], [GONE]), Heard()
    assert await heard.run() == (GONE, False)
    waits_s = [round(b - a) for a, b in zip(play.began_s, play.began_s[1:], strict=False)]
    assert waits_s == [1, 2, 4]


async def test_live_comes_back(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """A live source that ends is asked again: perhaps only its connection did."""
    play, heard = Play(monkeypatch, [SECOND, LOST], [SECOND], [GONE], is_live=True), Heard()
    lost, is_end = await heard.run()
    assert (lost, is_end) == (GONE, True)
    assert len(heard.at_s) == 2
    assert len(play.jobs) == 4


@pytest.mark.parametrize("is_live", [True, False])
async def test_never_reachable(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock, is_live: bool
) -> None:
    """A source that never was there is no source that ended."""
    play, heard = Play(monkeypatch, [GONE], is_live=is_live), Heard()
    assert await heard.run() == (GONE, False)
    assert len(play.jobs) == 4


async def test_refused(monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock) -> None:
    """What our rules forbid is not tried again, not even in the middle."""
    play, heard = Play(monkeypatch, [SECOND, REFUSED], is_live=True), Heard()
    assert await heard.run() == (REFUSED, False)
    assert len(play.jobs) == 1


async def test_no_audio_at_first(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """Four times ten seconds, and the pauses between them."""
    heard = Heard()
    Play(monkeypatch, [None])
    began_s = trio.current_time()
    lost, is_end = await heard.run()
    assert lost is not None
    assert lost.message == "the source gave no audio for 10 s"
    assert not is_end
    assert round(trio.current_time() - began_s) == 4 * 10 + 1 + 2 + 4


async def test_a_stall(monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock) -> None:
    """A source that says nothing for half a minute is lost."""
    heard = Heard()
    Play(monkeypatch, [SECOND, None], [GONE], is_live=True)
    began_s = trio.current_time()
    assert await heard.run() == (GONE, True)
    assert round(trio.current_time() - began_s) == 30 + 1 + 2 + 4


async def test_a_minute_earns_the_attempts_again(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """A radio station that is lost once an hour is never given up."""
    steady = [SECOND] * 60 + [LOST]
    play, heard = Play(monkeypatch, *[steady] * 6, [GONE], is_live=True), Heard()
    assert await heard.run() == (GONE, True)
    assert len(play.jobs) == 6 + 3
    assert len(heard.at_s) == 360


async def test_live_catches_up(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    """A playlist's segments come in bursts, which a provider is not sent as such."""
    heard = Heard(Bounds(first_audio_s=10.0, stall_s=30.0, retries_max=0, memory_bytes=1 << 29, cpu_s=60))
    Play(monkeypatch, [SECOND] * 11, is_live=True)
    await heard.run()
    assert round(heard.at_s[-1] - heard.at_s[0], 1) == 10 / 1.25 - 1
