"""Toy: a client protocol that says finals as plain text, one per message."""

from collections.abc import Sequence
from typing import Final

from routeraudio.dialects.base import (
    BadRequest,
    Command,
    Control,
    DialectEntry,
    DialectEvent,
    Opening,
    Request,
    StreamRequest,
)
from routeraudio.dialects.parameters import Given, choice, query_pairs
from routeraudio.model.audio import PCM_16K_MONO
from routeraudio.model.errors import ClientFault, CloseCode, Fault
from routeraudio.model.events import Event
from routeraudio.model.events import Final as FinalText
from routeraudio.model.message import Message
from routeraudio.model.options import Options
from routeraudio.providers.catalog import PROVIDERS


def parse(request: Request) -> StreamRequest:
    """`provider` and `api_key`."""
    given = Given(list(query_pairs(request.query)))
    provider = given.take("provider", choice(tuple(PROVIDERS)), required=True, default="")
    key = given.take("api_key", str, default=None)
    if given.faults:
        raise BadRequest(given.faults)
    return StreamRequest(Options(provider=provider, audio=PCM_16K_MONO), key=key)


class Toy:
    """Binary is audio, text is the end."""

    def __init__(self, opening: Opening) -> None:
        del opening

    def received(self, message: Message) -> Sequence[Command | DialectEvent]:
        return (message,) if isinstance(message, bytes) else (Control.FINISH,)

    def event(self, event: Event | DialectEvent) -> Sequence[Message]:
        return (event.text,) if isinstance(event, FinalText) else ()

    def error(self, fault: Fault) -> Sequence[Message]:
        return (f"error: {fault.message}",)

    def close_code(self, fault: Fault) -> CloseCode:
        return fault.close_code


def bad_request(faults: Sequence[ClientFault]) -> bytes:
    """The sentences, a line each."""
    return "\n".join(fault.message for fault in faults).encode()


ENTRY: Final = DialectEntry(name="toy", paths=("/toy",), parse=parse, dialect=Toy, bad_request=bad_request)
