"""Before a session: a client whose key or options stand in its first messages is listened to until they were read."""

from collections.abc import Callable
from typing import Final

import trio

from routeraudio.model.errors import ClientFault, CloseCode
from routeraudio.model.message import Message
from routeraudio.session.streams import Closed

FIRST_CHARACTERS_MAX: Final = 4096
"""Read, taken apart and put together again for somebody who has shown no key yet."""

HELD_CHARACTERS_MAX: Final = 1_048_576
"""After so much no more is waited for: what a client may have sent ahead, with its options still to come."""

MESSAGE_CHARACTERS: Final = 64
"""What a message counts besides: about what keeping a short one costs."""


class FirstMessages:
    """Listens to a client until it has said enough, and reads no further; what was read is kept for the session.

    Args:
        is_enough: whether a message is the last that is needed. What it raises is kept like any crash.
    """

    def __init__(self, is_enough: Callable[[Message], bool] = lambda _: True) -> None:
        self.messages: list[Message] = []
        self.ended: Closed | None = None
        self.crash: Exception | None = None
        self._is_enough = is_enough
        self._held_characters = 0
        self._began = trio.Event()
        self._settled = trio.Event()

    async def settled(self, *, first_s: float, more_s: float = 0.0) -> None:
        """Wait for enough: at most ``first_s`` for the first message, and ``more_s`` from there on.

        Raises:
            Exception: what reading a message came to.
        """
        with trio.move_on_after(first_s):
            await self._began.wait()
            with trio.move_on_after(more_s):
                await self._settled.wait()
        self._settled.set()
        if self.crash is not None:
            raise self.crash

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
        self._held_characters += len(message) + MESSAGE_CHARACTERS
        self._began.set()
        if not self._settled.is_set():
            is_full = self._held_characters > HELD_CHARACTERS_MAX
            if self._is_enough(message) or is_full:
                self._settled.set()
        return not self._settled.is_set()

    def closed(self, closed: Closed) -> None:
        """See `Listener.closed`."""
        self.ended = closed
        self._over()

    def crashed(self, error: Exception) -> None:
        """See `Listener.crashed`."""
        self.crash = error
        self._over()

    def _over(self) -> None:
        self._began.set()
        self._settled.set()
