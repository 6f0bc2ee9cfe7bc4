"""Log events that strangers can cause as often as they like: so many a second are lines, the rest is a number."""

from collections.abc import Callable, MutableMapping
from time import monotonic
from typing import Any, Final

import structlog

LINES_PER_S: Final = 10

EVENTS: Final = frozenset({"turned_away", "connection_bug"})
"""What happens before anybody has shown a key."""


class Summary:
    """A structlog processor. The first line of a second tells how many the one before has left out."""

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self._now_s = now_s
        self._since_s: dict[str, float] = {}
        self._lines: dict[str, int] = {}

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Let an event through, or count it."""
        name = event["event"]
        if name not in EVENTS:
            return event
        now_s = self._now_s()
        if now_s - self._since_s.get(name, -1.0) >= 1.0:
            left_out = self._lines.get(name, 0) - LINES_PER_S
            self._since_s[name], self._lines[name] = now_s, 0
            if left_out > 0:
                event["left_out"] = left_out
        self._lines[name] += 1
        if self._lines[name] > LINES_PER_S:
            raise structlog.DropEvent
        return event
