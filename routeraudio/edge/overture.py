"""Between the 101 and the session: a client whose options come in its first messages says what it wants."""

from typing import Final

from routeraudio.dialects.base import Overture, StreamRequest
from routeraudio.model.errors import timed_out
from routeraudio.model.message import Message
from routeraudio.session.first_messages import FirstMessages
from routeraudio.session.streams import MessageStream

MORE_S: Final = 1.0
"""From the first message to the options. pipecat sends audio while it waits for the greeting, and options then."""


async def listen(
    client: MessageStream, overture: Overture, *, first_s: float
) -> tuple[StreamRequest | None, FirstMessages]:
    """Greet, and listen until the options are known; None: they never came, and what the upgrade said holds.

    Args:
        first_s: how long the client may be silent.

    Raises:
        ClientFault: it said nothing, or asked for what cannot be.
    """
    for message in overture.greeting():
        client.send(message)
    wish: StreamRequest | None = None

    def is_enough(message: Message) -> bool:
        nonlocal wish
        wish = overture.received(message)
        return wish is not None

    first = FirstMessages(is_enough)
    client.start(first)
    await first.settled(first_s=first_s, more_s=MORE_S)
    if not first.messages and first.ended is None:
        raise timed_out(f"no message for {first_s:g} s; send the session's options")
    return wish, first
