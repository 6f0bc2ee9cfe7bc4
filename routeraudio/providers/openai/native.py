"""OpenAI as its own clients see it: base64 in text; PCM at 24 kHz unless a session message says something else."""

import re
from typing import Final

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


class _Text(msgspec.Struct):
    type: msgspec.Raw = NO_VALUE
    audio: msgspec.Raw = NO_VALUE
    session: msgspec.Raw = NO_VALUE


def _read(text: _Text) -> Heard:
    # The second is the name that the beta had, with the format beside other members.
    if bytes(text.type) in (b'"session.update"', b'"transcription_session.update"'):
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
    if handshake.parameter("intent") != "transcription":
        return "only transcription is served here: connect with intent=transcription"
    return None


def _meter(_handshake: Handshake) -> AudioCounter:
    return AudioCounter(pcm_rate(24_000), text_reader(_Text, _read), has_binary_audio=False)


NATIVE: Final = NativeProtocol(
    default_path="/v1/realtime",
    paths=re.compile(r"/v1/realtime"),
    key_header="authorization",
    key_scheme="Bearer ",
    headers=USER_AGENT | {"openai-beta", "openai-safety-identifier"},
    own_headers=frozenset({"openai-organization", "openai-project"}),
    subprotocols=("realtime",),
    # A conversation answers in speech, at many times the price that a stream is charged.
    check=_check,
    parameters=frozenset(("intent",)),
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
