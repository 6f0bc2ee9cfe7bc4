"""Before a passage: a client whose key stands in its first message is listened to until that has been looked at."""

import trio

from routeraudio.model.message import Message
from routeraudio.session.streams import Closed


class FirstMessage:
    """Listens to a client for one message, and does not read further; what was read already is kept for the passage."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ended: Closed | None = None
        self.crash: Exception | None = None
        self._began = trio.Event()

    async def first(self) -> Message | None:
        """The first message; None: the client left without one. The caller sets the deadline."""
        await self._began.wait()
        return self.messages[0] if self.messages else None

    def message(self, message: Message) -> bool:
        """See `Listener.message`."""
        self.messages.append(message)
        self._began.set()
        return False

    def closed(self, closed: Closed) -> None:
        """See `Listener.closed`."""
        self.ended = closed
        self._began.set()

    def crashed(self, error: Exception) -> None:
        """See `Listener.crashed`."""
        self.crash = error
        self._began.set()
