"""Growing pauses."""

from routeraudio.policy.backoff import BACKOFF_S, BACKOFF_S_MAX, STEADY_S, Backoff


def test_each_pause_is_twice_as_long() -> None:
    """Up to a bound; half of it by chance."""
    backoff, longest_s = Backoff(), BACKOFF_S
    for _ in range(12):
        assert longest_s / 2 <= backoff.pause_s(1.0) <= longest_s
        longest_s = min(2 * longest_s, BACKOFF_S_MAX)


def test_what_ran_for_long_is_restarted_quickly() -> None:
    """As if it had never failed."""
    backoff = Backoff()
    for _ in range(12):
        backoff.pause_s(1.0)
    assert backoff.pause_s(STEADY_S + 1) <= BACKOFF_S
