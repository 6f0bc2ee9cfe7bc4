"""Sums of an account by total, month and day."""

from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given

from routeraudio.policy.keys import Period
from routeraudio.store.sql.spending import Spending, as_date, day_of, seconds_left


def at(text: str) -> float:
    """A time of UTC in Unix seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def on(date: str) -> int:
    """A date as a number of days."""
    return day_of(at(date))


def spending(date: str, units: int = 0) -> Spending:
    """An account that has spent so much, all of it on this day."""
    return Spending("acme", units, units, units, on(date))


def test_days_are_those_of_utc() -> None:
    """They begin at midnight, and are shown as dates."""
    assert day_of(at("2026-11-20T23:59:59.999")) + 1 == day_of(at("2026-11-21"))
    assert as_date(on("2026-11-20")).isoformat() == "2026-11-20"
    assert day_of(0) == 0


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        ("2026-11-20", (7, 7, 7)),
        ("2026-11-21", (7, 7, 0)),
        ("2026-12-01", (7, 0, 0)),
        ("2027-11-20", (7, 0, 0)),
        ("2026-11-19", (7, 7, 7)),
        ("2026-10-01", (7, 7, 7)),
    ],
)
def test_a_period_begins(today: str, expected: tuple[int, int, int]) -> None:
    """With nothing spent in it. A clock that is set back begins none."""
    account = spending("2026-11-20", 7)
    account.begin(on(today))
    assert (account.spent("total"), account.spent("month"), account.spent("day")) == expected


@pytest.mark.parametrize(
    ("reserved_on", "expected"),
    [
        ("2026-11-21", (10, 10, 10)),
        ("2026-11-20", (10, 10, 13)),
        ("2026-10-31", (10, 13, 13)),
        ("2025-11-21", (10, 13, 13)),
    ],
)
def test_a_reservation_is_given_back_to_its_period(reserved_on: str, expected: tuple[int, int, int]) -> None:
    """What was reserved yesterday does not make today cheaper."""
    account = spending("2026-11-21", 13)
    account.give_back(3, on(reserved_on))
    assert (account.total_units, account.month_units, account.day_units) == expected


@pytest.mark.parametrize(
    ("period", "now", "left"),
    [
        ("day", "2026-11-20T23:00", 3600),
        ("month", "2026-11-30T23:00", 3600),
        ("month", "2026-12-31T00:00", 86_400),
        ("month", "2028-02-28T00:00", 2 * 86_400),
        ("day", "2026-12-31T12:00", 43_200),
        ("total", "2026-11-20", None),
    ],
)
def test_when_a_budget_is_renewed(period: Period, now: str, left: float | None) -> None:
    """At the next midnight, at the first of the next month, never."""
    assert seconds_left(period, at(now)) == left


@given(st.integers(0, 4_000_000_000), st.sampled_from(["day", "month"]))
def test_a_renewed_budget_has_nothing_spent(now_s: int, period: Period) -> None:
    """It is another period then, and was not a second before."""
    left_s = seconds_left(period, now_s)
    assert left_s is not None
    account = Spending("acme", 5, 5, 5, day_of(now_s))
    account.begin(day_of(now_s + left_s - 1))
    assert account.spent(period) == 5
    account.begin(day_of(now_s + left_s))
    assert account.spent(period) == 0
