"""Deepgram's live service: `/v1/listen` (nova-3 and older) and `/v2/listen` (Flux).

Written from the SDK 7.16, asyncapi.yml (2026-07) and developers.deepgram.com (2026-11). Here is who gets
in; what is said then is in `deepgram_listen` and `deepgram_flux`, what a query may hold in
`deepgram_query`.

Keys: any but those that begin with `bad`; `fault-…` asks for a fault (see `faults`). Differences from the
service: nobody pays, nothing is private, `amr`, `speex` and `g729` are not decoded, callbacks are
refused.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from routeraudio.emulators.deepgram.flux import Flux
from routeraudio.emulators.deepgram.listen import BROKEN_MESSAGE, Listen
from routeraudio.emulators.deepgram.query import BadQuery, read_flux, read_listen
from routeraudio.emulators.kit.base import Admission, Refusal, Request, any_key_but_bad
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.hearing import Service

IDLE_S: Final = 10.0
"""First audio after the handshake, and audio or KeepAlive from then on (DOC audio-keep-alive)."""

_REFUSALS: Final = {
    400: ("Bad Request", "Bad Request"),
    401: ("INVALID_AUTH", "Invalid credentials."),
    402: ("ASR_PAYMENT_REQUIRED", "Project does not have enough credits for an ASR request."),
    403: ("INSUFFICIENT_PERMISSIONS", "Project does not have access to the requested model."),
    404: ("NOT_FOUND", "The requested resource was not found."),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later"),
    500: ("INTERNAL_SERVER_ERROR", "Internal server error"),
    502: ("BAD_GATEWAY", "Bad gateway"),
    503: ("SERVICE_UNAVAILABLE", "Service unavailable"),
}


class Deepgram:
    """The vendor.

    Args:
        accepts: which keys and tokens are good.
        idle_s: see `IDLE_S`; shorter for tests in real time.
    """

    name: Final = "deepgram"
    broken_message: Final = BROKEN_MESSAGE

    def __init__(self, *, accepts: Callable[[str], bool] = any_key_but_bad, idle_s: float = IDLE_S) -> None:
        self._accepts = accepts
        self._idle_s = idle_s

    def key(self, request: Request) -> str | None:
        """`Authorization: Token KEY` or `Bearer JWT`, or the subprotocols `token, KEY` or `bearer, JWT`."""
        scheme, _, key = (request.header("authorization") or "").partition(" ")
        if scheme.lower() in ("token", "bearer"):
            return key.strip()
        if len(request.subprotocols) == 2 and request.subprotocols[0] in ("token", "bearer"):
            return request.subprotocols[1]
        return None

    def admit(self, request: Request) -> Admission | Refusal:
        """Path, then key, then query."""
        if request.path not in ("/v1/listen", "/v2/listen"):
            return self.refuse(request, 404)
        key = self.key(request)
        if key is None or not self._accepts(key):
            return self.refuse(request, 401)
        try:
            converse = self._conversation(request)
        except BadQuery as bad:
            return _refusal(request, 400, bad.code, str(bad))
        return Admission(
            converse,
            # Browsers insist that one offered subprotocol comes back; which one is a guess.
            subprotocol=request.subprotocols[0] if request.subprotocols else None,
            headers=(("dg-request-id", request.id),),
        )

    def refuse(self, request: Request, status: int) -> Refusal:
        """The service's usual words for a status."""
        code, message = _REFUSALS[status]
        return _refusal(request, status, code, message)

    def _conversation(self, request: Request) -> Callable[[Call], Awaitable[None]]:
        if request.path == "/v1/listen":
            listen = read_listen(request.params)
            return lambda call: Listen(call, listen, idle_s=self._idle_s).run()
        flux = read_flux(request.params)
        return lambda call: Flux(call, flux, idle_s=self._idle_s).run()


def _refusal(request: Request, status: int, code: str, message: str) -> Refusal:
    body = {"err_code": code, "err_msg": message, "request_id": request.id}
    return Refusal(
        status,
        msgspec.json.encode(body),
        (("content-type", "application/json"), ("dg-request-id", request.id), ("dg-error", message)),
    )


serve: Final = Service(Deepgram)
"""Runs the emulator; see `Service`."""
