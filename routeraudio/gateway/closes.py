"""How the gateway says no, and how a close on one side is said on the other."""

from typing import Final

import msgspec

from routeraudio.gateway.request import Call
from routeraudio.model.errors import (
    BudgetUsedUp,
    ClientFault,
    CloseCode,
    Fault,
    Overloaded,
    Unavailable,
    UpstreamFault,
    unauthorized,
)
from routeraudio.providers import decoding
from routeraudio.providers.base import Credential, Entry
from routeraudio.providers.catalog import PROVIDERS

CAPACITY_REACHED: Final = 16
"""memories.ai's status for a stream too many (seed, section 5)."""

_BODY_BYTES_MAX: Final = 4096
"""Of a vendor's refusal. A close frame has room for far less, but a key in it must not be cut before it is found."""

NO_CODE: Final = 1005
"""A close frame without a code."""

GOING_AWAY: Final = 1001

# Refusals.


def status(fault: Fault) -> int:
    """The HTTP status that says a fault before the upgrade."""
    if isinstance(fault, ClientFault):
        return {"unauthorized": 401, "forbidden": 403}.get(fault.code, 400)
    if isinstance(fault, BudgetUsedUp):
        return 402
    if isinstance(fault, Unavailable) or fault.close_code is CloseCode.RESTART:
        return 503
    return 429 if isinstance(fault, Overloaded) else 503


def refusal(call: Call, status: int, message: str) -> tuple[str, bytes]:
    """Media type and body of an HTTP refusal: the vendor's at its own paths, else memories.ai's."""
    if not call.is_general and call.provider in PROVIDERS:
        return call.passage.refusal_type, call.passage.refusal(status, message)
    # Its stream pages say `message` where all its others say `msg`.
    body: dict[str, object] = {"code": status, "msg": message, "message": message, "data": None}
    if status == 429:
        body["status"] = CAPACITY_REACHED
    return "application/json", msgspec.json.encode(body)


def close_code(fault: Fault) -> int:
    """The close code that says a fault behind the upgrade."""
    if isinstance(fault, BudgetUsedUp):
        return CloseCode.BUDGET
    return CloseCode.INTERNAL if isinstance(fault, UpstreamFault) else fault.close_code


def upstream_refusal(entry: Entry, status: int, body: bytes, credential: Credential | None) -> Fault:
    """A provider's HTTP refusal, which a client whose upgrade we have answered can only be told as a close."""
    said = decoding.words(body[:_BODY_BYTES_MAX].decode(errors="replace"), credential)
    message = f"{entry.title} refused (HTTP {status}): {said}"
    if status in (401, 403):
        if credential is not None and credential.is_clients_own:
            return unauthorized(message)
        return UpstreamFault(f"{entry.title} refused the credential stored here (HTTP {status})")
    if status in (429, 503):
        return Overloaded(message)
    return UpstreamFault(message)


# Closes.


class Close(msgspec.Struct, frozen=True):
    """A close frame."""

    code: int
    reason: str = ""


def close_for_client(
    title: str, code: int | None, reason: str, *, is_violation: bool, secret: str | None = None
) -> Close:
    """What the client is told when the provider's connection has ended.

    Args:
        secret: our credential, which a provider may quote.
        code: of the provider's close frame; None: there was none.
        is_violation: we ended it, for what the provider sent.
    """
    if secret is not None:
        reason = reason.replace(secret, "…")
    if code is None:
        return Close(CloseCode.INTERNAL, f"the connection to {title} was lost")
    if is_violation:
        return Close(CloseCode.INTERNAL, f"{title} broke the WebSocket protocol or a limit: {reason}")
    return Close(code, reason)


def close_for_provider(code: int | None, reason: str, *, is_violation: bool) -> Close:
    """What the provider is told when the client's connection has ended: "going away" where the client said nothing."""
    return Close(GOING_AWAY) if code is None or is_violation else Close(code, reason)
