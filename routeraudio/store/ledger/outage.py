"""A time without the store."""

import trio


class Outage:
    """Since when, and who waits for its consequences."""

    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        self.watch_lease = trio.CancelScope()
        self.watch_grace = trio.CancelScope()

    def end(self) -> None:
        """Nobody waits any more."""
        self.watch_lease.cancel()
        self.watch_grace.cancel()
