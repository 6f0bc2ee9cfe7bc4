"""OpenAI as its own clients see it: base64 in text; PCM at 24 kHz unless a session message says something else."""

import re
from typing import Final
from urllib.parse import unquote_plus

import msgspec

from routeraudio.providers.native import (
    BY_THE_CLOCK,
    NO_VALUE,
    USER_AGENT,
    AudioCounter,
    Handshake,
    Heard,
    NativeProtocol,
    as_json,
    base64_bytes,
    member,
    pcm_rate,
    snake_case,
    text_reader,
    value,
)

_INTENT: Final = "transcription"

_TRANSCRIPTION: Final = re.compile(r"[a-z0-9.-]*(?:transcribe|whisper)[a-z0-9.-]*")
"""Names of the vendor's models that transcribe and do nothing else, dated ones and those to come."""


class _Text(msgspec.Struct):
    type: msgspec.Raw = NO_VALUE
    audio: msgspec.Raw = NO_VALUE
    session: msgspec.Raw = NO_VALUE


def _read(text: _Text) -> Heard:
    # The second is the name that the beta had, with the format beside other members. Decoded: a name may be escaped.
    if value(text.type) in ("session.update", "transcription_session.update"):
        return Heard(rate=_rate(value(text.session)))
    return Heard(base64_bytes(text.audio))


def _rate(session: object) -> int | None:
    """What `session.update` makes of the format; None: it leaves it as it is."""
    name = member(session, "audio", "input", "format", "type") or member(session, "input_audio_format")
    if name is None:
        return None
    if name in ("audio/pcm", "pcm16"):
        return pcm_rate(24_000)  # the only one there is
    is_g711 = name in ("audio/pcmu", "audio/pcma", "g711_ulaw", "g711_alaw")
    return 8000 if is_g711 else BY_THE_CLOCK


def _check(handshake: Handshake) -> str | None:
    """A conversation answers in speech, at many times the price that a stream is charged."""
    models = [text for name, text in handshake.query if name.lower() == "model"]
    intents = [text for name, text in handshake.query if name.lower() == "intent"]
    is_transcription = all(_TRANSCRIPTION.fullmatch(model) for model in models)
    has_intent = all(intent == _INTENT for intent in intents) and bool(intents or models)
    if is_transcription and has_intent and all(name.lower() != "call_id" for name, _ in handshake.query):
        return None
    return "only transcription is served here: connect with intent=transcription or a transcribing model, no call_id"


def _query(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """A transcription model in the query says the intent. The vendor refuses one there: the session's first message
    names it again, and a connection with this intent does nothing but transcribe, whatever messages say.
    """
    named = [(unquote_plus(name), unquote_plus(text)) for name, _, text in (p.partition("=") for p in pieces)]
    if not any(name == "model" and _TRANSCRIPTION.fullmatch(text) for name, text in named):
        return pieces
    kept = tuple(piece for piece, (name, _) in zip(pieces, named, strict=True) if name != "model")
    return kept if any(name == "intent" for name, _ in named) else (*kept, f"intent={_INTENT}")


def _meter(_handshake: Handshake) -> AudioCounter:
    slowest = pcm_rate(24_000)

    def read(text: _Text) -> Heard:
        """The vendor may refuse a change of the format, which is not seen here: the rate never rises again."""
        nonlocal slowest
        heard = _read(text)
        if not heard.rate:
            return heard
        slowest = min(slowest, heard.rate)
        return Heard(rate=slowest)

    return AudioCounter(slowest, text_reader(_Text, read), has_binary_audio=False)


NATIVE: Final = NativeProtocol(
    default_path="/v1/realtime",
    paths=re.compile(r"/v1/realtime"),
    key_header="authorization",
    key_scheme="Bearer ",
    headers=USER_AGENT | {"openai-beta", "openai-safety-identifier"},
    own_headers=frozenset({"openai-organization", "openai-project"}),
    subprotocols=("realtime",),
    query=_query,
    check=_check,
    parameters=frozenset(("intent", "model")),
    meter=_meter,
    refusal=lambda status, message: as_json(
        {
            "error": {
                "message": message,
                "type": "server_error" if status >= 500 else "invalid_request_error",
                "param": None,
                "code": "invalid_api_key" if status == 401 else snake_case(status),
            }
        }
    ),
)
