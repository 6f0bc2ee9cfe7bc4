"""Token buckets: so many per second in the long run, so many at once. Time is an argument, on any clock."""

from collections import OrderedDict
from typing import Final

NAMES_MAX: Final = 10_000
"""Buckets kept; the one used longest ago gives way, and with a full bucket nothing is forgotten by that."""


class Bucket:
    """One, full at first.

    Args:
        per_s: in the long run.
        burst: at once.
    """

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = self._left = float(burst)
        self._at_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """How long until one may be taken; 0: now."""
        return max(0.0, (1 - self._level(now_s)) / self._per_s)

    def take(self, now_s: float) -> bool:
        """Take one; False: there is none, and nothing is taken."""
        level = self._level(now_s)
        self._at_s = now_s
        self._left = level - 1 if level >= 1 else level
        return level >= 1

    def _level(self, now_s: float) -> float:
        gained = 0.0 if self._at_s is None else (now_s - self._at_s) * self._per_s
        return min(self._burst, self._left + gained)


class Rates:
    """One bucket per name."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait_s(self, name: str, now_s: float) -> float:
        """How long until one may be taken; 0: now."""
        bucket = self._buckets.get(name)
        return 0.0 if bucket is None and self._burst >= 1 else self._bucket(name).wait_s(now_s)

    def take(self, name: str, now_s: float) -> bool:
        """Take one; False: there is none, and nothing is taken."""
        bucket = self._buckets.setdefault(name, self._bucket(name))
        self._buckets.move_to_end(name)
        if len(self._buckets) > NAMES_MAX:
            self._buckets.popitem(last=False)
        return bucket.take(now_s)

    def _bucket(self, name: str) -> Bucket:
        return self._buckets.get(name) or Bucket(self._per_s, self._burst)
