"""What `session.update` may hold in an OpenAI transcription session, and what a session then is.

Written from the SDK 3.52 (`types/realtime`), OpenAPI 2.3.0 and the guides (2026-11). The codes `unknown_parameter`,
`invalid_value` and their `param` are recorded; the exact words of the messages are guesses, as is the refusal of
`language` for the models that take `languages` (the service may ignore it).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from routeraudio.emulators.kit.sound import RawFormat

Json = dict[str, Any]

LIVE: Final = ("gpt-live-transcribe", "gpt-realtime-whisper")
"""No turn detection; text while speech goes on."""
LISTED: Final = ("gpt-live-transcribe", "gpt-transcribe")
"""`languages`, not `language`; and `keywords`."""
MODELS: Final = (
    "gpt-live-transcribe",
    "gpt-realtime-whisper",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe-diarize",
    "whisper-1",
)
_PROMPTLESS: Final = ("gpt-realtime-whisper", "gpt-4o-transcribe-diarize")
_DELAYS: Final = ("minimal", "low", "medium", "high", "xhigh")
_LOGPROBS: Final = "item.input_audio_transcription.logprobs"
_EAGERNESS_MS: Final = {"low": 8000, "medium": 4000, "high": 2000, "auto": 4000}
"""The longest waits of `semantic_vad`, which is emulated as silence of that length."""

_FORMATS: Final = {
    "audio/pcm": RawFormat(encoding="s16le", sample_rate=24_000),
    "audio/pcmu": RawFormat(encoding="mulaw", sample_rate=8000),
    "audio/pcma": RawFormat(encoding="alaw", sample_rate=8000),
}

SERVER_VAD: Final = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
}
"""A new session's own, as in the specification's example of `session.created`."""


class BadField(Exception):
    """A value that the service refuses."""

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class Settings:
    """A session's effective settings."""

    def __init__(self) -> None:
        self._format: Json = {"type": "audio/pcm", "rate": 24_000}
        self._transcription: Json | None = None
        self._noise_reduction: Json | None = None
        self._detection: Json | None = dict(SERVER_VAD)
        self._include: list[str] | None = None

    @property
    def model(self) -> str | None:
        """None: nothing is transcribed."""
        return self._transcription["model"] if self._transcription else None

    @property
    def is_live(self) -> bool:
        """Whether text comes before the commit."""
        return self.model in LIVE

    @property
    def silence_ms(self) -> int | None:
        """Silence that ends a turn; None: only commits do."""
        if self._detection is None:
            return None
        if self._detection["type"] == "semantic_vad":
            return _EAGERNESS_MS[self._detection.get("eagerness", "auto")]
        silence_ms: int = self._detection.get("silence_duration_ms", 500)
        return silence_ms

    @property
    def padding_ms(self) -> int:
        """How much a turn's start is moved before the voice."""
        padding_ms: int = (self._detection or {}).get("prefix_padding_ms", 300)
        return padding_ms

    @property
    def sound(self) -> RawFormat:
        """How audio is to be understood."""
        return _FORMATS[self._format["type"]]

    def shown(self) -> Json:
        """As `session.created` and `session.updated` show them."""
        heard = {
            "format": self._format,
            "transcription": self._transcription,
            "noise_reduction": self._noise_reduction,
            "turn_detection": self._detection,
        }
        return {"audio": {"input": heard}, "include": self._include}

    def update(self, session: Any, *, has_audio: bool) -> None:
        """Change the fields that are present; all or none.

        Raises:
            BadField: a field that does not exist, or a value that is refused.
        """
        fields = _fields(session, "session", ("type", "audio", "include"))
        if fields.get("type") != "transcription":
            raise _invalid(fields.get("type"), "session.type", ("transcription",))
        audio = _fields(fields.get("audio", {}), "session.audio", ("input",))
        heard = _fields(
            audio.get("input", {}),
            "session.audio.input",
            ("format", "transcription", "noise_reduction", "turn_detection"),
        )
        transcription = self._transcription
        if "transcription" in heard:
            transcription = _transcription(heard["transcription"], self._transcription or {})
        detection = heard.get("turn_detection", self._detection)
        self._check(heard, transcription, detection, has_audio=has_audio)
        if "include" in fields:
            self._include = _include(fields["include"])
        is_live = transcription is not None and transcription["model"] in LIVE
        self._transcription = transcription
        self._detection = None if is_live else detection
        self._format = heard.get("format", self._format)
        self._noise_reduction = heard.get("noise_reduction", self._noise_reduction)

    def _check(
        self, heard: Mapping[str, Any], transcription: Json | None, detection: Any, *, has_audio: bool
    ) -> None:
        if "format" in heard:
            _check_format(heard["format"])
            if has_audio and heard["format"] != self._format:
                # A guess: nothing says what a change in the middle of the audio would mean.
                raise BadField("invalid_value", "Cannot change the format now.", "session.audio.input.format")
        if heard.get("noise_reduction") is not None:
            _check_noise_reduction(heard["noise_reduction"])
        _check_detection(detection)
        is_live = transcription is not None and transcription["model"] in LIVE
        if is_live and heard.get("turn_detection") is not None:
            raise BadField(
                "invalid_value",
                "Turn detection is not supported for this transcription model",
                "session.audio.input.turn_detection",
            )


def _transcription(value: Any, before: Json) -> Json | None:
    path = "session.audio.input.transcription"
    if value is None:
        return None
    names = ("model", "language", "languages", "keywords", "prompt", "delay")
    changed = {**before, **_fields(value, path, names)}
    model = changed.get("model")
    if model not in MODELS:
        raise BadField("invalid_model", f"Model {model!r} is not supported in this mode.", f"{path}.model")
    _check_hints(changed, model, path)
    return changed


def _check_hints(fields: Json, model: str, path: str) -> None:
    refused = {
        "language": model in LISTED,
        "languages": model not in LISTED,
        "keywords": model not in LISTED,
        "prompt": model in _PROMPTLESS,
        "delay": model not in LIVE,  # whether gpt-live-transcribe takes it is open
    }
    for name in refused:
        if name in fields and refused[name]:
            raise BadField("invalid_value", f"'{name}' is not supported for {model}.", f"{path}.{name}")
    if "language" in fields and not _is_code(fields["language"]):
        raise _invalid(fields["language"], f"{path}.language", ("an ISO-639-1 code",))
    for name in ("languages", "keywords"):
        if name in fields and not (isinstance(fields[name], list) and fields[name]):
            raise _invalid(fields[name], f"{path}.{name}", ("a list with at least one entry",))
    if not all(_is_code(code) for code in fields.get("languages", ())):
        raise _invalid(fields["languages"], f"{path}.languages", ("ISO-639-1 codes",))
    if "delay" in fields and fields["delay"] not in _DELAYS:
        raise _invalid(fields["delay"], f"{path}.delay", _DELAYS)


def _is_code(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 2 and value.isalpha() and value.islower()


def _check_format(value: Any) -> None:
    path = "session.audio.input.format"
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in tuple(_FORMATS):
        raise _invalid(kind, f"{path}.type", tuple(_FORMATS))
    fields = _fields(value, path, ("type", "rate") if kind == "audio/pcm" else ("type",))
    if fields.get("rate", 24_000) != 24_000:
        raise _invalid(fields["rate"], f"{path}.rate", ("24000",))


def _check_noise_reduction(value: Any) -> None:
    path = "session.audio.input.noise_reduction"
    fields = _fields(value, path, ("type", "strength"))
    if fields.get("type") not in ("near_field", "far_field"):
        raise _invalid(fields.get("type"), f"{path}.type", ("near_field", "far_field"))


def _check_detection(value: Any) -> None:
    path = "session.audio.input.turn_detection"
    if value is None:
        return
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "semantic_vad":
        fields = _fields(value, path, ("type", "eagerness"))
        if fields.get("eagerness", "auto") not in tuple(_EAGERNESS_MS):
            raise _invalid(fields["eagerness"], f"{path}.eagerness", tuple(_EAGERNESS_MS))
    elif kind == "server_vad":
        fields = _fields(value, path, ("type", "threshold", "prefix_padding_ms", "silence_duration_ms"))
        _check_number(fields.get("threshold", 0.5), f"{path}.threshold", 1)
        for name in ("prefix_padding_ms", "silence_duration_ms"):
            _check_number(fields.get(name, 0), f"{path}.{name}", 3_600_000)
    else:
        raise _invalid(kind, f"{path}.type", ("server_vad", "semantic_vad"))


def _check_number(value: Any, path: str, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise _invalid(value, path, (f"a number from 0 to {most}",))


def _include(value: Any) -> list[str] | None:
    if value is None or (isinstance(value, list) and all(name == _LOGPROBS for name in value)):
        return value
    raise _invalid(value, "session.include", (_LOGPROBS,))


def _fields(value: Any, path: str, names: Sequence[str]) -> Mapping[str, Any]:
    """An object with none but these fields."""
    if not isinstance(value, dict):
        raise BadField("invalid_type", f"Invalid type for '{path}': expected an object.", path)
    for name in value:
        if name not in names:
            raise BadField("unknown_parameter", f"Unknown parameter: '{path}.{name}'.", f"{path}.{name}")
    return value


def _invalid(value: Any, path: str, allowed: Sequence[str]) -> BadField:
    return BadField(
        "invalid_value", f"Invalid value: {value!r}. Supported values are: {', '.join(allowed)}.", path
    )
