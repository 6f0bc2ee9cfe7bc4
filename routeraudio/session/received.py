"""What a client has sent: how much audio, and signs that it is still there."""

from routeraudio.session.observer import Arrivals


class Received:
    """Counts one client's audio and keepalives.

    Args:
        arrivals: remembers when audio came.
    """

    __slots__ = ("_arrivals", "keepalives", "received_bytes")

    def __init__(self, arrivals: Arrivals) -> None:
        self.received_bytes = 0
        self.keepalives = 0
        self._arrivals = arrivals

    def audio(self, length_bytes: int) -> None:
        """The client sent audio."""
        self.received_bytes += length_bytes
        if self.received_bytes >= self._arrivals.look_at_bytes:
            self._arrivals.came(self.received_bytes)

    def keepalive(self) -> None:
        """The client said that it is still there."""
        self.keepalives += 1
