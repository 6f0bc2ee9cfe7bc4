"""Pauses before something that ends again and again is started anew: each twice as long, up to a bound."""

import random
from typing import Final

BACKOFF_S: Final = 0.25
BACKOFF_S_MAX: Final = 10.0

STEADY_S: Final = 60.0
"""What ran for this long has earned a quick restart again."""


class Backoff:
    """The pauses of one."""

    def __init__(self) -> None:
        self._next_s = BACKOFF_S

    def pause_s(self, ran_s: float) -> float:
        """Before the next start of what ran for so long.

        Half of it by chance: what ended one may have ended all, and need not be met by all at once again.
        """
        if ran_s > STEADY_S:
            self._next_s = BACKOFF_S
        pause_s = self._next_s * random.uniform(0.5, 1)  # noqa: S311 - keeps no secret
        self._next_s = min(self._next_s * 2, BACKOFF_S_MAX)
        return pause_s
