"""Vachana's speech recognition, `/stt/v3/stream`.

Written from the SDK `gnani-vachana` 0.8.2 and docs.gnani.ai (2026). Utterances are cut by the recogniser's own voice
activity detection; each is told by `processing` and `transcript`. The service never ends a connection of its own
accord, and knows no message but audio: what is open when the client leaves is lost, as with the service.

Keys: any but those that begin with `bad`; `fault-…` asks for a fault (see `faults`). As there is no end of stream,
`endless` withholds what would be said at one: every `processing` comes, no `transcript`. A script's `finalize` and
`finish` have no moment here.

Guesses: all statuses and close codes, that wrong values of headers are refused before the upgrade, that a frame of
another size and a text message are errors that end the connection. A short frame is let pass where the vendor's
LiveKit plugin sends one: alone, before a pause or at the end.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import msgspec

from routeraudio.emulators.kit.base import Admission, Heard, Refusal, Request, any_key_but_bad
from routeraudio.emulators.kit.call import Call
from routeraudio.emulators.kit.hearing import Service
from routeraudio.emulators.kit.intake import Intake, open_intake
from routeraudio.emulators.kit.sound import RawFormat

PATH: Final = "/stt/v3/stream"

FRAME_SAMPLES: Final = 512
FRAME_BYTES: Final = FRAME_SAMPLES * 2

ENDPOINTING_MS: Final = 500
"""Silence that closes an utterance; the service's own is not public."""

POLICY: Final = 1008

LANGUAGES: Final = frozenset(
    f"{language}-in" for language in ("bn", "en", "gu", "hi", "kn", "ml", "mr", "pa", "ta", "te")
)
"""In lower case."""

SAMPLE_RATES: Final = frozenset({"8000", "16000", "44100", "48000"})

BROKEN_MESSAGE: Final = '{"type":"transcript","text":42,"audio_duration_ms":"long","segment_id":[]}'

_REFUSALS: Final = {
    400: ("BAD_REQUEST", "Bad request"),
    401: ("UNAUTHORIZED", "Invalid API key"),
    402: ("PAYMENT_REQUIRED", "Insufficient credits"),
    403: ("FORBIDDEN", "Access denied"),
    404: ("NOT_FOUND", "Not found"),
    429: ("RATE_LIMITED", "Rate limit exceeded"),
    500: ("INTERNAL_SERVER_ERROR", "Internal server error"),
    502: ("BAD_GATEWAY", "Bad gateway"),
    503: ("SERVICE_UNAVAILABLE", "Service unavailable"),
}

Json = dict[str, Any]


class Vachana:
    """The vendor.

    Args:
        accepts: which keys are good.
    """

    name: Final = "vachana"
    broken_message: Final = BROKEN_MESSAGE

    def __init__(self, *, accepts: Callable[[str], bool] = any_key_but_bad) -> None:
        self._accepts = accepts

    def key(self, request: Request) -> str | None:
        """The header `x-api-key-id`."""
        return request.header("x-api-key-id")

    def admit(self, request: Request) -> Admission | Refusal:
        """Path, then key, then the other headers."""
        if request.path != PATH:
            return self.refuse(request, 404)
        key = self.key(request)
        if key is None or not self._accepts(key):
            return self.refuse(request, 401)
        problem = _problem(request)
        if problem is not None:
            return _refusal(400, "BAD_REQUEST", problem)
        return Admission(lambda call: Recognition(call).run())

    def refuse(self, request: Request, status: int) -> Refusal:  # noqa: ARG002 — its words name no request
        """The service's usual words for a status."""
        return _refusal(status, *_REFUSALS[status])


class Recognition:
    """One conversation."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._sample_rate = int(call.request.header("x-sample-rate") or 16000)
        self._segments = 0
        self._is_short = False
        """Whether the last frame was short."""
        self._intake: Intake

    async def run(self) -> NoReturn:
        """Talk until the client leaves."""
        await self._say({"type": "connected", "message": "STT service ready", **self._configuration()})
        async with open_intake(
            self._call,
            RawFormat(encoding="s16le", sample_rate=self._sample_rate),
            endpointing_ms=ENDPOINTING_MS,
            partials=False,
            tell=self._tell,
            say=self._call.say,
            broken_message=BROKEN_MESSAGE,
        ) as self._intake:
            while True:
                await self._take(await self._call.receive())
        raise AssertionError("a conversation ends with its client")

    def _configuration(self) -> Json:
        return {
            "request_id": self._call.request.header("x-api-request-id") or self._call.request.id,
            "config": {"sample_rate": self._sample_rate, "chunk_size": FRAME_SAMPLES},
        }

    async def _take(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._fail("only binary audio frames are accepted")
        is_short = len(message) < FRAME_BYTES
        if not message or len(message) % 2 or len(message) > FRAME_BYTES or (is_short and self._is_short):
            await self._fail(f"audio frames must be {FRAME_BYTES} bytes, got {len(message)}")
        self._is_short = is_short
        await self._intake.audio(message)

    async def _tell(self, channel: int, heard: Heard) -> None:
        del channel  # there is one
        if not heard.words or heard.kind == "partial":
            return
        await self._say({"type": "processing"})
        if self._call.faults.endless:
            return
        index, self._segments = self._segments, self._segments + 1
        await self._say(
            {
                "type": "transcript",
                "text": heard.text,
                "audio_duration_ms": heard.end_ms - heard.start_ms,
                "segment_id": f"{self._call.request.id}-{index}",
                "segment_index": str(index),
                "latency": max(self._intake.clock_ms - heard.end_ms, 0),
            }
        )

    async def _fail(self, message: str) -> NoReturn:
        await self._say({"type": "error", "message": message})
        await self._call.close(POLICY, message)

    async def _say(self, message: Json) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        await self._call.say({**message, "timestamp": now})


def _problem(request: Request) -> str | None:
    """What is wrong with the headers. Each but the key has a default, also `lang_code`, called required."""
    if (request.header("lang_code") or "en-IN").lower() not in LANGUAGES:
        return "Unsupported language code"
    if (request.header("x-sample-rate") or "16000") not in SAMPLE_RATES:
        return "Unsupported sample rate"
    if (request.header("x-format") or "verbatim") not in ("verbatim", "transcribe"):
        return "Unsupported format"
    if (request.header("itn_native_numerals") or "false").lower() not in ("true", "false"):
        return "itn_native_numerals must be true or false"
    return None


def _refusal(status: int, code: str, message: str) -> Refusal:
    body = {"detail": {"error_code": code, "message": message, "status_code": status}}
    return Refusal(status, msgspec.json.encode(body), (("content-type", "application/json"),))


serve: Final = Service(Vachana)
"""Runs the emulator; see `Service`."""
