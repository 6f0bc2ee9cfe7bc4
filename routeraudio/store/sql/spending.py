"""What an account has spent, in all and in the current day and month of UTC. Plain arithmetic on whole units."""

from datetime import date
from typing import Final

import msgspec

from routeraudio.policy.keys import Period

DAY_S: Final = 86_400

_1970: Final = date(1970, 1, 1).toordinal()


def day_of(at_s: float) -> int:
    """Days since 1970, UTC."""
    return int(at_s // DAY_S)


def as_date(day: int) -> date:
    """A number of `day_of` as a date."""
    return date.fromordinal(_1970 + day)


def seconds_left(period: Period, now_s: float) -> float | None:
    """Until ``period`` begins anew; None: never."""
    if period == "total":
        return None
    today = as_date(day_of(now_s))
    following = {
        "day": today.toordinal() + 1,
        "month": date(today.year + today.month // 12, today.month % 12 + 1, 1).toordinal(),
    }[period]
    return (following - _1970) * DAY_S - now_s


class Spending(msgspec.Struct):
    """An account's row. Reservations count as spent until they are given back."""

    id: str
    total_units: int
    month_units: int
    day_units: int
    day: int
    """Which day, and so which month, the two sums are of."""

    def begin(self, day: int) -> None:
        """It is ``day`` now. Days only go forward: a clock that is set back begins nothing anew."""
        if day <= self.day:
            return
        if not _same_month(day, self.day):
            self.month_units = 0
        self.day_units = 0
        self.day = day

    def add(self, units: int) -> None:
        """So much is spent, or reserved, today."""
        self.total_units += units
        self.month_units += units
        self.day_units += units

    def give_back(self, units: int, reserved_on: int) -> None:
        """So much of a reservation is not needed. What was reserved in a past period is no matter of this one."""
        self.total_units -= units
        if _same_month(reserved_on, self.day):
            self.month_units -= units
        if reserved_on == self.day:
            self.day_units -= units

    def spent(self, period: Period) -> int:
        """Units of ``period``."""
        return {"total": self.total_units, "month": self.month_units, "day": self.day_units}[period]


def _same_month(one: int, other: int) -> bool:
    first, second = as_date(one), as_date(other)
    return (first.year, first.month) == (second.year, second.month)
