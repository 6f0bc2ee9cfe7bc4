"""Token buckets, alone and by name."""

from hypothesis import given
from hypothesis import strategies as st

from routeraudio.policy.rates import NAMES_MAX, Bucket, Rates


def test_a_burst_and_then_a_rate() -> None:
    """So many at once, then one at a time; what is refused costs nothing."""
    rates = Rates(per_s=2, burst=3)
    assert [rates.take("a", 10.0) for _ in range(4)] == [True, True, True, False]
    assert rates.wait_s("a", 10.0) == 0.5
    assert not rates.take("a", 10.25)
    assert rates.take("a", 10.5)
    assert not rates.take("a", 10.5)


def test_names_are_apart() -> None:
    """One name's bucket is not another's."""
    rates = Rates(per_s=1, burst=1)
    assert rates.take("a", 0.0)
    assert rates.take("b", 0.0)
    assert not rates.take("a", 0.0)


def test_a_bucket_is_never_fuller_than_full() -> None:
    """A long pause gives one burst, not several."""
    rates = Rates(per_s=1, burst=2)
    rates.take("a", 0.0)
    assert [rates.take("a", 1000.0) for _ in range(3)] == [True, True, False]


def test_what_is_kept_is_bounded() -> None:
    """The name used longest ago is forgotten; one in use is not."""
    rates = Rates(per_s=0.001, burst=1)
    for number in range(NAMES_MAX + 1):
        rates.take(str(number), 0.0)
    assert rates.take("0", 0.0)
    assert not rates.take(str(NAMES_MAX), 0.0)


def test_the_burst_is_allowed_and_no_more() -> None:
    """At one moment exactly the burst passes."""
    bucket = Bucket(10.0, 5)
    assert [bucket.take(100.0) for _ in range(7)] == [True] * 5 + [False] * 2


def test_time_gives_back_at_the_rate() -> None:
    """After the burst, one message per interval passes."""
    bucket = Bucket(2.0, 3)
    for _ in range(3):
        assert bucket.take(0.0)
    assert [bucket.take(float(second) / 2) for second in range(1, 20)] == [True] * 19


def test_a_long_silence_gives_back_no_more_than_the_burst() -> None:
    """Tokens do not pile up."""
    bucket = Bucket(500.0, 3)
    assert bucket.take(0.0)
    assert [bucket.take(1e6) for _ in range(4)] == [True, True, True, False]


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200))
def test_never_more_than_burst_and_rate(gaps: list[float]) -> None:
    """Whatever the rhythm, what passed up to a refusal is within burst plus rate times time."""
    bucket, now_s = Bucket(2.0, 4), 0.0
    for passed, gap in enumerate(gaps, start=1):
        now_s += gap
        if not bucket.take(now_s):
            break
        assert passed <= 4 + 2.0 * (now_s - gaps[0]) + 1e-6
