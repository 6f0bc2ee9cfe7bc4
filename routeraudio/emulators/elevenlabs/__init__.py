"""ElevenLabs' realtime speech-to-text: `/v1/speech-to-text/realtime`.

Written from the SDK 2.78.0, the vendor's AsyncAPI file (2026-08) and what others logged of the live service. Here is
who gets in; what is said then is in `elevenlabs_scribe`, what a query may hold in `elevenlabs_query`.

Keys: any but those that begin with `bad`; `fault-…` asks for a fault (see `faults`). A single-use token is good once.
There is no end-of-stream message: a script's `finalize` steps are played for each commit, `finish` steps never. The
fault `endless` leaves commits unanswered.

Guess: a bad key is told inside the WebSocket, as bad parameters surely are. For an HTTP refusal ask for `refuse-401`.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from routeraudio.emulators.elevenlabs.query import BadQuery, Query, read_query
from routeraudio.emulators.elevenlabs.session import BROKEN_MESSAGE, Scribe, fail
from routeraudio.emulators.kit.base import Admission, Refusal, Request, any_key_but_bad
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.hearing import Service

PATH: Final = "/v1/speech-to-text/realtime"

IDLE_S: Final = 10.0
"""Without audio; others measured 10 to 16 s. The strictest is the safest to be tested against."""

SESSION_S: Final = 3600.0
"""The service has a limit, but does not publish it."""

_REFUSALS: Final = {
    400: ("invalid_request", "Bad request"),
    401: ("invalid_api_key", "Invalid API key"),
    402: ("payment_required", "Payment required"),
    403: ("forbidden", "Forbidden"),
    404: ("not_found", "Not Found"),
    429: ("too_many_concurrent_requests", "Too many concurrent requests"),
    500: ("internal_server_error", "Internal server error"),
    502: ("bad_gateway", "Bad gateway"),
    503: ("service_unavailable", "Service unavailable"),
}


class ElevenLabs:
    """The vendor.

    Args:
        accepts: which keys and tokens are good.
        idle_s: see `IDLE_S`; shorter for tests in real time.
        session_s: see `SESSION_S`.
    """

    name: Final = "elevenlabs"
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
        self._burnt: set[str] = set()
        """Single-use tokens that were used."""

    def key(self, request: Request) -> str | None:
        """The query's `token`, which is tried first, else the header `xi-api-key`."""
        return _token(request) or request.header("xi-api-key")

    def admit(self, request: Request) -> Admission | Refusal:
        """Path; key and query are answered in the WebSocket."""
        if request.path != PATH:
            return self.refuse(request, 404)
        key = self.key(request)
        if key is None or not self._accepts(key) or key in self._burnt:
            return _told("auth_error", "You must be authenticated to use this endpoint.")
        if key == _token(request):
            self._burnt.add(key)
        try:
            query = read_query(request.params)
        except BadQuery as bad:
            return _told("invalid_request", str(bad))
        return Admission(lambda call: self._converse(call, query))

    def refuse(self, request: Request, status: int) -> Refusal:  # noqa: ARG002  (nothing of it is repeated)
        """An HTTP refusal, in the form of the vendor's other services; a guess here."""
        code, message = _REFUSALS[status]
        body = msgspec.json.encode({"detail": {"status": code, "message": message}})
        return Refusal(status, body, (("content-type", "application/json"),))

    async def _converse(self, call: Call, query: Query) -> None:
        await Scribe(call, query, idle_s=self._idle_s, session_s=self._session_s).run()


def _token(request: Request) -> str | None:
    return next((value for name, value in request.params if name == "token"), None)


def _told(code: str, error: str) -> Admission:
    async def converse(call: Call) -> None:
        await fail(call, code, error)

    return Admission(converse)


serve: Final = Service(ElevenLabs)
"""Runs the emulator; see `Service`."""
