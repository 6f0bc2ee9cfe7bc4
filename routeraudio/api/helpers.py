"""What REST calls that need a key have in common: who calls, what the body says, and faults as JSON answers."""

import ipaddress
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, Final, ParamSpec

import msgspec
from quart import Response, request

from routeraudio.auth.key_admin import NoSuchKey
from routeraudio.config.source import ValueFault
from routeraudio.model.errors import ClientFault, Overloaded, Unavailable
from routeraudio.store.contract import StoreUnavailable

P = ParamSpec("P")
Handler = Callable[P, Awaitable[Response]]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

JSON: Final = "application/json"

RETRY_S: Final = 5
"""Where nothing better is known."""


class BadBody(Exception):
    """A request whose body or query is not what is expected; the message says what is."""


def answering(handler: Handler[P]) -> Handler[P]:
    """Turn what goes wrong in ``handler`` into a status and a JSON body that says why."""

    @wraps(handler)
    async def answered(*arguments: P.args, **named: P.kwargs) -> Response:
        try:
            return await handler(*arguments, **named)
        except ValueFault as fault:
            return reply({"error": str(fault), "parameter": fault.path}, 400)
        except BadBody as bad:
            return reply({"error": str(bad)}, 400)
        except NoSuchKey:
            return reply({"error": "there is no key of that id"}, 404)
        except StoreUnavailable:
            return _wait("the store does not answer; try again later", 503, RETRY_S)
        except Overloaded as fault:
            status = 503 if isinstance(fault, Unavailable) else 429
            return _wait(fault.message, status, fault.retry_after_s or RETRY_S)
        except ClientFault as fault:
            return reply({"error": fault.message}, 401 if fault.code == "unauthorized" else 403)

    return answered


def reply(body: object, status: int = 200) -> Response:
    """A JSON answer that nobody on the way keeps: many hold a key or a token."""
    answer = Response(msgspec.json.encode(body), status, content_type=JSON)
    answer.headers["cache-control"] = "no-store"
    return answer


def shown_key() -> str | None:
    """The header x-api-key, else Authorization with or without the word Bearer."""
    given: str = request.headers.get("x-api-key") or request.headers.get("authorization") or ""
    scheme, _, rest = given.partition(" ")
    return (rest.strip() if scheme.lower() == "bearer" else given) or None


async def body() -> dict[str, object]:
    """The fields of the request's JSON object; none where it has no body.

    Raises:
        BadBody: it is something else.
    """
    data = await request.get_data(as_text=False)
    if not data.strip():
        return {}
    try:
        raw: Any = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadBody("expected a JSON object") from None
    if not isinstance(raw, dict):
        raise BadBody("expected a JSON object")
    return raw


def caller(trusted_proxies: Sequence[Network]) -> str:
    """The client's address: the peer's, or what a proxy of ours says of it; empty for a local socket."""
    address = (request.remote_addr or "").removeprefix("::ffff:")
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    while address and _is_in(address, trusted_proxies) and forwarded:
        # What stands before the last address that is no proxy of ours is hearsay.
        address = forwarded.pop() or address
    return address


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _wait(message: str, status: int, retry_after_s: float) -> Response:
    answer = reply({"error": message}, status)
    answer.headers["retry-after"] = str(math.ceil(retry_after_s))
    return answer
