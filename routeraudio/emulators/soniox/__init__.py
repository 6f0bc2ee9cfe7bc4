"""Soniox's live service: `/transcribe-websocket`.

Written from the SDK 2.10.0 and soniox.com/docs (2026-11). Here is who gets in; what the first message may hold is in
`soniox_start`, what is said then in `soniox_stream`.

Keys: any but those that begin with `bad`. They come with the handshake, as header or as subprotocol, or in the
first message (deprecated until 2027-01-15), never in both; a bad one is let in and told so. `fault-…` asks for a
fault (see `faults`), in the handshake only: later it is too late for some. Guesses: that a bad key is answered
after the first message, the deadline for that message, that a query is refused, and the subprotocol that comes back.
"""

from collections.abc import Callable
from typing import Final

import msgspec
import trio

from routeraudio.emulators.kit.base import Admission, Refusal, Request, any_key_but_bad
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.hearing import Service
from routeraudio.emulators.soniox.request import Start, Wrong, read_start
from routeraudio.emulators.soniox.session import BROKEN_MESSAGE, Stream, error, fail

PATH: Final = "/transcribe-websocket"

SUBPROTOCOL: Final = "soniox-api-key"

START_S: Final = 20.0
"""For the first message, from who has shown no good key; others may hold a connection ready."""

IDLE_S: Final = 20.0
"""Audio or a keepalive must come at least as often (vendor's page on keepalive)."""

SESSION_S: Final = 18_000.0
"""A stream's longest duration (vendor's page on limits)."""

_REFUSALS: Final = {
    400: ("invalid_request", "Invalid request."),
    401: ("unauthenticated", "Invalid API key."),
    402: ("organization_balance_exhausted", "Organization balance exhausted."),
    403: ("permission_denied", "Permission denied."),
    404: ("not_found", "Not found."),
    429: ("limit_exceeded", "Rate limit exceeded."),
    500: ("internal_error", "Internal error."),
    502: ("bad_gateway", "Bad gateway."),
    503: ("service_unavailable", "Service unavailable."),
}


class Soniox:
    """The vendor.

    Args:
        accepts: which keys and temporary keys are good.
        idle_s: see `IDLE_S`.
        session_s: see `SESSION_S`.
    """

    name: Final = "soniox"
    broken_message: Final = BROKEN_MESSAGE

    def __init__(
        self,
        *,
        accepts: Callable[[str], bool] = any_key_but_bad,
        idle_s: float = IDLE_S,
        session_s: float = SESSION_S,
    ) -> None:
        self._accepts = accepts
        self._idle_s = idle_s
        self._session_s = session_s

    def key(self, request: Request) -> str | None:
        """`Authorization: Bearer KEY`, or the subprotocols `soniox-api-key, KEY`."""
        scheme, _, key = (request.header("authorization") or "").partition(" ")
        if scheme.lower() == "bearer":
            return key.strip()
        if len(request.subprotocols) == 2 and request.subprotocols[0] == SUBPROTOCOL:
            return request.subprotocols[1]
        return None

    def admit(self, request: Request) -> Admission | Refusal:
        """Only the path; everything else is told to who is in."""
        if request.path != PATH:
            return self.refuse(request, 404)
        if request.params:
            return self.refuse(request, 400)
        is_offered = SUBPROTOCOL in request.subprotocols
        return Admission(self._converse, subprotocol=SUBPROTOCOL if is_offered else None)

    def refuse(self, request: Request, status: int) -> Refusal:
        """An HTTP refusal. The service has none of its own; balancers before it do."""
        body = error(Wrong(status, *_REFUSALS[status]), request.id)
        return Refusal(status, msgspec.json.encode(body), (("content-type", "application/json"),))

    async def _converse(self, call: Call) -> None:
        try:
            start = await self._started(call)
        except Wrong as wrong:
            await fail(call, wrong)
        await Stream(call, start, idle_s=self._idle_s, session_s=self._session_s).run()

    async def _started(self, call: Call) -> Start:
        key = self.key(call.request)
        is_known = key is not None and self._accepts(key)
        with trio.move_on_after(self._session_s if is_known else START_S):
            return read_start(await call.receive(), key, self._accepts)
        raise Wrong(408, "request_timeout", "Start request timeout")


serve: Final = Service(Soniox)
"""Runs the emulator; see `Service`."""
