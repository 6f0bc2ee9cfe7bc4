"""AssemblyAI's upgrade requests: path, query and the places of its keys."""

import re
from typing import Final

from routeraudio.dialects import credentials
from routeraudio.dialects.base import BadRequest, Request, StreamRequest
from routeraudio.dialects.choice import DETECTION, Choice, chosen, unknown_provider
from routeraudio.dialects.parameters import (
    LANGUAGE,
    MODEL,
    Given,
    boolean,
    matching,
    number,
    one_of,
    query_pairs,
    sample_rate,
)
from routeraudio.model.audio import AudioFormat, Encoding
from routeraudio.model.errors import invalid_parameter
from routeraudio.model.options import Options

PARAMETERS_MAX: Final = 256
SILENCE_MS_MAX: Final = 10_000
SILENCE_MS: Final = 400
"""The vendor's default of `min_turn_silence`."""

_ENCODINGS: Final[dict[str, Encoding]] = {
    "pcm_s16le": "pcm_s16le",
    "pcm_mulaw": "pcm_mulaw",
    "ogg_opus": "ogg_opus",
}

_PATH: Final = re.compile(r"/as/assemblyai(?:/(?P<provider>[a-z]+)(?:/(?P<model>[^/]+))?)?/v3/ws")

_SILENCES: Final = ("min_turn_silence", "min_end_of_turn_silence_when_confident", "max_turn_silence")
"""The first that is given counts; the second is the first's old name."""

_WITHOUT_EFFECT: Final = frozenset(
    {
        "end_of_turn_confidence_threshold",
        "keyterms_prompt",
        "prompt",
        "agent_context",
        "mode",
        "vad_threshold",
        "interruption_delay",
        "turn_left_pad_ms",
        "inactivity_timeout",
        "filter_profanity",
        "max_speakers",
        "redact_pii_policies",
        "redact_pii_sub",
        "webhook_auth_header_name",
        "webhook_auth_header_value",
        "formatted_finals",
        "continuous_partials",
        "session_heartbeat",
        "acknowledge_silence",
        "domain",
    }
)
"""Known, and no other provider has them."""

_REFUSED: Final = {
    "redact_pii": "nothing is taken out of the text here; leave it out",
    "webhook_url": "transcripts are sent to this connection only; leave it out",
}
"""What would be missed if it were left out silently."""


def claims(request: Request) -> bool:
    """Whether a request names a provider in an AssemblyAI client's path."""
    path = request.path
    return (
        path.endswith("/v3/ws") and path.startswith("/as/assemblyai/") and _PATH.fullmatch(path) is not None
    )


def parse(request: Request) -> StreamRequest:
    """Read path, query and headers.

    Raises:
        BadRequest: with every parameter that is missing or wrong.
    """
    found = _PATH.fullmatch(request.path)
    assert found is not None, "the catalogue brings nothing else"
    pairs = query_pairs(request.query, PARAMETERS_MAX)
    asked = dict.fromkeys(name for name, _ in pairs)
    given = Given([pair for pair in pairs if pair[0] not in _WITHOUT_EFFECT])
    faults = [invalid_parameter(name, f"{name}: {why}") for name, why in _REFUSED.items() if name in asked]
    for name in _REFUSED:
        given.take(name, str, default=None)
    faults += unknown_provider(found["provider"])
    place = Choice(found["provider"] or "", found["model"])
    model = given.take(
        "speech_model", matching(MODEL, "a model name, PROVIDER or PROVIDER/MODEL"), default=None
    )
    choice = chosen(model, place)
    options = _options(given, choice)
    key, token = _credentials(request, given)
    faults += given.faults
    if faults:
        raise BadRequest(faults)
    return StreamRequest(
        options,
        key,
        token,
        given.unknown,
        has_own_model=choice.is_vendors,
        advice=tuple(f"{name}: has no effect" for name in asked if name in _WITHOUT_EFFECT),
    )


def _options(given: Given, choice: Choice) -> Options:
    encoding: Encoding = given.take("encoding", one_of(_ENCODINGS), default="pcm_s16le")
    rate_hz = given.take("sample_rate", sample_rate, default=16_000)
    silences: list[int | None] = [given.take(name, number(0, 60_000), default=None) for name in _SILENCES]
    silence_ms = next((silence for silence in silences if silence is not None), SILENCE_MS)
    language = given.take("language", matching(LANGUAGE, "a language code like en or pt-BR"), default=None)
    is_detected = given.take("language_detection", boolean, default=False)
    return Options(
        provider=choice.provider,
        audio=AudioFormat(encoding, rate_hz),
        model=choice.model,
        language=language or (DETECTION if is_detected else "en"),
        diarize=given.take("speaker_labels", boolean, default=False),
        punctuate=given.take("format_turns", boolean, default=False),
        partial_results=True,
        endpointing_ms=min(silence_ms, SILENCE_MS_MAX),
    )


def _credentials(request: Request, given: Given) -> tuple[str | None, str | None]:
    """Key and token: the whole header, as the vendor's clients send it, or behind a scheme; else the query's."""
    header = request.headers.get("authorization", "").strip()
    shown = credentials.authorization(header) or header
    asked: str | None = given.take("token", str, default=None)
    return credentials.key_and_token(shown or asked)
