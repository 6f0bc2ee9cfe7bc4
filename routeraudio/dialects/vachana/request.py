"""What a client of `/stt/v3/stream` may ask for: headers, or query parameters of the same names for browsers.

Headers win. `lang_code` and `itn_native_numerals` carry underscores, which nginx drops from headers unless told
otherwise (`underscores_in_headers on`): the query is the way around that, too.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from routeraudio.dialects.base import BadRequest, Request, StreamRequest
from routeraudio.dialects.credentials import key_and_token
from routeraudio.dialects.parameters import Given, boolean, choice, integer, matching, number, query_pairs
from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.models import Model, is_detection, load, speaks, speaks_as

LANGUAGES: Final = tuple(
    f"{language}-IN" for language in ("bn", "en", "gu", "hi", "kn", "ml", "mr", "pa", "ta", "te")
)
"""Alone, or two and more with commas between them: detection among them."""

HINGLISH: Final = {"en-hi-in-latn": "en-hi-IN-latn", "en-hi-in-cm": "en-hi-in-cm"}
"""Hindi and English mixed, in Latin script or in both. Alone only."""

SAMPLE_RATES: Final = (8000, 16_000, 44_100, 48_000)

FORMATS: Final = ("verbatim", "transcribe")

SILENCE_MS: Final = 500
"""That ends a segment, unless the client says otherwise."""

THRESHOLD: Final = 0.5

_SILENCE_MS_MAX: Final = 10_000

_PROVIDERS_OWN_SILENCE_MS: Final = 10_000
"""Asked of providers that have a message for "finals now": our detector decides, and theirs should not cut before."""

NAMES: Final = (
    "x-api-key-id",
    "lang_code",
    "x-sample-rate",
    "x-format",
    "itn_native_numerals",
    "x-api-request-id",
    "preferred_language",
    "x-provider",
    "x-endpointing-ms",
    "x-vad-threshold",
    "x-vad-events",
    "x-partial-results",
    "strict_frames",
)
"""Of headers and query parameters."""

_CODES: Final = {code.lower(): code for code in LANGUAGES}
_FRACTION: Final = re.compile(r"[01](\.[0-9]{1,6})?")
_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")


class More(msgspec.Struct, frozen=True, kw_only=True):
    """What no other protocol has."""

    lang_code: str
    """One code or several."""
    request_id: str | None = None
    """The client's own."""
    is_transcribe: bool = False
    native_numerals: bool = False
    silence_ms: int = SILENCE_MS
    threshold: float = THRESHOLD
    has_vad_events: bool = False
    is_strict: bool = False
    """Frames of another size than the vendor's are refused."""


def parse(request: Request) -> StreamRequest:
    """Read headers and query.

    Raises:
        BadRequest: with every value that is wrong. Nothing is required but the key, which is not looked at here.
    """
    given = Given(list(_pairs(request)))
    lang_code = given.take("lang_code", _languages, default="en-IN")
    silence_ms = given.take("x-endpointing-ms", number(0, _SILENCE_MS_MAX), default=SILENCE_MS)
    more = More(
        lang_code=lang_code,
        request_id=given.take(
            "x-api-request-id", matching(_REQUEST_ID, "up to 128 characters"), default=None
        ),
        is_transcribe=given.take("x-format", choice(FORMATS), default="verbatim") == "transcribe",
        native_numerals=given.take("itn_native_numerals", boolean, default=False),
        silence_ms=silence_ms,
        threshold=given.take("x-vad-threshold", _fraction, default=THRESHOLD),
        has_vad_events=given.take("x-vad-events", boolean, default=False),
        is_strict=given.take("strict_frames", boolean, default=False),
    )
    options = Options(
        provider=given.take("x-provider", choice(tuple(PROVIDERS)), default=""),
        audio=AudioFormat("pcm_s16le", given.take("x-sample-rate", _sample_rate, default=16_000)),
        language=lang_code,
        partial_results=given.take("x-partial-results", boolean, default=False),
        endpointing_ms=silence_ms,
    )
    # Withdrawn by the vendor; older clients still send it.
    given.take("preferred_language", str, default=None)
    shown = given.take("x-api-key-id", str, default=None) or None
    if given.faults:
        raise BadRequest(given.faults)
    return StreamRequest(options, *key_and_token(shown), unknown=given.unknown, more=more)


def fit(options: Options) -> Options:
    """The wish in words the provider knows: its nearest mode for the language, and who decides where speech ends.

    What no mode is near to stays as it is, for the provider's own check to refuse.
    """
    known = load(options.provider)
    for code in _candidates(options.language):
        row = known.find(known.chosen(options.model, code, has_partials=options.partial_results))
        if row is None:
            break  # the operator's own model: it knows better than we do
        if _hears(row, code):
            return msgspec.structs.replace(
                options,
                language=code if is_detection(code) else speaks_as(row, code),
                endpointing_ms=_silence_ms(row, options.endpointing_ms),
            )
    asked = next(code for code in _candidates(options.language) if not is_detection(code))
    return msgspec.structs.replace(options, language=asked)


def _hears(model: Model, code: str) -> bool:
    """Detection counts only where it happens: a model of one language would turn another into nonsense."""
    if is_detection(code):
        return model.support.language_auto in ("native", "emulated")
    return speaks(model, code)


def _silence_ms(model: Model, silence_ms: int) -> int:
    """Asked of the provider: as much as our detector waits for where its own is what makes finals, too."""
    return _PROVIDERS_OWN_SILENCE_MS if model.support.finalize == "native" else silence_ms


def _pairs(request: Request) -> Iterator[tuple[str, str]]:
    for name, value in query_pairs(request.query):
        if name.lower() not in request.headers or name.lower() not in NAMES:
            yield name.lower() if name.lower() in NAMES else name, value
    for name in NAMES:
        if name in request.headers:
            yield name, request.headers[name]


def _candidates(lang_code: str) -> tuple[str, ...]:
    """Codes to try with a provider, the closest first."""
    if lang_code in HINGLISH.values():
        return ("auto", "hi-IN", "en-IN")
    codes = tuple(lang_code.split(","))
    return codes if len(codes) == 1 else ("auto", *codes)


def _languages(text: str) -> str:
    wanted = text.lower().replace(" ", "")
    if wanted in HINGLISH:
        return HINGLISH[wanted]
    # Twice the same is one; the order is the client's.
    return ",".join(dict.fromkeys(_CODES[code] for code in wanted.split(",")))


_languages.__doc__ = "one of " + ", ".join((*LANGUAGES, *HINGLISH.values())) + ", or several of the first ten"


def _sample_rate(text: str) -> int:
    rate = integer(text)
    if rate not in SAMPLE_RATES:
        raise ValueError
    return rate


_sample_rate.__doc__ = "one of " + ", ".join(map(str, SAMPLE_RATES)) + " (Hz)"


def _fraction(text: str) -> float:
    """a number from 0 to 1"""
    if _FRACTION.fullmatch(text) is None or float(text) > 1:
        raise ValueError
    return float(text)
