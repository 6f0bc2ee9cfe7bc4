"""OpenAI's Realtime API, as far as it transcribes: `/v1/realtime?intent=transcription`.

Written from OpenAPI 2.3.0, SDK 3.52, the guides and recorded closes (2026-11). Here is who gets in; what may be asked
for is in `openai_settings`, what is said then in `openai_realtime`.

Keys: any but those that begin with `bad`, which get 101 and then close 3000, as with the service; `fault-…` asks for a
fault (see `faults`). Guesses: a missing key is treated like a bad one; the words and close codes for the removed
`OpenAI-Beta` header and for a request without `intent`. Not here: conversations, WebRTC, SIP, client secrets over REST.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, NoReturn

import msgspec

from routeraudio.emulators.kit.base import Admission, Refusal, Request, any_key_but_bad
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.hearing import Service
from routeraudio.emulators.openai.session import BROKEN_MESSAGE, Realtime, problem

SESSION_S: Final = 3600.0
"""A session's longest life (guide "Realtime conversations")."""

KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."
"""How browsers, which cannot set headers, send their key."""

_REFUSALS: Final = {
    400: ("invalid_request_error", None, "Bad request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "Payment required."),
    403: ("invalid_request_error", "unsupported_country_region_territory", "Access denied."),
    404: ("invalid_request_error", None, "Invalid URL (GET)."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    500: ("server_error", None, "The server had an error while processing your request."),
    502: ("server_error", None, "Bad gateway."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}
"""Type, code and message (guide "Error codes")."""


class OpenAI:
    """The vendor.

    Args:
        accepts: which keys are good.
        session_s: see `SESSION_S`; shorter for tests in real time.
    """

    name: Final = "openai"
    broken_message: Final = BROKEN_MESSAGE

    def __init__(
        self, *, accepts: Callable[[str], bool] = any_key_but_bad, session_s: float = SESSION_S
    ) -> None:
        self._accepts = accepts
        self._session_s = session_s

    def key(self, request: Request) -> str | None:
        """`Authorization: Bearer KEY`, or the subprotocol `openai-insecure-api-key.KEY`."""
        scheme, _, key = (request.header("authorization") or "").partition(" ")
        if scheme.lower() == "bearer":
            return key.strip()
        found = (name for name in request.subprotocols if name.startswith(KEY_SUBPROTOCOL))
        return next((name.removeprefix(KEY_SUBPROTOCOL) for name in found), None)

    def admit(self, request: Request) -> Admission | Refusal:
        """Everybody who asks for the right path is let in; bad keys and bad queries are told afterwards."""
        if request.path != "/v1/realtime":
            return self.refuse(request, 404)
        subprotocol = "realtime" if "realtime" in request.subprotocols else None
        return Admission(partial(self._converse, request), subprotocol=subprotocol)

    def refuse(self, request: Request, status: int) -> Refusal:
        """The service's usual words for a status."""
        kind, code, message = _REFUSALS[status]
        body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
        headers = (("content-type", "application/json"), ("x-request-id", request.id))
        return Refusal(status, msgspec.json.encode(body), headers)

    async def _converse(self, request: Request, call: Call) -> None:
        key = self.key(request)
        if key is None or not self._accepts(key):
            await _turn_away(call, "invalid_api_key", "Incorrect API key provided.", 3000)
        if request.header("openai-beta") is not None:
            await _turn_away(call, "beta_api_removed", "Remove the OpenAI-Beta header.", 4000)
        query = dict(request.params)
        if query.get("intent") != "transcription":
            await _turn_away(
                call,
                "invalid_request",
                "Passing a transcription session update event to a realtime session is not allowed.",
                4000,
            )
        if "model" in query:
            message = "You must not provide a model parameter for transcription sessions."
            await _turn_away(call, "invalid_model", message, 4000)
        await Realtime(call, session_s=self._session_s).run()


async def _turn_away(call: Call, code: str, message: str, close_code: int) -> NoReturn:
    await call.say({"type": "error", "event_id": "event_1", "error": problem(code, message)})
    await call.close(close_code, f"invalid_request_error.{code}")


serve: Final = Service(OpenAI)
"""Runs the emulator; see `Service`."""
