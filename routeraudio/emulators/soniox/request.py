"""What Soniox allows in the first message of a stream (SDK 2.10.0 `types.realtime`, its pages 2026-11).

Guesses, marked so: the words of refusals that the vendor's list of errors does not have, which of them has which
`error_type`, the order of the checks, and refusing fields whose name is unknown (the service may ignore them, but
an emulator is there to find the misspelt ones).
"""

from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from routeraudio.emulators.kit.sound import RATES, Container, ContainerFormat, Format, RawFormat


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODELS: Final = ("stt-rt-v5", "stt-rt-v4")

CHANNELS_MAX: Final = 16
"""A guess; no number is documented."""

ENDPOINT_DELAY_MS: Final = (500, 3000)
ENDPOINT_DELAY_DEFAULT_MS: Final = 2000

CONTEXT_CHARACTERS_MAX: Final = 10_000
REFERENCE_CHARACTERS_MAX: Final = 256

_LANGUAGES: Final = _names(
    "af ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr gl gu he hi hr hu id it ja kk kn ko lt lv mk ml "
    "mr ms nl no pa pl pt ro ru sk sl sq sr sv sw ta te th tl tr uk ur vi zh"
)

_RAW: Final[dict[str, Literal["s16le", "f32le", "mulaw", "alaw"]]] = {
    "pcm_s16le": "s16le",
    "pcm_f32le": "f32le",
    "mulaw": "mulaw",
    "alaw": "alaw",
}

_CONTAINERS: Final[dict[str, Container]] = {
    "aac": "aac",
    "flac": "flac",
    "mp3": "mp3",
    "ogg": "ogg",
    "wav": "wav",
    "webm": "matroska",
}

_UNDECODED: Final = _names(
    "aiff amr asf pcm_s8 pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_u8 pcm_u16le pcm_u16be pcm_u24le "
    "pcm_u24be pcm_u32le pcm_u32be pcm_f32be pcm_f64le pcm_f64be"
)
"""The service decodes these, the emulator does not."""


class Wrong(Exception):
    """Something the service answers with an error message.

    Args:
        code: like an HTTP status.
        kind: the message's `error_type`.
    """

    def __init__(self, code: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


def invalid(message: str) -> Wrong:
    """The usual mistake of a client."""
    return Wrong(400, "invalid_request", message)


class _Pair(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    value: str


class _Term(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    target: str


class _Context(msgspec.Struct, forbid_unknown_fields=True):
    general: list[_Pair] | None = None
    text: str | None = None
    terms: list[str] | None = None
    translation_terms: list[_Term] | None = None


class Start(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first message; null and absent are the same."""

    model: str | None = None
    audio_format: str | None = None
    sample_rate: int | None = None
    num_channels: int | None = None
    language_hints: list[str] | None = None
    language_hints_strict: bool | None = None
    enable_language_identification: bool | None = None
    enable_speaker_diarization: bool | None = None
    enable_endpoint_detection: bool | None = None
    max_endpoint_delay_ms: int | None = None
    endpoint_sensitivity: float | None = None
    endpoint_latency_adjustment_level: int | None = None
    context: _Context | str | None = None
    translation: dict[str, Any] | None = None
    client_reference_id: str | None = None
    api_key: str | None = None

    @property
    def format(self) -> Format:
        """How its audio is decoded. Checked messages only."""
        name = self.audio_format or ""
        if name in _RAW:
            assert self.sample_rate is not None
            assert self.num_channels is not None
            return RawFormat(encoding=_RAW[name], sample_rate=self.sample_rate, channels=self.num_channels)
        return ContainerFormat((_CONTAINERS[name],) if name in _CONTAINERS else tuple(_CONTAINERS.values()))

    @property
    def endpoint_delay_ms(self) -> int:
        """Silence after which an utterance is over."""
        return self.max_endpoint_delay_ms or ENDPOINT_DELAY_DEFAULT_MS


_decode: Final = msgspec.json.Decoder(Start).decode


def read_start(message: str | bytes, key: str | None, accepts: Callable[[str], bool]) -> Start:
    """Check a first message as the service does.

    Args:
        key: the one of the handshake.

    Raises:
        Wrong: and the stream is over.
    """
    if isinstance(message, bytes):
        raise invalid("Start request must be a text message.")
    try:
        start = _decode(message)
    except (msgspec.DecodeError, RecursionError) as error:
        # msgspec says where; the service does not, but who works with an emulator wants to know.
        raise invalid(f"Start request is malformed. ({error})") from None
    _check_key(start.api_key, key, accepts)
    _check_audio(start)
    _check_model(start)
    _check_languages(start.language_hints)
    _check_endpoints(start)
    _check_rest(start)
    return start


def _check_key(in_message: str | None, in_handshake: str | None, accepts: Callable[[str], bool]) -> None:
    if in_message is not None and in_handshake is not None:
        raise invalid("The API key must be sent once: with the connection, not in the start request.")
    key = in_message or in_handshake
    if key is None:
        raise Wrong(401, "unauthenticated", "Missing API key.")
    if not accepts(key):
        raise Wrong(401, "unauthenticated", "Invalid API key.")


def _check_audio(start: Start) -> None:
    name = start.audio_format
    if name is None:
        raise invalid("Missing audio format.")
    if name in _UNDECODED:
        raise invalid(f"This emulator does not decode {name}.")
    if name in _RAW:
        if start.sample_rate is None:
            raise invalid("Audio data sample rate must be specified for PCM formats")
        if start.num_channels is None:
            raise invalid("Audio data channels must be specified for PCM formats")
    elif name != "auto" and name not in _CONTAINERS:
        raise invalid(f"Invalid audio data format: {name}")
    if start.sample_rate is not None and start.sample_rate not in RATES:
        raise invalid(f"Sample rate must be {RATES.start} to {RATES.stop - 1}.")
    if start.num_channels is not None and not 1 <= start.num_channels <= CHANNELS_MAX:
        raise invalid(f"Number of channels must be 1 to {CHANNELS_MAX}.")


def _check_model(start: Start) -> None:
    if start.model not in MODELS:
        raise Wrong(400, "model_not_available", "Invalid model specified.")
    for name in ("endpoint_sensitivity", "endpoint_latency_adjustment_level"):
        if getattr(start, name) is not None and start.model != "stt-rt-v5":
            raise invalid(f"{name} is not supported by {start.model}.")


def _check_languages(hints: list[str] | None) -> None:
    if not set(hints or ()) <= _LANGUAGES:
        raise invalid("Invalid language hint.")
    if hints is not None and len(set(hints)) < len(hints):
        raise invalid("Language hints must be unique.")


def _check_endpoints(start: Start) -> None:
    _check_range("max_endpoint_delay_ms", start.max_endpoint_delay_ms, *ENDPOINT_DELAY_MS)
    _check_range("endpoint_sensitivity", start.endpoint_sensitivity, -1, 1)
    _check_range("endpoint_latency_adjustment_level", start.endpoint_latency_adjustment_level, 0, 3)


def _check_range(name: str, value: float | None, low: int, high: int) -> None:
    if value is not None and not low <= value <= high:
        raise invalid(f"{name} must be between {low} and {high}.")


def _check_rest(start: Start) -> None:
    reference = start.client_reference_id or ""
    if len(reference) > REFERENCE_CHARACTERS_MAX:
        raise invalid(f"Client reference ID is too long (max length {REFERENCE_CHARACTERS_MAX})")
    # How the service counts a structured context is not known: its JSON is counted here.
    context = start.context if isinstance(start.context, str) else msgspec.json.encode(start.context).decode()
    if len(context) > CONTEXT_CHARACTERS_MAX:
        raise invalid(f"Context is too long (max length {CONTEXT_CHARACTERS_MAX}).")
    if isinstance(start.context, str):
        raise invalid("A context that is plain text is for older models.")
    if start.translation is not None:
        raise invalid("This emulator does not translate.")
