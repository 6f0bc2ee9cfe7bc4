"""The breaker, the ceiling and the disabled credential, as tables of what happened when."""

from hypothesis import given
from hypothesis import strategies as st

from routeraudio.policy import health as machine
from routeraudio.policy.health import (
    BURST_MS,
    CEILING_RISE_MS,
    FAILURES_MAX,
    GOOD,
    OPEN_MS,
    OPEN_MS_MAX,
    PROBE_MS,
    RETRY_MS,
    RETRY_MS_MAX,
    Health,
    state,
    wait_ms,
)

T0 = 1_000_000


def fails(health: Health, times: int = 1, *, from_ms: int = T0, apart_ms: int = BURST_MS) -> Health:
    for number in range(times):
        health = machine.failed(health, "failed", from_ms + number * apart_ms, sessions=0)
    return health


def test_a_breaker_opens_after_failures_in_a_row() -> None:
    """Not before, and for a while."""
    almost = fails(GOOD, FAILURES_MAX - 1)
    assert state(almost, T0 + 9999) == "closed"
    health = fails(almost, from_ms=T0 + 10_000)
    assert state(health, T0 + 10_000) == "open"
    assert wait_ms(health, T0 + 10_000, 0) == OPEN_MS


def test_what_works_closes_it() -> None:
    """A word in between, and the count begins anew."""
    health = machine.worked(fails(GOOD, FAILURES_MAX - 1))
    assert health.failures == 0
    assert state(fails(health, FAILURES_MAX - 1, from_ms=T0 + 50_000), T0 + 90_000) == "closed"


def test_a_hundred_sessions_cut_at_once_are_one_failure() -> None:
    """A provider that restarts is not ill; its sessions come back to it."""
    health = fails(GOOD, 100, apart_ms=5)
    assert health.failures == 1
    assert wait_ms(health, T0 + 500, 0) == 0


def test_half_open_lets_one_probe_in() -> None:
    """The first one is the probe, the others wait for how it goes; a probe that never tells is forgotten."""
    health = fails(GOOD, FAILURES_MAX)
    then_ms = health.open_until_ms
    assert state(health, then_ms) == "half-open"
    assert wait_ms(health, then_ms, 0) == 0
    probing = machine.dialled(health, then_ms, 0)
    assert wait_ms(probing, then_ms, 0) == PROBE_MS
    assert wait_ms(probing, then_ms + PROBE_MS, 0) == 0
    assert state(machine.worked(probing), then_ms) == "closed"
    assert wait_ms(machine.worked(probing), then_ms, 0) == 0


def test_a_failed_probe_opens_it_for_twice_as_long() -> None:
    """Up to a bound."""
    health = fails(GOOD, FAILURES_MAX)
    opened = []
    for _ in range(7):
        opened.append(health.open_ms)
        then_ms = health.open_until_ms
        health = fails(machine.dialled(health, then_ms, 0), from_ms=then_ms + 100)
    assert opened == [OPEN_MS, 2 * OPEN_MS, 4 * OPEN_MS, 8 * OPEN_MS, *[OPEN_MS_MAX] * 3]


def test_old_connections_do_not_keep_it_open() -> None:
    """What still runs and falls while it is open does not lengthen it."""
    health = fails(GOOD, FAILURES_MAX)
    assert fails(health, 10, from_ms=T0 + 8000).open_until_ms == health.open_until_ms


def test_a_refused_credential_is_out_for_good() -> None:
    """Whatever happens after."""
    health = machine.worked(machine.failed(GOOD, "refused", T0, sessions=3))
    assert state(health, T0 + 10**9) == "disabled"
    assert wait_ms(health, T0 + 10**9, 0) is None


def test_a_429_lowers_the_ceiling() -> None:
    """To a share of what runs; it rises again by one at a time. No failure is counted."""
    health = machine.failed(GOOD, "crowded", T0, sessions=40)
    assert (health.ceiling, health.failures) == (30, 0)
    assert wait_ms(health, T0, 29) == RETRY_MS
    assert wait_ms(health, T0 + RETRY_MS, 29) == 0
    assert wait_ms(health, T0 + RETRY_MS, 30) == CEILING_RISE_MS - RETRY_MS
    assert wait_ms(health, T0 + CEILING_RISE_MS, 30) == 0
    raised = machine.dialled(health, T0 + CEILING_RISE_MS, 30)
    assert raised.ceiling == 31
    assert wait_ms(raised, T0 + CEILING_RISE_MS, 31) == CEILING_RISE_MS
    assert machine.dialled(health, T0 + CEILING_RISE_MS, 3).ceiling == 30


def test_a_ceiling_is_never_nothing() -> None:
    """One session may always be tried."""
    assert machine.failed(GOOD, "crowded", T0, sessions=0).ceiling == 1


def test_retry_after_is_obeyed() -> None:
    """With a 429 and with a 503, within reason."""
    for kind in ("crowded", "failed"):
        health = machine.failed(GOOD, kind, T0, sessions=9, retry_after_ms=7000)  # type: ignore[arg-type]
        assert wait_ms(health, T0, 0) == 7000
    health = machine.failed(GOOD, "failed", T0, sessions=9, retry_after_ms=10**9)
    assert wait_ms(health, T0, 0) == RETRY_MS_MAX


def test_readiness_is_smoothed() -> None:
    """Recent dials count more."""
    health = machine.ready(machine.ready(GOOD, 400), 800)
    assert health.ready_ms == 500


@given(
    st.lists(st.tuples(st.sampled_from(["failed", "crowded", "worked", "dialled"]), st.integers(0, 60_000)))
)
def test_nobody_waits_for_ever(steps: list[tuple[str, int]]) -> None:
    """Without a refused credential every wait ends, whatever happened."""
    health, now_ms = GOOD, T0
    for step, after_ms in steps:
        now_ms += after_ms
        if step == "worked":
            health = machine.worked(health)
        elif step == "dialled":
            health = machine.dialled(health, now_ms, 5)
        else:
            health = machine.failed(health, step, now_ms, sessions=5)  # type: ignore[arg-type]
    wait = wait_ms(health, now_ms, 10)
    assert wait is not None
    assert wait <= OPEN_MS_MAX
    assert wait_ms(health, now_ms + wait, 10) == 0
