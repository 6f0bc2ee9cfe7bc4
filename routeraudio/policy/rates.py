"""Token buckets by name: so many per second in the long run, so many at once."""

from collections import OrderedDict
from typing import Final

NAMES_MAX: Final = 10_000
"""Buckets kept; the one used longest ago gives way, and with a full bucket nothing is forgotten by that."""


class Rates:
    """One bucket per name. Time is an argument, in seconds on any clock that does not go back."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left in a bucket, and when."""

    def wait_s(self, name: str, now_s: float) -> float:
        """How long until one may be taken; 0: now."""
        return max(0.0, (1 - self._level(name, now_s)) / self._per_s)

    def take(self, name: str, now_s: float) -> bool:
        """Take one; False: there is none, and nothing is taken."""
        level = self._level(name, now_s)
        if level < 1:
            return False
        self._left[name] = (level - 1, now_s)
        self._left.move_to_end(name)
        if len(self._left) > NAMES_MAX:
            self._left.popitem(last=False)
        return True

    def _level(self, name: str, now_s: float) -> float:
        left, at_s = self._left.get(name, (self._burst, now_s))
        return min(self._burst, left + (now_s - at_s) * self._per_s)
