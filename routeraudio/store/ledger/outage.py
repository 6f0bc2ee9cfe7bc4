"""A time without the store."""

from typing import Final

import structlog
import trio

from routeraudio.store.contract import StoreUnavailable

log = structlog.get_logger(__name__)

TELL_S: Final = 60.0
"""Between two lines in the log: whoever looks sees that it lasts, and why."""


class Outage:
    """Since when, and who waits for its consequences."""

    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        self.watch_lease = trio.CancelScope()
        self.watch_grace = trio.CancelScope()
        self._told_s = began_s

    def goes_on(self, error: StoreUnavailable) -> None:
        """Another attempt has failed."""
        now_s = trio.current_time()
        if now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            log.warning("store_unavailable", why=str(error), since_s=round(now_s - self.began_s))

    def end(self) -> None:
        """Nobody waits any more."""
        self.watch_lease.cancel()
        self.watch_grace.cancel()
