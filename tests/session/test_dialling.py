"""Dials that have a competitor: who is ready first serves, and nobody else has heard anything."""

import pytest
import trio
from trio.testing import MockClock

from routeraudio.model.errors import ClientFault, CloseCode, UpstreamFault
from routeraudio.session.succession import Failover
from tests.session.failing import Failing, failing

HEDGED = Failover(hedge_s=0.8)


def audio_heard(play: Failing) -> dict[str, int]:
    """Bytes of audio by provider."""
    return {
        name: sum(len(message) for message in vendor.heard if isinstance(message, bytes))
        for name, vendor in zip(play.served, play.vendors, strict=True)
    }


@pytest.mark.parametrize("slow_s", [5.0, 1.2])
async def test_a_slow_first_one_is_overtaken(autojump_clock: MockClock, slow_s: float) -> None:
    """The first words come after the hedge's time and an ordinary dial; the loser is closed, and heard nothing."""
    async with failing(
        "one", "two", failover=HEDGED, slow_s=lambda name: slow_s if name == "one" else 0.0
    ) as play:
        await play.speak(range(10))
        assert "transcript" in {one["type"] for one in play.told}, "words within a second"
        await play.speak(range(10, 60))
        await play.finish()
    assert play.numbers == list(range(60))
    assert play.dials == ["one", "two"]
    assert {final["provider"] for final in play.finals} == {"two"}
    assert audio_heard(play)["one"] == 0
    assert play.vendors[0].is_released
    assert play.times_s[1] == pytest.approx(0.8, abs=0.05)


async def test_whoever_is_in_time_has_no_competitor(autojump_clock: MockClock) -> None:
    """One dial is one dial."""
    async with failing("one", "two", failover=HEDGED, slow_s=lambda _name: 0.5) as play:
        await play.speak(range(20))
        await play.finish()
    assert play.dials == ["one"]
    assert play.numbers == list(range(20))


async def test_the_first_one_may_still_win(autojump_clock: MockClock) -> None:
    """A competitor that is slower still, or refuses, is no reason to give the first one up."""

    def dialled(name: str, _dial: int) -> None:
        if name == "three":
            raise UpstreamFault("Three is unreachable", is_retryable=True)

    for other in ("two", "three"):
        async with failing(
            "one",
            other,
            failover=HEDGED,
            dialled=dialled,
            slow_s={"one": 1.5, "two": 5.0, "three": 0.0}.__getitem__,
        ) as play:
            await play.speak(range(40))
            await play.finish()
        assert play.dials == ["one", other]
        assert {final["provider"] for final in play.finals} == {"one"}
        assert play.numbers == list(range(40))


async def test_both_at_the_same_moment(autojump_clock: MockClock) -> None:
    """One serves, the other is closed."""
    async with failing("one", "two", failover=HEDGED, slow_s={"one": 0.8, "two": 0.0}.__getitem__) as play:
        await play.speak(range(20))
        await play.finish()
    assert play.numbers == list(range(20))
    assert sorted(bytes_heard > 0 for bytes_heard in audio_heard(play).values()) == [False, True]


async def test_nobody_competes_with_himself(autojump_clock: MockClock) -> None:
    """A second connection to the same provider is no better than the first."""
    async with failing("one", failover=HEDGED, slow_s=lambda _name: 3.0) as play:
        await play.speak(range(40))
        await play.finish()
    assert play.dials == ["one"]
    assert play.numbers == list(range(40))


async def test_a_refusal_before_that_is_an_ordinary_one(autojump_clock: MockClock) -> None:
    """The next one is dialled at once, and counted once."""

    def dialled(name: str, _dial: int) -> None:
        if name == "one":
            raise UpstreamFault("One is unreachable", is_retryable=True)

    async with failing("one", "two", failover=HEDGED, dialled=dialled) as play:
        await play.speak(range(40))
        await play.finish()
    assert play.dials == ["one", "two"]
    assert play.times_s[1] < 0.2
    assert play.numbers == list(range(40))


async def test_what_is_the_client_s_to_change_ends_both(autojump_clock: MockClock) -> None:
    """Nobody else helps a client whose own key is refused."""

    def dialled(name: str, _dial: int) -> None:
        if name == "two":
            raise ClientFault("your key", code="unauthorized", close_code=CloseCode.UNAUTHORIZED)

    async with failing("one", "two", failover=HEDGED, dialled=dialled, slow_s=lambda _name: 5.0) as play:
        await play.speak(range(10))
        await play.finish()
    assert play.client.close.code == CloseCode.UNAUTHORIZED
    assert play.vendors[0].is_released


async def test_a_lost_connection_s_successor_too(autojump_clock: MockClock) -> None:
    """Not only a session's first dial has a competitor."""
    slow_s = {"one": 0.0, "two": 9.0, "three": 0.0}
    async with failing("one", "two", "three", failover=HEDGED, slow_s=slow_s.__getitem__) as play:
        await play.speak(range(20))
        play.vendors[0].hangs_up(None)
        await play.speak(range(20, 60))
        await play.finish()
    assert play.dials == ["one", "two", "three"]
    assert play.numbers == list(range(60))
    assert audio_heard(play)["two"] == 0


async def test_a_client_that_leaves_meanwhile(autojump_clock: MockClock) -> None:
    """Nothing is left behind of either dial."""
    async with failing("one", "two", failover=HEDGED, slow_s=lambda _name: 9.0) as play:
        await play.speak(range(15))
        play.client.hangs_up(None)
        with trio.fail_after(30):
            await play.over.wait()
        assert [vendor.is_released for vendor in play.vendors] == [True, True]
