"""AssemblyAI's live service: `/v3/ws`.

Written from the SDK 1.8.2, the AsyncAPI files of 2026-03 and what others recorded in September 2026. Here is who gets
in; what is said then is in `assemblyai_session`, what a query may hold in `assemblyai_query`.

Keys: any but those that begin with `bad`; `fault-…` asks for a fault (see `faults`). As at the service, a bad key and a
bad query are answered *behind* the 101, with an `Error` and a close. Differences: nobody pays, nothing is private,
tokens are not made here, and HTTP refusals (the fault `refuse`) are a load balancer's, whose words are a guess.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec

from routeraudio.emulators.assemblyai.query import BadQuery, read
from routeraudio.emulators.assemblyai.session import BROKEN_MESSAGE, Limits, Session, fail
from routeraudio.emulators.kit.base import Admission, Refusal, Request
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.hearing import Service

BAD_KEY: Final = "Unauthorized Connection: Invalid API key"
NO_KEY: Final = "Unauthorized Connection: Missing Authorization header"


def any_key_but_bad(key: str) -> bool:
    """The keys accepted by default. No key holds a blank, so none with a scheme before it does."""
    return bool(key) and not key.startswith("bad") and " " not in key


class AssemblyAI:
    """The vendor.

    Args:
        accepts: which keys and tokens are good.
        limits: what a session may not exceed.
    """

    name: Final = "assemblyai"
    broken_message: Final = BROKEN_MESSAGE

    def __init__(
        self, *, accepts: Callable[[str], bool] = any_key_but_bad, limits: Limits | None = None
    ) -> None:
        self._accepts = accepts
        self._limits = limits or Limits()

    def key(self, request: Request) -> str | None:
        """`Authorization: KEY` without a scheme, or a temporary token there or in the query."""
        token = next((value for name, value in request.params if name == "token"), None)
        return request.header("authorization") or token

    def admit(self, request: Request) -> Admission | Refusal:
        """Only the path decides; the rest is told on the open connection."""
        if request.path != "/v3/ws":
            return self.refuse(request, 404)
        return Admission(self._converse)

    def refuse(self, request: Request, status: int) -> Refusal:
        """What stands before the service."""
        del request
        body = msgspec.json.encode({"error": HTTPStatus(status).phrase})
        return Refusal(status, body, (("content-type", "application/json"),))

    async def _converse(self, call: Call) -> None:
        key = self.key(call.request)
        if key is None or not self._accepts(key):
            await fail(call, 1008, NO_KEY if key is None else BAD_KEY)
        try:
            query = read(call.request.params)
        except BadQuery as bad:
            await fail(call, 3006, str(bad))
        await Session(call, query, self._limits).run()


serve: Final = Service(AssemblyAI)
"""Runs the emulator; see `Service`."""
