"""What a client wants of its session: the members of `session.update`, in both shapes, merged one update at a time."""

from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from routeraudio.dialects.parameters import LANGUAGE, MODEL
from routeraudio.model.audio import SAMPLE_RATES_HZ, AudioFormat
from routeraudio.model.errors import invalid_parameter

SAMPLE_RATE_HZ: Final = 24_000
"""Of PCM where nothing else is said."""

SILENCE_MS: Final = 500
"""The vendor's default."""

SILENCE_MS_MAX: Final = 10_000

_G711_HZ: Final = 8000

_COMMITTED_MODELS: Final = ("gpt-realtime-whisper", "gpt-live-transcribe")
"""For these LiveKit leaves turn detection out and commits by its own."""

_UPDATE: Final = '{"type":"session.update","session":{"type":"transcription","audio":{"input":{…}}}}'


class TurnDetection(msgspec.Struct, frozen=True):
    """How the server finds the ends of utterances."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float | None = 0.5
    prefix_padding_ms: float | None = 300
    silence_duration_ms: int | None = SILENCE_MS


class _Format(msgspec.Struct):
    type: str = "audio/pcm"
    rate: int | None = None


class _Transcription(msgspec.Struct):
    model: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    languages: list[str] | None = None
    prompt: object = None
    keywords: object = None
    delay: object = None


class _Input(msgspec.Struct):
    format: _Format | None = None
    transcription: _Transcription | None = None
    turn_detection: TurnDetection | UnsetType | None = UNSET
    noise_reduction: object = None


class _Audio(msgspec.Struct):
    input: _Input | None = None


class _Session(msgspec.Struct):
    """Both shapes: the second is the beta's."""

    type: str | None = None
    audio: _Audio | None = None
    include: object = None

    input_audio_format: str | None = None
    input_audio_transcription: _Transcription | None = None
    turn_detection: TurnDetection | UnsetType | None = UNSET
    input_audio_noise_reduction: object = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What has been asked for so far."""

    audio: AudioFormat = AudioFormat("pcm_s16le", SAMPLE_RATE_HZ)
    model: str | None = None
    """As the client names it."""
    language: str | None = None
    turn_detection: TurnDetection | UnsetType | None = UNSET
    """None: the client commits. Unset: it has not said."""
    advice: tuple[str, ...] = ()
    """What has no effect."""

    @property
    def is_committed(self) -> bool:
        """Whether the client's commits make the items, rather than silence."""
        if self.turn_detection is UNSET:
            return (self.model or "").startswith(_COMMITTED_MODELS)
        return self.turn_detection is None

    @property
    def silence_ms(self) -> int:
        """That ends an utterance."""
        if self.is_committed:
            return SILENCE_MS_MAX
        asked = self.turn_detection.silence_duration_ms if self.turn_detection else None
        return SILENCE_MS if asked is None else min(max(asked, 0), SILENCE_MS_MAX)

    @property
    def is_diarized(self) -> bool:
        """The vendor has models of that name for it."""
        return (self.model or "").endswith("-diarize")

    def shown(self) -> dict[str, Any]:
        """As GA's `session` has it."""
        return {
            "include": None,
            "audio": {
                "input": {
                    "format": self._format(),
                    "transcription": {"model": self.model, "language": self.language},
                    "noise_reduction": None,
                    "turn_detection": self._turn_detection(),
                }
            },
        }

    def shown_beta(self) -> dict[str, Any]:
        """As the beta's `session` has it."""
        is_pcm = self.audio.encoding == "pcm_s16le"
        return {
            "input_audio_format": "pcm16" if is_pcm else "g711_ulaw",
            "input_audio_transcription": {"model": self.model, "language": self.language},
            "turn_detection": self._turn_detection(),
        }

    def _format(self) -> dict[str, Any]:
        if self.audio.encoding == "pcm_s16le":
            return {"type": "audio/pcm", "rate": self.audio.sample_rate}
        return {"type": "audio/pcmu"}

    def _turn_detection(self) -> TurnDetection | None:
        if self.is_committed:
            return None
        return self.turn_detection or TurnDetection()


def merged(settings: Settings, update: Raw) -> Settings:
    """The settings after an update: what it leaves out stays.

    Raises:
        ClientFault: naming the member that cannot be.
    """
    session = _read(update)
    if session.type not in (None, "transcription"):
        raise invalid_parameter(
            "session.type", 'only transcription is served here; session.type must be "transcription"'
        )
    given = session.audio.input if session.audio and session.audio.input else _Input()
    said = given.transcription or session.input_audio_transcription or _Transcription()
    turns = session.turn_detection if given.turn_detection is UNSET else given.turn_detection
    name, rate = (
        (given.format.type, given.format.rate) if given.format else (session.input_audio_format, None)
    )
    return msgspec.structs.replace(
        settings,
        audio=settings.audio if name is None else _audio(name, rate),
        model=settings.model if said.model is UNSET else _checked(said.model, MODEL, "model"),
        language=_language(said, settings.language),
        turn_detection=settings.turn_detection if turns is UNSET else turns,
        advice=tuple(dict.fromkeys((*settings.advice, *_advice(session, given, said, turns)))),
    )


def _read(update: Raw) -> _Session:
    try:
        return msgspec.json.decode(update, type=_Session)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        what = str(error)[:200] if isinstance(error, msgspec.ValidationError) else "not readable"
        raise invalid_parameter("session", f"session: {what.replace('`', '')}; expected {_UPDATE}") from None


def _audio(name: str, rate: int | None) -> AudioFormat:
    if name in ("audio/pcm", "pcm16"):
        hz = SAMPLE_RATE_HZ if rate is None else rate
        if hz not in SAMPLE_RATES_HZ:
            known = ", ".join(map(str, SAMPLE_RATES_HZ))
            raise invalid_parameter(
                "session.audio.input.format.rate", f"format.rate: expected one of {known} (Hz)"
            )
        return AudioFormat("pcm_s16le", hz)
    if name in ("audio/pcmu", "g711_ulaw"):
        return AudioFormat("pcm_mulaw", _G711_HZ)
    raise invalid_parameter(
        "session.audio.input.format.type",
        "format.type: expected audio/pcm or audio/pcmu (pcm16 or g711_ulaw in the beta)",
    )


def _language(said: _Transcription, before: str | None) -> str | None:
    if said.language is UNSET and said.languages is None:
        return before
    asked = None if said.language is UNSET else said.language
    return _checked(asked or next(iter(said.languages or ()), None), LANGUAGE, "language")


def _checked(text: str | None, pattern: Any, name: str) -> str | None:
    if text and pattern.fullmatch(text) is None:
        what = (
            "a language code like en or pt-BR"
            if name == "language"
            else "a model name, PROVIDER or PROVIDER/MODEL"
        )
        raise invalid_parameter(
            f"session.audio.input.transcription.{name}", f"transcription.{name}: expected {what}"
        )
    return text or None


def _advice(
    session: _Session, given: _Input, said: _Transcription, turns: TurnDetection | UnsetType | None
) -> list[str]:
    told = [
        f"{name}: has no effect"
        for name, value in (
            ("noise_reduction", given.noise_reduction or session.input_audio_noise_reduction),
            ("include", session.include),
            ("prompt", said.prompt),
            ("keywords", said.keywords),
            ("delay", said.delay),
        )
        if value
    ]
    if len(said.languages or ()) > 1:
        told.append("languages: the first one counts")
    if isinstance(turns, TurnDetection):
        if turns.type == "semantic_vad":
            told.append("semantic_vad: served as server_vad")
        if (turns.threshold, turns.prefix_padding_ms) != (0.5, 300):
            told.append("threshold and prefix_padding_ms: have no effect")
    return told
