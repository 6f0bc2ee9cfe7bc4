"""Real time: a provider is fed as fast as people speak, whatever the source does."""

import math
from typing import Final

AHEAD_S: Final = 1.0
"""Audio that may go out at once after a pause: what a live source's network has held back."""

CATCH_UP: Final = 1.25
"""Times real time for a live source that has gathered more than that; a playlist comes in segments of seconds."""


class Pacer:
    """Tells when audio is due. A pause of the source is not made up for beyond `AHEAD_S`.

    Args:
        rate: times real time.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next_s = -math.inf

    def due_s(self, duration_s: float, now_s: float) -> float:
        """When the next ``duration_s`` of audio may be sent; in the past: at once."""
        due_s = max(self._next_s, now_s - AHEAD_S)
        self._next_s = due_s + duration_s / self._rate
        return due_s
