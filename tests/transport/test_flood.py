"""A token bucket: a burst, then a rate."""

from hypothesis import given
from hypothesis import strategies as st

from routeraudio.transport.flood import Flood


def test_the_burst_is_allowed_and_no_more() -> None:
    """At one moment exactly the burst passes."""
    flood = Flood(10.0, 5)
    assert [flood.allows(100.0) for _ in range(7)] == [True] * 5 + [False] * 2


def test_time_gives_back_at_the_rate() -> None:
    """After the burst, one message per interval passes."""
    flood = Flood(2.0, 3)
    for _ in range(3):
        assert flood.allows(0.0)
    assert [flood.allows(float(second) / 2) for second in range(1, 20)] == [True] * 19


def test_a_long_silence_gives_back_no_more_than_the_burst() -> None:
    """Tokens do not pile up."""
    flood = Flood(500.0, 3)
    assert flood.allows(0.0)
    assert [flood.allows(1e6) for _ in range(4)] == [True, True, True, False]


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200))
def test_never_more_than_burst_and_rate(gaps: list[float]) -> None:
    """Whatever the rhythm, what passed up to a refusal is within burst plus rate times time."""
    flood, now_s = Flood(2.0, 4), 0.0
    for passed, gap in enumerate(gaps, start=1):
        now_s += gap
        if not flood.allows(now_s):
            break
        assert passed <= 4 + 2.0 * (now_s - gaps[0]) + 1e-6
