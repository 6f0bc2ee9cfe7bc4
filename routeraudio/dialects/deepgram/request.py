"""Deepgram's upgrade requests: path, query and the places of its keys."""

import re
from typing import Final

import msgspec

from routeraudio.dialects import credentials
from routeraudio.dialects.base import BadRequest, Request, StreamRequest
from routeraudio.dialects.choice import Choice, chosen, unknown_provider
from routeraudio.dialects.parameters import (
    LANGUAGE,
    MODEL,
    Given,
    boolean,
    integer,
    matching,
    number,
    one_of,
    query_pairs,
    sample_rate,
)
from routeraudio.model.audio import CHANNELS_MAX, AudioFormat, Encoding
from routeraudio.model.errors import invalid_parameter
from routeraudio.model.options import Options

PARAMETERS_MAX: Final = 256
"""Key terms are repeated, up to a hundred of them."""

ENDPOINTING_MS_MAX: Final = 10_000

ENDPOINTING_MS: Final = 10
"""The vendor's default."""

EOT_TIMEOUT_MS: Final = 5000
"""Flux's default: silence after which a turn is over in any case."""

_ENCODINGS: Final[dict[str, Encoding]] = {
    "linear16": "pcm_s16le",
    "mulaw": "pcm_mulaw",
    "ogg-opus": "ogg_opus",
}

_PATH: Final = re.compile(
    r"(?:/as/deepgram(?:/(?P<provider>[a-z]+)(?:/(?P<model>[^/]+))?)?)?/v(?P<version>[12])/listen"
)

_WITHOUT_EFFECT: Final = frozenset(
    {
        "keyterm",
        "keywords",
        "search",
        "replace",
        "numerals",
        "profanity_filter",
        "filler_words",
        "dictation",
        "measurements",
        "detect_entities",
        "tag",
        "extra",
        "version",
        "no_delay",
        "mip_opt_out",
        "diarize_model",
        "diarize_version",
        "eager_eot_threshold",
        "eot_threshold",
        "utterances",
        "paragraphs",
        "detect_language",
    }
)
"""Known, and no other provider has them. Many of them are repeated."""

_REFUSED: Final = {
    "redact": "nothing is taken out of the text here; leave it out",
    "callback": "transcripts are sent to this connection only; leave it out",
    "callback_method": "transcripts are sent to this connection only; leave it out",
}
"""What would be missed if it were left out silently."""


class More(msgspec.Struct, frozen=True, kw_only=True):
    """What no other protocol has."""

    is_flux: bool = False
    has_interim: bool = False
    has_vad_events: bool = False
    utterance_end_ms: int | None = None
    """Silence after which `UtteranceEnd` is told; None: never."""


def claims(request: Request) -> bool:
    """Whether a request is a Deepgram client's."""
    path = request.path
    if path == "/v1/listen":
        headers = request.headers
        is_shown = credentials.authorization(headers.get("authorization", "")) is not None
        is_shown = (
            is_shown or credentials.from_subprotocols(headers.get("sec-websocket-protocol", "")) is not None
        )
        return is_shown and not any(pair.startswith("provider=") for pair in request.query.split("&"))
    return path.endswith("/listen") and path.startswith("/as/deepgram/") and _PATH.fullmatch(path) is not None


def parse(request: Request) -> StreamRequest:
    """Read path, query and headers.

    Raises:
        BadRequest: with every parameter that is missing or wrong.
    """
    found = _PATH.fullmatch(request.path)
    assert found is not None, "the catalogue brings nothing else"
    is_flux = found["version"] == "2"
    pairs = query_pairs(request.query, PARAMETERS_MAX)
    asked = dict.fromkeys(name for name, _ in pairs)
    given = Given([pair for pair in pairs if pair[0] not in _WITHOUT_EFFECT and pair[0] != "language_hint"])
    faults = [invalid_parameter(name, f"{name}: {why}") for name, why in _REFUSED.items() if name in asked]
    for name in _REFUSED:
        given.take(name, str, default=None)
    faults += unknown_provider(found["provider"])
    choice = chosen(
        given.take("model", matching(MODEL, "a model name, PROVIDER or PROVIDER/MODEL"), default=None),
        Choice(found["provider"] or "", found["model"]),
    )
    more = More(
        is_flux=is_flux,
        has_interim=given.take("interim_results", boolean, default=False),
        has_vad_events=given.take("vad_events", boolean, default=False),
        utterance_end_ms=given.take("utterance_end_ms", _utterance_end_ms, default=None),
    )
    options = _options(given, choice, more, [text for name, text in pairs if name == "language_hint"])
    faults += given.faults
    if faults:
        raise BadRequest(faults)
    key, token, subprotocol = _credentials(request)
    return StreamRequest(
        options,
        key,
        token,
        given.unknown,
        more=more,
        has_own_model=choice.is_vendors,
        subprotocol=subprotocol,
        advice=tuple(f"{name}: has no effect" for name in asked if name in _WITHOUT_EFFECT),
    )


def _options(given: Given, choice: Choice, more: More, hints: list[str]) -> Options:
    encoding: Encoding = given.take("encoding", one_of(_ENCODINGS), required=True, default="pcm_s16le")
    audio = AudioFormat(encoding, 48_000)
    rate_hz = given.take("sample_rate", sample_rate, required=audio.is_raw, default=audio.sample_rate)
    # Both are taken also where only one counts: the other is wrong where it is wrong.
    endpointing_ms = given.take("endpointing", _endpointing_ms, default=ENDPOINTING_MS)
    turn_ms = given.take("eot_timeout_ms", number(500, 60_000), default=EOT_TIMEOUT_MS)
    language = given.take("language", matching(LANGUAGE, "a language code like en or pt-BR"), default=None)
    is_punctuated = given.take("punctuate", boolean, default=False)
    is_formatted = given.take("smart_format", boolean, default=False)
    return Options(
        provider=choice.provider,
        audio=AudioFormat(encoding, rate_hz, given.take("channels", number(1, CHANNELS_MAX), default=1)),
        model=choice.model,
        language=language or _hinted(hints),
        diarize=given.take("diarize", boolean, default=False),
        punctuate=more.is_flux or is_punctuated or is_formatted,
        partial_results=more.is_flux or more.has_vad_events or more.has_interim,
        endpointing_ms=min(turn_ms, ENDPOINTING_MS_MAX) if more.is_flux else endpointing_ms,
        multichannel=given.take("multichannel", boolean, default=False),
    )


def _hinted(hints: list[str]) -> str:
    """One hint is the language; several leave it to the provider."""
    wanted = dict.fromkeys(hints)
    if len(wanted) > 1:
        return "multi"
    return next((hint for hint in wanted if LANGUAGE.fullmatch(hint)), "en")


def _credentials(request: Request) -> tuple[str | None, str | None, str | None]:
    """Key, token, and the subprotocol to answer. A browser can send headers of its own only as subprotocols."""
    shown = credentials.authorization(request.headers.get("authorization", ""))
    if shown is not None:
        return *credentials.key_and_token(shown), None
    offered = credentials.from_subprotocols(request.headers.get("sec-websocket-protocol", ""))
    if offered is None:
        return None, None, None
    return *credentials.key_and_token(offered[1]), offered[0]


def _endpointing_ms(text: str) -> int:
    """milliseconds, true or false"""
    if text.lower() in ("true", "false"):
        return ENDPOINTING_MS if boolean(text) else ENDPOINTING_MS_MAX
    return min(integer(text), ENDPOINTING_MS_MAX)


def _utterance_end_ms(text: str) -> int:
    """1000 milliseconds or more"""
    value = integer(text)
    if value < 1000:
        raise ValueError
    return value
