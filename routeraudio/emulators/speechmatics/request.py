"""What Speechmatics' `StartRecognition` and `SetRecognitionConfig` may hold.

From the AsyncAPI document 2.0.0 and the pages Limits and Languages (2026-08).

Guesses, marked so: refusing fields whose name is unknown (the service may ignore them, but an emulator is there to find
the misspelt ones), the wording of all refusals, and the type of error where a field is wrong.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from routeraudio.emulators.kit.sound import RATES, ContainerFormat, Format, RawFormat

T = TypeVar("T")

MODELS: Final = frozenset({"standard", "enhanced"})

_CODES: Final = """
    ar ba eu be bn bg yue ca hr cs da nl en eo et fi fr gl de el he hi hu id ia ga it ja ko lv lt ms mt cmn mr mn
    no fa pl pt ro ru sk sl es sw sv tl ta th tr uk ur ug vi cy ar_en en_ms cmn_en cmn_en_ms_ta en_ta
"""

LANGUAGES: Final = frozenset(_CODES.split())

UNSPACED: Final = frozenset({"cmn", "ja", "yue", "th"})
"""Languages written without spaces. Documented for the first two; the others are a guess."""

BROADCAST_HZ: Final = 12_000
"""From this rate on the better of two models listens."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Delay = Annotated[float, msgspec.Meta(ge=0.7, le=4)]
Mode = Literal["flexible", "fixed"]


class BadRequest(Exception):
    """A request that ends the session.

    Args:
        kind: the type of the `Error`.
    """

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Strict(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An object without fields of other names."""


class AudioFormat(Strict):
    """`audio_format`."""

    type: Literal["raw", "file"]
    encoding: Literal["pcm_s16le", "pcm_f32le", "mulaw"] | None = None
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        if self.type == "raw" and (self.encoding is None or self.sample_rate not in RATES):
            raise ValueError("raw audio needs `encoding` and a `sample_rate`")
        if self.type == "file" and (self.encoding is not None or self.sample_rate is not None):
            raise ValueError("a file says its encoding and rate itself")


class Conversation(Strict):
    """`conversation_config`."""

    end_of_utterance_silence_trigger: Annotated[float, msgspec.Meta(ge=0, le=2)] = 0.0


class Punctuation(Strict):
    """`punctuation_overrides`."""

    permitted_marks: tuple[str, ...] = ("all",)
    sensitivity: Share = 0.5


class Speakers(Strict):
    """`speaker_diarization_config`."""

    max_speakers: Annotated[int, msgspec.Meta(ge=2)] | None = None
    speaker_sensitivity: Share = 0.5
    prefer_current_speaker: bool = False
    get_speakers: bool = False
    speakers: list[dict[str, Any]] = []


class Filter(Strict):
    """`audio_filtering_config`."""

    volume_threshold: Annotated[float, msgspec.Meta(ge=0, le=100)] = 0.0


class Changes(Strict):
    """What `SetRecognitionConfig` may change."""

    language: str | None = None
    enable_partials: bool | None = None
    max_delay: Delay | None = None
    max_delay_mode: Mode | None = None
    conversation_config: Conversation | None = None
    audio_filtering_config: Filter | None = None


class Config(Strict):
    """`transcription_config`."""

    language: str
    model: str | None = None
    operating_point: str | None = None
    domain: str | None = None
    output_locale: str | None = None
    enable_partials: bool = False
    max_delay: Delay = 4.0
    max_delay_mode: Mode = "flexible"
    enable_entities: bool = True
    diarization: Literal["none", "speaker"] = "none"
    speaker_diarization_config: Speakers | None = None
    conversation_config: Conversation = msgspec.field(default_factory=Conversation)
    punctuation_overrides: Punctuation = msgspec.field(default_factory=Punctuation)
    additional_vocab: list[str | dict[str, Any]] = []
    audio_filtering_config: Filter | None = None
    transcript_filtering_config: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.model is not None and self.operating_point is not None:
            raise ValueError("`operating_point` is the old name of `model`; not both")

    @property
    def punctuates(self) -> bool:
        """Whether a full stop may be written."""
        return not {"all", "."}.isdisjoint(self.punctuation_overrides.permitted_marks)

    @property
    def trigger_ms(self) -> int:
        """Silence that ends an utterance; 0: none does."""
        return round(self.conversation_config.end_of_utterance_silence_trigger * 1000)

    @property
    def delimiter(self) -> str:
        """What stands between words."""
        return "" if self.language in UNSPACED else " "


class Requested(msgspec.Struct):
    """A `StartRecognition` that is in order."""

    audio: AudioFormat
    config: Config

    @property
    def quality(self) -> str:
        """Which model listens."""
        rate = self.audio.sample_rate
        return "broadcast" if rate is None or rate >= BROADCAST_HZ else "telephony"

    @property
    def format(self) -> Format:
        """What the audio is decoded as."""
        match self.audio.encoding, self.audio.sample_rate:
            case "pcm_s16le", int(rate):
                return RawFormat(encoding="s16le", sample_rate=rate)
            case "pcm_f32le", int(rate):
                return RawFormat(encoding="f32le", sample_rate=rate)
            case "mulaw", int(rate):
                return RawFormat(encoding="mulaw", sample_rate=rate)
        return ContainerFormat(("wav", "mp3", "aac", "ogg", "mov", "flac"))


def read_start(message: dict[str, Any]) -> Requested:
    """The wish of a `StartRecognition`.

    Raises:
        BadRequest: something in it is not allowed.
    """
    audio = _read(message.get("audio_format"), AudioFormat, "audio_format", "invalid_audio_type")
    config = _read(message.get("transcription_config"), Config, "transcription_config", "invalid_config")
    unknown = set(message) - {"message", "audio_format", "transcription_config"}
    if unknown:
        raise BadRequest("invalid_config", f"not known here: {', '.join(sorted(unknown))}")
    model = config.model or config.operating_point or "standard"
    if model not in MODELS:
        raise BadRequest("invalid_model", f"{model} is not a model for realtime")
    if config.language not in LANGUAGES:
        raise BadRequest("invalid_language", f"{config.language} is not a language of {model}")
    return Requested(audio, config)


def read_changes(message: dict[str, Any], config: Config) -> Config:
    """The configuration after a `SetRecognitionConfig`.

    Raises:
        BadRequest: it changes what cannot be changed.
    """
    changes = _read(message.get("transcription_config"), Changes, "transcription_config", "invalid_config")
    if changes.language not in (None, config.language):
        raise BadRequest("invalid_config", "the language cannot be changed")
    changed = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not None}
    return msgspec.structs.replace(config, **changed)


def _read(value: Any, type_: type[T], name: str, kind: str) -> T:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise BadRequest(kind, f"{name}: {error}") from None
