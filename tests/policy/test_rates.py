"""Token buckets by name."""

from routeraudio.policy.rates import NAMES_MAX, Rates


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
