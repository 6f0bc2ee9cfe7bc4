"""Speechmatics' realtime service: `/v2`.

Written from the AsyncAPI document 2.0.0 (2026-08), the SDK speechmatics-rt 1.2.1, docs.speechmatics.com (2026-08) and
the recorded session in the SDK's repository. Here is who gets in; what is said then is in `speechmatics_session`,
what `StartRecognition` may hold in `speechmatics_request`.

Keys: any but those that begin with `bad`; `fault-…` asks for a fault (see `faults`). Differences from the service:
nobody pays, `amr` is not decoded, there is one channel, translations and audio events are refused, and clients that
answer no ping are borne.
"""

from collections.abc import Callable
from typing import Final

from routeraudio.emulators.kit.base import Admission, Refusal, Request, any_key_but_bad
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.hearing import Service
from routeraudio.emulators.speechmatics.session import BROKEN_MESSAGE, Session, fail

QUOTA: Final = 1000
"""Sessions at the same time, as an enterprise may have agreed on; Free has 2, Pro 50."""

_REASONS: Final = {
    400: "Bad Request",
    401: "Unauthorized: the API key is not valid",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
"""The service does not document its bodies; these are a guess."""


class Speechmatics:
    """The vendor.

    Args:
        accepts: which keys are good.
        quota: see `QUOTA`.
    """

    name: Final = "speechmatics"
    broken_message: Final = BROKEN_MESSAGE

    def __init__(self, *, accepts: Callable[[str], bool] = any_key_but_bad, quota: int = QUOTA) -> None:
        self._accepts = accepts
        self._quota = quota
        self._active = 0

    def key(self, request: Request) -> str | None:
        """`Authorization: Bearer KEY`, or a temporary key as the parameter `jwt`."""
        scheme, _, key = (request.header("authorization") or "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else dict(request.params).get("jwt")

    def admit(self, request: Request) -> Admission | Refusal:
        """Path, then key. Unknown parameters are ignored (`sm-app`, `sm-sdk`)."""
        place = request.path.rstrip("/").split("/")
        if (
            place[:2] != ["", "v2"] or len(place) > 3 or place[2:] == ["agent"]
        ):  # `/v2/en` is the legacy client's
            return self.refuse(request, 404)
        key = self.key(request)
        if key is not None and self._accepts(key):
            return Admission(self._converse)
        if request.header("authorization") is None and key is not None:
            return Admission(_not_authorised)  # a guess: browsers could not tell a 401 from anything else
        return self.refuse(request, 401)

    def refuse(self, request: Request, status: int) -> Refusal:  # noqa: ARG002 — it says the same to all
        """Plain words for a status."""
        return Refusal(status, _REASONS[status].encode(), (("content-type", "text/plain"),))

    async def _converse(self, call: Call) -> None:
        self._active += 1
        try:
            if self._active > self._quota:
                await fail(call, "quota_exceeded", "Concurrent Quota Exceeded")
            await Session(call, usage=self._active, quota=self._quota).run()
        finally:
            self._active -= 1


async def _not_authorised(call: Call) -> None:
    await fail(call, "not_authorised", "Not Authorised")


serve: Final = Service(Speechmatics)
"""Runs the emulator; see `Service`."""
