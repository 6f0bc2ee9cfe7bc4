"""What AssemblyAI allows in a request's query and in `UpdateConfiguration` (SDK 1.8.2, its specification of 2026-03).

The service ignores names it does not know, and so does this. Guesses, marked so: that raw audio needs a `sample_rate`
(the SDK says so, the documentation gives a default), the range of `max_turn_silence`, and most wordings.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from routeraudio.emulators.kit.sound import RATES

Rule = Callable[[str], Any]
"""Reads one value; a ValueError says what is allowed."""

PRO_MODELS: Final = (
    "universal-3-6-pro",
    "universal-3-6",
    "universal-3-5-pro",
    "u3-rt-pro",
    "u3-rt-pro-beta-1",
)
STREAMING_MODELS: Final = ("universal-streaming-english", "universal-streaming-multilingual", "whisper-rt")
MODELS: Final = (*PRO_MODELS, *STREAMING_MODELS)
"""`u3-pro`, which the SDK still lists, is refused."""

RAW_ENCODINGS: Final = ("pcm_s16le", "pcm_mulaw")

CHARACTERS_MAX: Final = 1750
"""Of `prompt` and `agent_context`."""

_MODES: Final[Mapping[str, tuple[int, int]]] = {
    "min_latency": (128, 640),
    "balanced": (128, 1280),
    "max_accuracy": (512, 2560),
}
"""Silence of a turn that sounds complete, and of any turn, ms."""

_STREAMING_SILENCES: Final = (400, 1280)


def _names(text: str) -> list[str]:
    return text.split()


_LANGUAGES: Final = frozenset(
    _names(
        "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy "
        "id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru "
        "sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi xh yi yo yue zh zu"
    )
)


class BadQuery(Exception):
    """A query, or a configuration, that is answered with an `Error`."""


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A valid query, as far as it changes what an emulator does."""

    speech_model: str
    encoding: str = "pcm_s16le"
    sample_rate: int = 16000
    format_turns: bool = False
    mode: str | None = None
    min_turn_silence: int | None = None
    max_turn_silence: int | None = None
    include_partial_turns: bool = True
    language_detection: bool = False
    speaker_labels: bool = False
    session_heartbeat: bool = False
    inactivity_timeout: int | None = None

    @property
    def is_pro(self) -> bool:
        """Which family the model is of."""
        return self.speech_model in PRO_MODELS

    @property
    def is_raw(self) -> bool:
        """Whether bytes of audio are milliseconds."""
        return self.encoding in RAW_ENCODINGS

    @property
    def bytes_per_second(self) -> int:
        """Of raw audio."""
        return self.sample_rate * (2 if self.encoding == "pcm_s16le" else 1)

    @property
    def silence_ms(self) -> int:
        """After which the recogniser ends a turn; it has no opinion on whether a turn sounds complete."""
        least_ms, most_ms = _MODES[self.mode or "balanced"] if self.is_pro else _STREAMING_SILENCES
        return min(max(self.min_turn_silence or least_ms, 400), self.max_turn_silence or most_ms)


# --- Rules ------------------------------------------------------------------------------------------------


def _flag(value: str) -> bool:
    # The Python SDK writes True, the JavaScript SDK true.
    if value not in ("true", "false", "True", "False"):
        raise ValueError("expected true or false")
    return value in ("true", "True")


def _integer(low: int, high: int) -> Rule:
    def read(value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) < 10 and low <= int(value) <= high):
            raise ValueError(f"expected a whole number from {low} to {high}")
        return int(value)

    return read


def _number(low: float, high: float) -> Rule:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise ValueError(f"expected a number from {low:g} to {high:g}")
        return number

    return read


def _choice(*allowed: str) -> Rule:
    def read(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}")
        return value

    return read


def _text(value: str) -> str:
    if len(value) > CHARACTERS_MAX:
        raise ValueError(f"expected at most {CHARACTERS_MAX} characters")
    return value


def _list(length_max: int) -> Rule:
    def read(value: str) -> list[str]:
        try:
            items = msgspec.json.decode(value, type=list[str])
        except (msgspec.DecodeError, RecursionError):
            raise ValueError("expected a JSON list of strings") from None
        if len(items) > length_max:
            raise ValueError(f"expected at most {length_max} entries")
        return items

    return read


def _languages(value: str) -> list[str]:
    codes: list[str] = _list(10)(value)
    if codes != ["multi"] and not _LANGUAGES.issuperset(codes):
        raise ValueError("expected language codes without region, or multi alone")
    return codes


_CHANGEABLE: Final[Mapping[str, Rule]] = {
    "end_of_turn_confidence_threshold": _number(0, 1),
    "min_turn_silence": _integer(50, 10_000),
    "min_end_of_turn_silence_when_confident": _integer(50, 10_000),
    "max_turn_silence": _integer(50, 10_000),
    "vad_threshold": _number(0, 1),
    "format_turns": _flag,
    "keyterms_prompt": _list(100),
    "filter_profanity": _flag,
    "prompt": _text,
    "agent_context": _text,
    "interruption_delay": _integer(0, 1000),
    "language_codes": _languages,
    "session_heartbeat": _flag,
    "acknowledge_silence": _flag,
}
"""What `UpdateConfiguration` may change, too."""

RULES: Final[Mapping[str, Rule]] = {
    **_CHANGEABLE,
    "speech_model": _choice(*MODELS),
    "sample_rate": _integer(RATES.start, RATES.stop - 1),
    "encoding": _choice(*RAW_ENCODINGS, "opus", "ogg_opus", "aac"),
    "mode": _choice(*_MODES),
    "continuous_partials": _flag,
    "include_partial_turns": _flag,
    "language_detection": _flag,
    "speaker_labels": _flag,
    "max_speakers": _integer(1, 10),
    "speaker_labels_revision_interval_ms": _integer(0, 10**8),
    "previous_context_n_turns": _integer(0, 100),
    "domain": _choice("medical-v1"),
    "voice_focus": _choice("near-field", "far-field"),
    "voice_focus_threshold": _number(0, 1),
    "redact_pii": _flag,
    "redact_pii_sub": _choice("hash", "entity_name"),
    "inactivity_timeout": _integer(5, 3600),
}

_PRO_ONLY: Final = ("mode", "interruption_delay", "language_codes", "continuous_partials")
"""Of these the documentation says that other models refuse the first; for the rest it is a guess."""


def read(params: tuple[tuple[str, str], ...]) -> Query:
    """Check a query.

    Raises:
        BadQuery: as the service would refuse it.
    """
    values = {name: _value(name, text, RULES) for name, text in params if name in RULES}
    # What the service takes when no model is named has changed; this is the choice since 2026-09-29.
    query = msgspec.convert({"speech_model": "universal-3-6-pro", **values}, Query)
    if query.is_raw and "sample_rate" not in values:
        raise BadQuery(f"sample_rate is required with encoding {query.encoding}")
    for name in _PRO_ONLY:
        if name in values and not query.is_pro:
            raise BadQuery(f"{name} is not supported by {query.speech_model}")
    return query


def check_update(settings: Mapping[str, Any]) -> None:
    """Check an `UpdateConfiguration`.

    Raises:
        BadQuery: a value is not allowed.
        OverflowError: a text is too long: the service cancels the session without naming it.
    """
    for name, value in settings.items():
        if name not in _CHANGEABLE:
            continue
        if isinstance(value, str) and len(value) > CHARACTERS_MAX:
            raise OverflowError(name)
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        _value(name, text, _CHANGEABLE)


def _value(name: str, text: str, rules: Mapping[str, Rule]) -> Any:
    try:
        return rules[name](text)
    except ValueError as error:
        raise BadQuery(f"Invalid value for {name}: {error}") from None
