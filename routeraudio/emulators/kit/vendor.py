"""What an emulated vendor is made of.

An emulator is a loopback WebSocket server that checks what it is sent as the real service would and
answers with what it really hears. The parts:

    server     accepts, reads the request, owns the connection's boundary     (the same for all vendors)
    vendor     decides who gets in, and talks                                 (one folder per vendor)
    call       one accepted connection, as the vendor sees it
    intake     audio in → samples → clock → faults, script, hearing
    faults     what goes wrong on request
    script     fixed answers instead of hearing

Adding a vendor is one folder with a `Vendor` and one line in `catalog`.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.request import Refusal, Request


class Admission(msgspec.Struct, frozen=True):
    """A request that is let in, and who talks to it."""

    converse: Callable[[Call], Awaitable[None]]
    """Runs the conversation; when it returns the connection is closed with 1000."""
    subprotocol: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Vendor(Protocol):
    """One provider's service."""

    @property
    def name(self) -> str:
        """As in configuration: `deepgram`."""

    @property
    def broken_message(self) -> str:
        """JSON of a known message type whose fields have the wrong types, for the fault `garbage-types`."""

    def key(self, request: Request) -> str | None:
        """The API key or token of a request, wherever this vendor wants it."""

    def admit(self, request: Request) -> Admission | Refusal:
        """Check a request as the service does."""

    def refuse(self, request: Request, status: int) -> Refusal:
        """This vendor's usual answer with this HTTP status, for the fault `refuse`."""


def any_key_but_bad(key: str) -> bool:
    """The keys accepted by default."""
    return bool(key) and not key.startswith("bad")
