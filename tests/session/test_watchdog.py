"""The watchdog: audio by samples, cycles begun, and the clocks of idle and endless sessions."""

import pytest
import trio
from trio.testing import MockClock

from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import CloseCode, Fault, forbidden
from routeraudio.policy.limits import Limits
from routeraudio.session.credit import Credit, UnlimitedCredit
from routeraudio.session.observer import Arrivals, NullObserver
from routeraudio.session.watchdog import Watchdog


class Watched:
    """A watchdog, and the faults it has called with."""

    def __init__(
        self,
        *,
        idle_s: float = 60,
        session_s: float = 14400,
        credit: Credit | None = None,
    ):
        self.faults: list[tuple[float, Fault]] = []
        self.is_held = False
        self.watchdog = Watchdog(
            Limits(idle_s=idle_s, session_s=session_s),
            credit=credit or UnlimitedCredit(),
            arrivals=Arrivals(PCM_16K_MONO, NullObserver()),
            on_limit=lambda fault: self.faults.append((trio.current_time(), fault)),
            is_held=lambda: self.is_held,
        )


async def test_an_idle_client_is_noticed_once(autojump_clock: MockClock) -> None:
    """After `idle_s` without audio, within one look at the clock, the limit is called, once."""
    watched = Watched(idle_s=60)
    began_s = trio.current_time()
    await watched.watchdog.run()
    ((at_s, fault),) = watched.faults
    assert 60 <= at_s - began_s <= 65
    assert (fault.code, fault.close_code) == ("timeout", CloseCode.TIMEOUT)
    assert "60 s" in fault.message


@pytest.mark.parametrize("sign", ["audio", "keepalive", "held"])
async def test_signs_of_life_put_it_off(nursery: trio.Nursery, autojump_clock: MockClock, sign: str) -> None:
    """Audio, keepalive messages, and being kept from sending by us, each count as not idle."""
    watched = Watched(idle_s=60)
    nursery.start_soon(watched.watchdog.run)
    watched.is_held = sign == "held"
    for _ in range(10):
        await trio.sleep(50)
        if sign == "audio":
            watched.watchdog.audio(2)
        elif sign == "keepalive":
            watched.watchdog.keepalive()
    assert watched.faults == []
    watched.is_held = False
    await trio.sleep(70)
    assert len(watched.faults) == 1


async def test_a_session_has_an_end(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """After `session_s` the limit is called though audio flows, within one look at the clock."""
    watched = Watched(session_s=100)
    began_s = trio.current_time()
    nursery.start_soon(watched.watchdog.run)
    for _ in range(120):
        watched.watchdog.audio(2)
        await trio.sleep(1)
    ((at_s, fault),) = watched.faults
    assert 100 <= at_s - began_s <= 105
    assert (fault.code, fault.close_code) == ("timeout", CloseCode.TIMEOUT)
    assert "100 s" in fault.message


async def test_a_revoked_key_ends_the_session_at_once(autojump_clock: MockClock) -> None:
    """What the ledger says against the session is called with, without waiting for a look at the clock."""

    class Revoked(UnlimitedCredit):
        async def revoked(self) -> None:
            await trio.sleep_until(began_s + 7)
            raise forbidden("disabled")

    watched = Watched(credit=Revoked())
    began_s = trio.current_time()
    with trio.fail_after(100):
        await watched.watchdog.run()
    ((at_s, fault),) = watched.faults
    assert fault.close_code is CloseCode.FORBIDDEN
    assert at_s - began_s == pytest.approx(7)


async def test_short_limits_are_kept_as_exactly(autojump_clock: MockClock) -> None:
    """The clock is looked at often enough for a short idle limit too."""
    watched = Watched(idle_s=2)
    began_s = trio.current_time()
    await watched.watchdog.run()
    assert 2 <= watched.faults[0][0] - began_s <= 2.5
