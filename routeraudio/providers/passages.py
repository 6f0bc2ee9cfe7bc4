"""Every vendor as its own clients see it: where they connect, where keys go, what their audio looks like.

From the vendors' SDKs and documentation, as told in the adapters. What none of them shows is marked as a guess.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec

from routeraudio.providers.native import (
    BY_THE_CLOCK,
    NOTHING,
    UNREADABLE,
    AudioCounter,
    Handshake,
    Heard,
    NativeProtocol,
    base64_bytes,
    pcm_rate,
)

T = TypeVar("T")

USER_AGENT: Final = frozenset({"user-agent"})
"""For every vendor: support asks which version of the SDK spoke, and one filters clients by it."""

NO_VALUE: Final = msgspec.Raw()


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _reader(kind: type[T], read: Callable[[T], Heard]) -> Callable[[str], Heard]:
    """Reads a text message through a struct of which every field may be missing."""
    decode = msgspec.json.Decoder(kind).decode

    def texts(message: str) -> Heard:
        try:
            return read(decode(message))
        except UNREADABLE:
            return NOTHING

    return texts


def _value(raw: msgspec.Raw) -> Any:
    """A member's value; None: it was not there."""
    return msgspec.json.decode(raw) if bytes(raw) else None


def _member(holder: object, *names: str) -> Any:
    """`holder[a][b]…`; None where something on the way is missing or no object."""
    for name in names:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return holder


# AssemblyAI: binary audio, described by the query. `token` and `Authorization` without a scheme.


def _assemblyai_meter(handshake: Handshake) -> AudioCounter:
    bytes_per_sample = {"pcm_s16le": 2, "pcm_mulaw": 1}.get(handshake.parameter("encoding", "pcm_s16le"))
    if bytes_per_sample is None:
        return AudioCounter(BY_THE_CLOCK)
    return AudioCounter(
        pcm_rate(handshake.parameter("sample_rate", "16000"), bytes_per_sample=bytes_per_sample)
    )


ASSEMBLYAI: Final = NativeProtocol(
    default_path="/v3/ws",
    paths=re.compile(r"/v3/ws"),
    key_header="authorization",
    headers=USER_AGENT | {"assemblyai-version"},
    model_parameter="speech_model",
    meter=_assemblyai_meter,
    end_of_audio=lambda _: '{"type":"Terminate"}',
    refusal=lambda _, message: _json({"error": message}),
)


# Deepgram: binary audio, described by the query; without `encoding` a container, which is recognised from its bytes.

_DEEPGRAM_SAMPLES: Final = {"linear16": 2, "linear32": 4, "mulaw": 1, "alaw": 1}


def _deepgram_meter(handshake: Handshake) -> AudioCounter:
    bytes_per_sample = _DEEPGRAM_SAMPLES.get(handshake.parameter("encoding"))
    if bytes_per_sample is None:
        return AudioCounter(BY_THE_CLOCK)
    rate = pcm_rate(
        handshake.parameter("sample_rate"),
        bytes_per_sample=bytes_per_sample,
        channels=handshake.parameter("channels", "1"),
    )
    return AudioCounter(rate)


_DEEPGRAM_CODES: Final = {
    401: "INVALID_AUTH",
    402: "ASR_PAYMENT_REQUIRED",
    403: "INSUFFICIENT_PERMISSIONS",
    429: "TOO_MANY_REQUESTS",
}


DEEPGRAM: Final = NativeProtocol(
    default_path="/v1/listen",
    paths=re.compile(r"/v[12]/listen"),
    key_header="authorization",
    key_scheme="Token ",
    headers=USER_AGENT | {"x-deepgram-session-id"},
    model_parameter="model",
    meter=_deepgram_meter,
    end_of_audio=lambda _: '{"type":"CloseStream"}',
    refusal=lambda status, message: _json(
        {"err_code": _DEEPGRAM_CODES.get(status, HTTPStatus(status).phrase), "err_msg": message}
    ),
)


# ElevenLabs: base64 in text. The rate stands in every message, else in `audio_format`.


class _ElevenLabsText(msgspec.Struct):
    audio_base_64: msgspec.Raw = NO_VALUE
    sample_rate: msgspec.Raw = NO_VALUE


_ELEVENLABS_HZ: Final = {str(hz).encode(): hz for hz in (8000, 16000, 22050, 24000, 44100, 48000)}
"""As they stand in messages. Another one is not believed."""


def _elevenlabs_meter(handshake: Handshake) -> AudioCounter:
    encoding, _, hz = handshake.parameter("audio_format", "pcm_16000").partition("_")
    bytes_per_sample = {"pcm": 2, "ulaw": 1}.get(encoding, 0)
    usual = pcm_rate(hz, bytes_per_sample=bytes_per_sample)

    def read(text: _ElevenLabsText) -> Heard:
        said = _ELEVENLABS_HZ.get(bytes(text.sample_rate), 0) * bytes_per_sample
        return Heard(base64_bytes(text.audio_base_64), said or usual)

    return AudioCounter(usual, _reader(_ElevenLabsText, read), has_binary_audio=False)


ELEVENLABS: Final = NativeProtocol(
    default_path="/v1/speech-to-text/realtime",
    paths=re.compile(r"/v1/speech-to-text/realtime"),
    key_header="xi-api-key",
    headers=USER_AGENT,
    model_parameter="model_id",
    meter=_elevenlabs_meter,
    refusal=lambda status, message: _json({"detail": {"status": _snake(status), "message": message}}),
)


def _snake(status: int) -> str:
    return HTTPStatus(status).phrase.lower().replace(" ", "_")


# Gradium: base64 in text, described by the first message.


class _GradiumText(msgspec.Struct):
    type: msgspec.Raw = NO_VALUE
    audio: msgspec.Raw = NO_VALUE
    input_format: msgspec.Raw = NO_VALUE


def _read_gradium(text: _GradiumText) -> Heard:
    if bytes(text.type) == b'"setup"':
        return Heard(rate=_gradium_rate(_value(text.input_format)))
    return Heard(base64_bytes(text.audio))


def _gradium_rate(name: object) -> int:
    encoding, _, hz = name.partition("_") if isinstance(name, str) else ("", "", "")
    if encoding == "pcm":
        return pcm_rate(hz or 24_000)
    return pcm_rate(hz, bytes_per_sample=1) if encoding in ("ulaw", "mulaw", "alaw") else BY_THE_CLOCK


def _gradium_meter(_handshake: Handshake) -> AudioCounter:
    is_set_up = False

    def read(text: _GradiumText) -> Heard:
        nonlocal is_set_up
        heard = _read_gradium(text)
        if heard.rate is not None:
            heard = NOTHING if is_set_up else heard
            is_set_up = True
        return heard

    return AudioCounter(BY_THE_CLOCK, _reader(_GradiumText, read), has_binary_audio=False)


GRADIUM: Final = NativeProtocol(
    default_path="/api/speech/asr",
    paths=re.compile(r"/api/speech/asr"),
    key_header="x-api-key",
    headers=USER_AGENT | {"x-api-source"},
    meter=_gradium_meter,
    end_of_audio=lambda _: '{"type":"end_of_stream"}',
    # As the vendor's REST side answers.
    refusal=lambda status, message: f"error from server {1008 if status < 500 else 1011}: {message}".encode(),
    refusal_type="text/plain",
)


# The local engine: our own.

LOCAL: Final = NativeProtocol(
    default_path="/v1/recognise",
    paths=re.compile(r"/v1/recognise"),
    key_header="authorization",
    meter=lambda handshake: AudioCounter(pcm_rate(handshake.parameter("sample_rate", "16000"))),
    end_of_audio=lambda _: '{"type":"finish"}',
    refusal=lambda _, message: _json({"error": message}),
)


# OpenAI: base64 in text; PCM at 24 kHz unless a session message says something else.


class _OpenAIText(msgspec.Struct):
    type: msgspec.Raw = NO_VALUE
    audio: msgspec.Raw = NO_VALUE
    session: msgspec.Raw = NO_VALUE


def _read_openai(text: _OpenAIText) -> Heard:
    # The second is the name that the beta had, with the format beside other members.
    if bytes(text.type) in (b'"session.update"', b'"transcription_session.update"'):
        return Heard(rate=_openai_rate(_value(text.session)))
    return Heard(base64_bytes(text.audio))


def _openai_rate(session: object) -> int | None:
    """What `session.update` makes of the format; None: it leaves it as it is."""
    name = _member(session, "audio", "input", "format", "type") or _member(session, "input_audio_format")
    if name is None:
        return None
    if name in ("audio/pcm", "pcm16"):
        return pcm_rate(24_000)  # the only one there is
    is_g711 = name in ("audio/pcmu", "audio/pcma", "g711_ulaw", "g711_alaw")
    return 8000 if is_g711 else BY_THE_CLOCK


def _check_openai(handshake: Handshake) -> str | None:
    named = {name for name, _ in handshake.query}
    if named & {"model", "call_id"} or handshake.parameter("intent") != "transcription":
        return (
            "only transcription is served here: connect with intent=transcription, without model and call_id"
        )
    return None


def _openai_meter(_handshake: Handshake) -> AudioCounter:
    return AudioCounter(pcm_rate(24_000), _reader(_OpenAIText, _read_openai), has_binary_audio=False)


OPENAI: Final = NativeProtocol(
    default_path="/v1/realtime",
    paths=re.compile(r"/v1/realtime"),
    key_header="authorization",
    key_scheme="Bearer ",
    headers=USER_AGENT | {"openai-beta", "openai-safety-identifier"},
    own_headers=frozenset({"openai-organization", "openai-project"}),
    subprotocols=("realtime",),
    # A conversation answers in speech, at many times the price that a stream is charged.
    check=_check_openai,
    meter=_openai_meter,
    refusal=lambda status, message: _json(
        {
            "error": {
                "message": message,
                "type": "server_error" if status >= 500 else "invalid_request_error",
                "param": None,
                "code": "invalid_api_key" if status == 401 else _snake(status),
            }
        }
    ),
)


# Soniox: binary audio, described by the first message, in which old clients also send their key.


class _SonioxStart(msgspec.Struct):
    audio_format: msgspec.Raw = NO_VALUE
    sample_rate: msgspec.Raw = NO_VALUE
    num_channels: msgspec.Raw = NO_VALUE


_SONIOX_PCM: Final = re.compile(r"pcm_[suf](8|16|24|32|64)(?:[lb]e)?")


def _read_soniox(start: _SonioxStart) -> Heard:
    if not bytes(start.audio_format):
        return NOTHING
    name = str(_value(start.audio_format))
    pcm = _SONIOX_PCM.fullmatch(name)
    bytes_per_sample = int(pcm[1]) // 8 if pcm else 1 if name in ("mulaw", "alaw") else None
    if bytes_per_sample is None:
        return Heard(rate=BY_THE_CLOCK)
    hz, channels = str(_value(start.sample_rate)), str(_value(start.num_channels))
    return Heard(rate=pcm_rate(hz, bytes_per_sample=bytes_per_sample, channels=channels))


def _soniox_meter(_handshake: Handshake) -> AudioCounter:
    started = False

    def read(start: _SonioxStart) -> Heard:
        nonlocal started
        heard = NOTHING if started else _read_soniox(start)
        started = True
        return heard

    return AudioCounter(BY_THE_CLOCK, _reader(_SonioxStart, read))


SONIOX: Final = NativeProtocol(
    default_path="/transcribe-websocket",
    paths=re.compile(r"/transcribe-websocket"),
    key_header="authorization",
    key_scheme="Bearer ",
    key_member="api_key",
    headers=USER_AGENT,
    meter=_soniox_meter,
    end_of_audio=lambda _: "",
    refusal=lambda status, message: _json(
        {"error_code": status, "error_type": _snake(status), "error_message": message}
    ),
)


# Speechmatics: binary audio, described by `StartRecognition`; single channels as base64 in text.


class _SpeechmaticsText(msgspec.Struct):
    message: msgspec.Raw = NO_VALUE
    audio_format: msgspec.Raw = NO_VALUE


def _read_speechmatics(text: _SpeechmaticsText) -> Heard:
    if bytes(text.message) == b'"StartRecognition"':
        return Heard(rate=_speechmatics_rate(_value(text.audio_format)))
    if bytes(text.message) == b'"AddChannelAudio"':
        # How many channels there are at the same time is not known from one of them.
        return Heard(1, BY_THE_CLOCK)
    return NOTHING


def _speechmatics_rate(audio_format: object) -> int:
    bytes_per_sample = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1}.get(
        str(_member(audio_format, "encoding"))
    )
    if _member(audio_format, "type") != "raw" or bytes_per_sample is None:
        return BY_THE_CLOCK
    return pcm_rate(str(_member(audio_format, "sample_rate")), bytes_per_sample=bytes_per_sample)


SPEECHMATICS: Final = NativeProtocol(
    default_path="/v2",
    paths=re.compile(r"/v2/?|/v2/(?!agent\b)[A-Za-z_-]{2,16}"),  # the old SDK appends the language
    key_header="authorization",
    key_scheme="Bearer ",
    headers=USER_AGENT | {"x-request-id"},
    meter=lambda _: AudioCounter(BY_THE_CLOCK, _reader(_SpeechmaticsText, _read_speechmatics)),
    end_of_audio=lambda binaries: f'{{"message":"EndOfStream","last_seq_no":{binaries}}}',
    refusal=lambda _, message: message.encode(),  # not documented; plain words, a guess
    refusal_type="text/plain",
)


# Vachana: binary audio, everything else in headers.

VACHANA: Final = NativeProtocol(
    default_path="/stt/v3/stream",
    paths=re.compile(r"/stt/v3(/stream)?"),
    key_header="x-api-key-id",
    headers=USER_AGENT
    | {
        "lang_code",
        "x-sample-rate",
        "x-format",
        "itn_native_numerals",
        "x-api-request-id",
        "preferred_language",
    },
    meter=lambda handshake: AudioCounter(pcm_rate(handshake.headers.get("x-sample-rate", "16000"))),
    refusal=lambda status, message: _json(
        {"detail": {"error_code": _snake(status).upper(), "message": message, "status_code": status}}
    ),
)


PASSAGES: Final[dict[str, NativeProtocol]] = {
    "assemblyai": ASSEMBLYAI,
    "deepgram": DEEPGRAM,
    "elevenlabs": ELEVENLABS,
    "gradium": GRADIUM,
    "local": LOCAL,
    "openai": OPENAI,
    "soniox": SONIOX,
    "speechmatics": SPEECHMATICS,
    "vachana": VACHANA,
}
"""By the catalogue's name."""
