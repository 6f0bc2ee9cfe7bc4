"""What ElevenLabs allows in the query of a realtime session (SDK 2.78.0, AsyncAPI file of 2026-08-22).

Guesses, marked so: that unknown parameters and repeated single ones are refused (the service may ignore them, but
an emulator is there to find the misspelt ones), and the wording of all refusals.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from routeraudio.emulators.kit.rules import Rule, flag, integer


class BadQuery(Exception):
    """A query that is answered with `invalid_request`; names the parameter and what is allowed."""


Params = tuple[tuple[str, str], ...]

MODELS: Final = ("scribe_v2_realtime", "scribe_v2_realtime_turbo", "scribe_v3_live")

FORMATS: Final = ("pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100", "pcm_48000", "ulaw_8000")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LANGUAGES: Final = _names(
    "afr amh ara asm ast aze bel ben bos bul cat ceb ces cmn zho cym dan deu ell eng est fas fil fin fra ful gle "
    "glg guj hau heb hin hrv hun hye ibo ind isl ita jav jpn kan kat kaz kea khm kir kor kur lao lav lin lit ltz "
    "lug luo mal mar mkd mlt mon mri msa mya nep nld nor nso nya oci ori pan pol por pus ron rus slk slv sna snd "
    "som spa srp swa swe tam tel tgk tha tur ukr umb urd uzb vie wol xho yue zul "
    "af am ar as az be bn bs bg ca zh cs cy da de el en et fa fi fr ff ga gl gu ha he hi hr hu hy ig id is it jv "
    "ja kn ka kk km ky ko ku lo lv ln lt lb lg ml mr mk mt mn mi ms my ne nl no ny oc or pa pl pt ps ro ru sk sl "
    "sn sd so es sr sw sv ta te tg th tr uk ur uz vi wo xh zu"
)
"""ISO 639-1 and 639-3, without regions, which are refused (vendor's language table)."""

KEYTERMS_MAX: Final = 50


def _number(low: float, high: float) -> Rule:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise ValueError(f"allowed: a number from {low:g} to {high:g}")
        return number

    return read


def _choice(*allowed: str) -> Rule:
    def read(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"allowed: {', '.join(allowed)}")
        return value

    return read


def _text(longest: int) -> Rule:
    def read(value: str) -> str:
        if not 0 < len(value) <= longest:
            raise ValueError(f"allowed: 1 to {longest} characters")
        return value

    return read


def _language(value: str) -> str:
    if value not in LANGUAGES:
        raise ValueError("allowed: an ISO 639-1 or 639-3 code without region")
    return value


RULES: Final[Mapping[str, Rule]] = {
    "model_id": _choice(*MODELS),
    "audio_format": _choice(*FORMATS),
    "language_code": _language,
    "secondary_languages": _language,
    "commit_strategy": _choice("manual", "vad", "turn_prediction"),
    "vad_silence_threshold_secs": _number(0.3, 3.0),
    "vad_threshold": _number(0.1, 0.9),
    "min_speech_duration_ms": integer(50, 2000),
    "min_silence_duration_ms": integer(50, 2000),
    "include_timestamps": flag,
    "include_language_detection": flag,
    "keyterms": _text(20),
    "no_verbatim": flag,
    "filter_background_audio": flag,
    "entity_detection": _text(100),
    "entity_redaction": _text(100),
    "entity_redaction_mode": _choice("redacted", "entity_type", "enumerated_entity_type"),
    "transcript_edit": _text(2000),
    "enable_logging": flag,
    "token": _text(4096),
}

_REPEATABLE: Final = frozenset(("secondary_languages", "keyterms", "entity_detection", "entity_redaction"))


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A valid query, as far as it changes what an emulator does."""

    model_id: str
    audio_format: str = "pcm_16000"
    language_code: str | None = None
    commit_strategy: str = "manual"
    vad_silence_threshold_secs: float = 1.5
    vad_threshold: float = 0.4
    min_speech_duration_ms: int = 100
    min_silence_duration_ms: int = 100
    include_timestamps: bool = False
    include_language_detection: bool = False
    enable_logging: bool = True

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return int(self.audio_format.partition("_")[2])

    @property
    def commits_itself(self) -> bool:
        """Whether the service decides when a segment is over."""
        return self.commit_strategy != "manual"


def read_query(params: Params) -> Query:
    """Check a query.

    Raises:
        BadQuery: as the service would refuse it.
    """
    values: dict[str, Any] = {}
    for name, text in params:
        value = _value(name, text)
        if name in _REPEATABLE:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise BadQuery(f"{name} is given twice")
        else:
            values[name] = value
    _check(values)
    return msgspec.convert(values, Query)


def _value(name: str, text: str) -> Any:
    if name not in RULES:
        raise BadQuery(f"unknown parameter {name}")
    try:
        return RULES[name](text)
    except ValueError as error:
        raise BadQuery(f"{name}: {error}") from None


def _check(values: Mapping[str, Any]) -> None:
    if "model_id" not in values:
        raise BadQuery("model_id is required")
    if len(values.get("keyterms", ())) > KEYTERMS_MAX:
        raise BadQuery(f"keyterms: at most {KEYTERMS_MAX}")
    if values.get("filter_background_audio") and values.get("include_timestamps"):
        raise BadQuery("filter_background_audio cannot be combined with include_timestamps")
    if "transcript_edit" in values and ("entity_detection" in values or "entity_redaction" in values):
        raise BadQuery("transcript_edit cannot be combined with entity_detection or entity_redaction")
