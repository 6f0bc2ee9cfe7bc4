"""Failover: whatever a vendor's connection does, every word comes once, in order, in its place; or its loss is told."""

import random

import msgspec
import pytest
import trio
from trio.testing import MockClock

from routeraudio.model.audio import AudioFormat
from routeraudio.model.errors import ClientFault, CloseCode, Overloaded, UpstreamFault
from routeraudio.policy.routing import Budget
from routeraudio.providers.base import Dial
from routeraudio.session.candidate import Candidate, Unknown
from routeraudio.session.streams import Refused
from routeraudio.session.succession import Failover
from tests.session.failing import CUTS, END, Failing, failing, speak_with_cuts
from tests.session.fakes import FakeStream
from tests.session.numbered import CHUNK_MS, NumberedAdapter, NumberedVendor


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("has_times", [True, False])
@pytest.mark.parametrize("names", [("one",), ("one", "two")])
@pytest.mark.parametrize("seed", range(6))
async def test_no_word_is_lost_doubled_or_swapped(
    autojump_clock: MockClock, how: str, has_times: bool, names: tuple[str, ...], seed: int
) -> None:
    """Cut at random points: to the same provider, and to another one."""
    draw = random.Random(seed)
    times_s = sorted(draw.uniform(0.3, 13.0) for _ in range(1 if how == "slow death" else 3))
    async with failing(*names, has_times=has_times) as play:
        await speak_with_cuts(play, CUTS[how], times_s)
    assert play.numbers == list(range(120))
    assert play.client.close.code == 1000
    assert play.summary["seconds_lost"] == 0.0
    assert len(play.vendors) > 1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("jitter_ms", [-60, 60])
async def test_times_that_differ(autojump_clock: MockClock, seed: int, jitter_ms: int) -> None:
    """Two providers place the same word some tens of milliseconds apart."""
    draw = random.Random(seed)
    times_s = sorted(draw.uniform(0.5, 13.0) for _ in range(3))
    async with failing("one", "two", jitters_ms=(0, jitter_ms)) as play:
        await speak_with_cuts(play, CUTS["lost"], times_s)
    assert play.numbers == list(range(120))


async def test_every_word_has_its_place(autojump_clock: MockClock) -> None:
    """Times are the session's, whichever connection said it; each transcript says who did."""
    async with failing("one", "two") as play:
        await speak_with_cuts(play, CUTS["lost"], [4.25, 9.37])
    starts = [word["start_time"] for final in play.finals for word in final["words"]]  # type: ignore[attr-defined]
    spoken_s = [(number + 2 * (number // 9)) * CHUNK_MS / 1000 for number in range(120)]
    assert starts == pytest.approx(spoken_s, abs=0.1)
    providers = [final["provider"] for final in play.finals]
    assert providers[0] == "one"
    assert "two" in providers
    assert play.summary["upstream_connections"] == 3


async def test_what_is_charged_is_charged_once(autojump_clock: MockClock) -> None:
    """Replayed audio is the operator's cost."""
    async with failing("one", "two") as play:
        await speak_with_cuts(play, CUTS["lost"], [4.25, 9.37])
    [closing] = play.credit.closings
    spoken_ms = (120 + 2 * (120 // 9)) * CHUNK_MS
    assert closing["audio_ms"] == spoken_ms
    assert play.credit.marks == list(range(1, -(-spoken_ms // 5000) + 1))


@pytest.mark.parametrize("names", [("one",), ("one", "two")])
@pytest.mark.parametrize("seed", range(6))
async def test_who_made_it_final_is_paid(
    autojump_clock: MockClock, names: tuple[str, ...], seed: int
) -> None:
    """Each cycle once, on the line of the connection that finalised it or, where two share it, of the first."""
    random_ = random.Random(seed)
    times_s = sorted(random_.uniform(0.3, 14) for _ in range(5))
    async with failing(*names, has_legs=True) as play:
        await speak_with_cuts(play, random_.choice(list(CUTS.values())), times_s)
    audio_ms = sum(leg.audio_ms for leg in play.lines)
    assert audio_ms == int(float(str(play.summary["seconds_sent"])) * 1000)
    assert sum(leg.cycles for leg in play.lines) == -(-audio_ms // 5000)
    assert all(len(leg.closings) == 1 for leg in play.lines)
    served = play.summary["connections"]
    assert isinstance(served, list)
    assert [leg.provider for leg in play.lines] == [part["provider"] for part in served]
    # Behind each border the words are of the leg that they are charged to.
    ends_ms = [sum(leg.audio_ms for leg in play.lines[: at + 1]) for at in range(len(play.lines))]
    for final in play.finals:
        end_ms = float(str(final["end_time"])) * 1000
        leg = next(leg for leg, until_ms in zip(play.lines, ends_ms, strict=True) if end_ms <= until_ms + 1)
        assert final["provider"] == leg.provider
    for leg, part in zip(play.lines[1:], served[1:], strict=True):
        assert leg.replayed_ms >= 0
        assert (
            part["start_time"] * 1000 <= sum(one.audio_ms for one in play.lines[: play.lines.index(leg)]) + 1
        )


class Places(Unknown):
    """Counts connections, as a provider's record does."""

    def __init__(self) -> None:
        self.open_now = self.open_most = 0

    def dials(self) -> None:
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)

    def ended(self) -> None:
        self.open_now -= 1


async def test_a_lost_connection_takes_no_place(autojump_clock: MockClock) -> None:
    """Of those that a provider allows: the next one must not wait until the dead one's close has timed out."""
    places = Places()
    async with failing("one") as play:
        succession = play.session._succession
        succession._candidates = (msgspec.structs.replace(succession._candidates[0], health=places),)
        await speak_with_cuts(play, CUTS["lost"], [1.0, 3.0, 5.0])
    assert (places.open_most, places.open_now) == (1, 0)
    assert len(play.vendors) == 4


async def test_who_serves_in_place_of_the_first(autojump_clock: MockClock) -> None:
    """Nothing is charged at the price of a provider that could not be had."""

    def dialled(name: str, _dial: int) -> None:
        if name == "one":
            raise UpstreamFault("One is unreachable", is_retryable=True)

    async with failing("one", "two", has_legs=True, dialled=dialled) as play:
        await play.speak(range(60))
        await play.finish()
    assert [(leg.provider, leg.cycles) for leg in play.lines] == [("one", 0), ("two", 2)]
    assert [part["provider"] for part in play.summary["connections"]] == ["two"]  # type: ignore[attr-defined]


async def test_a_cut_behind_the_end_of_the_audio(autojump_clock: MockClock) -> None:
    """The last words come from the next one."""
    async with failing("one", "two") as play:
        await play.speak(range(40), pause_every=None)
        await play.client.says(END)
        play.vendors[0].hangs_up(None)
        await play.finish()
    assert play.numbers == list(range(40))
    assert play.client.close.code == 1000


async def test_last_words_that_do_not_come(autojump_clock: MockClock) -> None:
    """A provider that goes silent at the end is left for the next one."""
    async with failing("one", "two") as play:
        await play.speak(range(40), pause_every=None)
        play.vendors[0].is_stalled = True
        await play.finish()
    assert play.numbers == list(range(40))


async def test_a_first_dial_that_fails(autojump_clock: MockClock) -> None:
    """The route's next one serves; nothing of the audio is missing."""

    def dialled(name: str, _dial: int) -> None:
        if name == "one":
            raise UpstreamFault("One is unreachable", code="provider_unreachable", is_retryable=True)

    async with failing("one", "two", dialled=dialled) as play:
        await play.speak(range(20))
        await play.finish()
    assert play.numbers == list(range(20))
    assert play.dials == ["one", "two"]
    assert {final["provider"] for final in play.finals} == {"two"}


@pytest.mark.parametrize(
    ("names", "refuses", "dials"),
    [
        (("one",), Refused(503, b""), ["one"] * 4),
        (("one",), Refused(429, b""), ["one"] * 4),
        (("one",), Refused(400, b""), ["one"]),
        (("one",), Refused(402, b""), ["one"]),
        (("one", "two"), Refused(401, b""), ["one", "two"]),
        (("one", "two"), Refused(500, b""), ["one", "two", "one", "two"]),
        (("one",), Overloaded("the engine is full"), ["one"] * 4),
        (
            ("one", "two"),
            ClientFault("your key", code="unauthorized", close_code=CloseCode.UNAUTHORIZED),
            ["one"],
        ),
    ],
)
async def test_the_budget_of_an_incident(
    autojump_clock: MockClock, names: tuple[str, ...], refuses: Exception, dials: list[str]
) -> None:
    """So many attempts, whichever providers they go to; what will not change by itself is not tried again."""

    def dialled(_name: str, _dial: int) -> None:
        raise refuses

    async with failing(*names, dialled=dialled) as play:
        await play.speak(range(5))
        await play.finish()
    assert play.dials == dials
    code = 1013 if isinstance(refuses, Overloaded) else 3000 if isinstance(refuses, ClientFault) else 4040
    assert play.client.close.code == code
    assert play.told[-2]["type"] == "error"
    assert play.times_s[-1] < 20


async def test_an_incident_has_so_long(autojump_clock: MockClock) -> None:
    """Attempts that take their time are no more than fit."""
    async with failing("one", failover=Failover(budget=Budget(attempts=100, within_s=7.0))) as play:
        await play.speak(range(20))
        play.vendors[0].hangs_up(None)
        play._dialled = refuses_slowly
        await play.finish()
        assert trio.current_time() < 2 + 7 + 3
    assert play.client.close.code == 4040
    assert play.numbers == list(range(len(play.numbers)))


def refuses_slowly(_name: str, _dial: int) -> None:
    raise UpstreamFault("unreachable", is_retryable=True)


async def test_every_provider_s_reason_is_told(autojump_clock: MockClock) -> None:
    """When nothing is left, the last reason of each."""

    def dialled(name: str, _dial: int) -> None:
        raise UpstreamFault(f"{name} is down", is_retryable=True)

    async with failing("one", "two", dialled=dialled) as play:
        await play.finish()
    error = next(one for one in play.told if one["type"] == "error")
    assert "one is down" in str(error["error"])
    assert "two is down" in str(error["error"])


async def test_without_failover_a_cut_ends_the_session(autojump_clock: MockClock) -> None:
    """Clients of a vendor's own messages get one connection's."""
    async with failing("one", failover=None) as play:
        await play.speak(range(20))
        play.vendors[0].hangs_up(None)
        await play.finish()
    assert play.client.close.code == 4040
    assert len(play.vendors) == 1


async def test_audio_beyond_what_is_kept_is_told_as_lost(autojump_clock: MockClock) -> None:
    """A provider without finals that is cut: what cannot be replayed is named at once, and the close is no 1000."""
    async with failing("one", "two", failover=Failover(replay_s=2.0), words_max=1000) as play:
        await play.speak(range(100), pause_every=None)
        play.vendors[0].hangs_up(None)
        await play.finish()
    notice = next(one for one in play.told if one["type"] == "notice")
    assert notice["code"] == "audio_lost"
    assert notice["start_time"] == 0.0
    lost_s = float(str(notice["end_time"]))
    assert 7.5 < lost_s < 8.5
    assert play.numbers[-1] == 99
    assert len(play.numbers) >= 18
    assert play.summary["seconds_lost"] == pytest.approx(lost_s, abs=0.2)
    assert play.client.close.code == 4040


async def test_another_format_for_the_next_one(autojump_clock: MockClock) -> None:
    """What was kept is converted for a provider that takes another format."""
    wide = AudioFormat("pcm_s16le", 24000)
    async with trio.open_nursery() as nursery:
        play = Failing(nursery, ("one", "two"))
        other: list[FakeStream] = []

        async def dial(_: Dial) -> FakeStream:
            other.append(NumberedVendor(nursery))
            return other[-1]

        replaced = Candidate(
            name="two", title="Two", audio_format=wide, adapter=lambda: NumberedAdapter(wide), dial=dial
        )
        succession = play.session._succession
        succession._candidates = (succession._candidates[0], replaced)
        await play.speak(range(20), pause_every=None)
        play.vendors[0].hangs_up(None)
        await play.speak(range(20, 40), pause_every=None)
        await play.finish()
        # From the last final (14 words) on, and 0.3 s before it.
        assert len(other[0].audio) / wide.bytes_per_second == pytest.approx(4.0 - 1.4 + 0.3, abs=0.05)
        nursery.cancel_scope.cancel()
