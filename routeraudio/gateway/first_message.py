"""Before a transparent session: a client whose key stands in its first message is listened to until that was read."""

from typing import Final

import trio

from routeraudio.model.errors import ClientFault, CloseCode
from routeraudio.model.message import Message
from routeraudio.session.streams import Closed

FIRST_CHARACTERS_MAX: Final = 4096
"""Read, taken apart and put together again for somebody who has shown no key yet."""


class FirstMessage:
    """Listens to a client for one message, and does not read further; what was read already is kept for the session."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ended: Closed | None = None
        self.crash: Exception | None = None
        self._began = trio.Event()

    async def first(self) -> Message | None:
        """The first message; None: the client left without one. The caller sets the deadline.

        Raises:
            ClientFault: it is longer than anybody without a key may have us read.
        """
        await self._began.wait()
        if not self.messages:
            return None
        first = self.messages[0]
        if len(first) > FIRST_CHARACTERS_MAX:
            raise ClientFault(
                f"the first message, with the key, has at most {FIRST_CHARACTERS_MAX} characters, got {len(first)}; "
                "send the key in the handshake, or what is longer in a message of its own",
                code="invalid_parameter",
                close_code=CloseCode.TOO_BIG,
            )
        return first

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
