"""Which connection had which part of a session, for the client that asks at its end."""

from typing import Final

import msgspec

from routeraudio.model.events import Served

PARTS_MAX: Final = 32
"""A session of days has connections by the hundred; the last ones are told."""


class Parts:
    """In the order in which connections had the session's audio."""

    __slots__ = ("_is_open", "_parts")

    def __init__(self) -> None:
        self._parts: list[Served] = []
        self._is_open = False
        """Whether the last one still has it."""

    def begins(self, provider: str, at_ms: int) -> None:
        """From there on audio goes to a connection to ``provider``."""
        self._parts = [*self._parts[1 - PARTS_MAX :], Served(provider, at_ms, at_ms, "")]
        self._is_open = True

    def ends(self, at_ms: int, ending: str) -> None:
        """It goes to the last one no longer. The first ending counts."""
        if self._is_open:
            self._is_open = False
            last = self._parts.pop()
            self._parts.append(msgspec.structs.replace(last, end_ms=max(at_ms, last.start_ms), ending=ending))

    def all(self) -> tuple[Served, ...]:
        """When all have ended."""
        return tuple(self._parts)
