"""What Deepgram allows in a request's query (SDK 7.16, asyncapi.yml 2026-07, its pages 2026-11).

Guesses, marked so: refusing parameters whose name is unknown (the service may ignore them, but an
emulator is there to find the misspelt ones), refusing repeated single parameters, and the wording of most
refusals.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from routeraudio.emulators.kit.rules import Rule, flag, integer
from routeraudio.emulators.kit.sound import RATES


class BadQuery(Exception):
    """A query that is answered with 400.

    Args:
        code: the body's `err_code`.
    """

    def __init__(self, message: str, *, code: str = "INVALID_QUERY_PARAMETER") -> None:
        super().__init__(message)
        self.code = code


Params = tuple[tuple[str, str], ...]


# --- Rules ------------------------------------------------------------------------------------------------


def _names(text: str) -> list[str]:
    return text.split()


def _number(low: float, high: float) -> Rule:
    def read(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise ValueError(f"allowed: a number from {low} to {high}")
        return number

    return read


def _choice(allowed: str) -> Rule:
    choices = _names(allowed)

    def read(value: str) -> str:
        if value not in choices:
            raise ValueError(f"allowed: {', '.join(choices)}")
        return value

    return read


def _text(value: str) -> str:
    if not value or len(value) > 512:
        raise ValueError("allowed: 1 to 512 characters")
    return value


def _tag(value: str) -> str:
    if not 0 < len(value) <= 128:
        raise ValueError("allowed: 1 to 128 characters")
    return value


def _endpointing(value: str) -> int | None:
    """Milliseconds; None: switched off. `true` is not documented."""
    return None if value == "false" else int(integer(0, 10_000)(value))


def _no_callback(value: str) -> str:  # noqa: ARG001 — a rule's signature
    raise ValueError("this emulator calls nobody back")


V1_RULES: Final[Mapping[str, Rule]] = {
    "model": _text,
    "encoding": _choice("linear16 linear32 flac alaw mulaw amr-nb amr-wb opus ogg-opus speex g729"),
    "sample_rate": integer(RATES.start, RATES.stop - 1),
    "channels": integer(1, 16),
    "multichannel": flag,
    "language": _text,
    "language_hint": _text,
    "interim_results": flag,
    "endpointing": _endpointing,
    "utterance_end_ms": integer(1000, 5000),
    "vad_events": flag,
    "punctuate": flag,
    "smart_format": flag,
    "numerals": flag,
    "dictation": flag,
    "profanity_filter": flag,
    "detect_entities": flag,
    "diarize": flag,
    "diarize_model": _choice("latest v1"),
    "redact": _choice("true false pci numbers aggressive_numbers ssn"),
    "replace": _text,
    "search": _text,
    "keyterm": _text,
    "keywords": _text,
    "filler_words": flag,
    "no_delay": flag,
    "mip_opt_out": flag,
    "tag": _tag,
    "extra": _text,
    "version": _text,
    "callback": _no_callback,
    "callback_method": _no_callback,
}

V2_RULES: Final[Mapping[str, Rule]] = {
    "model": _text,
    "encoding": _choice("linear16 linear32 mulaw alaw opus ogg-opus"),
    # 22050 is not among the rates the changelog of 2025-10-16 names; that it is refused is a guess.
    "sample_rate": lambda value: int(_choice("8000 16000 24000 44100 48000")(value)),
    "eot_threshold": _number(0.5, 1.0),
    "eager_eot_threshold": _number(0.3, 0.9),
    "eot_timeout_ms": integer(500, 60_000),
    "language_hint": _choice("de en es fr hi it ja nl pt ru"),
    "keyterm": _text,
    "numerals": flag,
    "profanity_filter": flag,
    "redact": _choice("numbers aggressive_numbers"),
    "mip_opt_out": flag,
    "tag": _tag,
}

_REPEATABLE: Final = frozenset(
    ("language_hint", "redact", "replace", "search", "keyterm", "keywords", "tag", "extra")
)


# --- Models and languages (dossier of 2026-11; legacy models take any language here) ----------------------


_NOVA_2: Final = _names(
    "nova-2 nova-2-general nova-2-meeting nova-2-finance nova-2-conversationalai nova-2-voicemail "
    "nova-2-video nova-2-medical nova-2-drivethru nova-2-automotive nova-2-phonecall nova-2-atc"
)
_LEGACY: Final = _names(
    "nova nova-general nova-phonecall nova-medical enhanced enhanced-general enhanced-meeting "
    "enhanced-phonecall enhanced-finance base base-general base-meeting base-phonecall base-finance "
    "base-conversationalai base-voicemail base-video meeting phonecall finance conversationalai voicemail "
    "video custom"
)
_NOVA_3_LANGUAGES: Final = _names(
    "multi en en-US en-GB en-AU en-NZ en-IN es es-419 fr fr-CA pt pt-BR pt-PT de de-CH nl nl-BE sv sv-SE "
    "da da-DK it tr no id bg cs fi hi hu ja ko ko-KR pl ru uk vi ca et el lv lt ms ro sk be bn bs hr kn "
    "mk mr sr sl ta tl te he fa ur zh-HK th th-TH zh zh-CN zh-Hans zh-TW zh-Hant gu gu-IN pa pa-IN ne af "
    "hy ka ar"
)
_NOVA_2_LANGUAGES: Final = _names(
    "multi bg ca zh zh-CN zh-Hans zh-TW zh-Hant zh-HK cs da nl en en-US en-AU en-GB en-NZ en-IN et fi "
    "nl-BE fr fr-CA de de-CH el hi hu id it ja ko lv lt ms no pl pt pt-BR pt-PT ro ru sk es es-419 sv th "
    "tr uk vi"
)
_ENGLISH: Final = _names("en en-US en-GB en-AU en-NZ en-IN")

MODELS: Final[Mapping[str, list[str] | None]] = {
    "nova-3": _NOVA_3_LANGUAGES,
    "nova-3-general": _NOVA_3_LANGUAGES,
    "nova-3-medical": [*_ENGLISH, "multi"],
    **dict.fromkeys(_NOVA_2, _ENGLISH),
    "nova-2": _NOVA_2_LANGUAGES,
    "nova-2-general": _NOVA_2_LANGUAGES,
    **dict.fromkeys(_LEGACY, None),
}
"""v1 models and their languages; None: not known in detail."""

RAW_ENCODINGS: Final[Mapping[str, Literal["s16le", "f32le", "mulaw", "alaw"]]] = {
    "linear16": "s16le",
    "linear32": "f32le",
    "mulaw": "mulaw",
    "alaw": "alaw",
}

FLUX_MODELS: Final = ("flux-general-en", "flux-general-multi")

KEYTERM_TOKENS_MAX: Final = 500
"""Counted in words here: the service's tokeniser is not public."""


# --- Queries ----------------------------------------------------------------------------------------------


class ListenQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A valid query of `/v1/listen`, as far as it changes what an emulator does."""

    model: str
    language: str = "en"
    encoding: str | None = None
    sample_rate: int | None = None
    channels: int = 1
    multichannel: bool = False
    interim_results: bool = False
    endpointing: int | None = 10
    utterance_end_ms: int | None = None
    vad_events: bool = False
    punctuate: bool = False
    smart_format: bool = False
    diarize: bool = False
    keyterm: tuple[str, ...] = ()


class FluxQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A valid query of `/v2/listen`, as far as it changes what an emulator does."""

    model: str
    encoding: str | None = None
    sample_rate: int | None = None
    eot_threshold: float = 0.7
    eager_eot_threshold: float | None = None
    eot_timeout_ms: int = 5000
    language_hint: tuple[str, ...] = ()
    keyterm: tuple[str, ...] = ()
    numerals: bool = False


def read_listen(params: Params) -> ListenQuery:
    """Check a query of `/v1/listen`.

    Raises:
        BadQuery: as the service would refuse it.
    """
    values = _read(params, V1_RULES)
    values.setdefault("model", "base")  # INFERRED: what the service takes when none is named
    _check_model(values["model"], values.get("language", "en"))
    _check_raw(values)
    _check_terms(values)
    if "diarize_model" in values:
        values["diarize"] = True
    return msgspec.convert(values, ListenQuery)


def read_flux(params: Params) -> FluxQuery:
    """Check a query of `/v2/listen`.

    Raises:
        BadQuery: as the service would refuse it.
    """
    values = _read(params, V2_RULES)
    model = values.get("model")
    if model not in FLUX_MODELS:
        raise BadQuery(f"model must be one of {', '.join(FLUX_MODELS)} on /v2/listen")
    if "language_hint" in values and model != "flux-general-multi":
        raise BadQuery("language_hint is only available with flux-general-multi")
    _check_raw(values)
    return msgspec.convert(values, FluxQuery)


def _read(params: Params, rules: Mapping[str, Rule]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in params:
        value = _value(name, text, rules)
        if name in _REPEATABLE:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise BadQuery(f"{name} is given twice")
        else:
            values[name] = value
    return values


def _value(name: str, text: str, rules: Mapping[str, Rule]) -> Any:
    if name not in rules:
        raise BadQuery(f"unknown parameter {name}")
    try:
        return rules[name](text)
    except ValueError as error:
        raise BadQuery(f"{name}: {error}") from None


def _check_model(model: str, language: str) -> None:
    languages = MODELS.get(model, [])
    if languages is not None and language not in languages:
        raise BadQuery("Bad Request: No such model/language/tier combination found.", code="Bad Request")


def _check_raw(values: Mapping[str, Any]) -> None:
    encoding = values.get("encoding")
    if encoding is None or encoding in ("ogg-opus", "flac"):
        return
    if "sample_rate" not in values:
        raise BadQuery(f"sample_rate is required with encoding {encoding}", code="Bad Request")
    fixed = {"amr-nb": 8000, "amr-wb": 16000}.get(encoding)
    if fixed is not None and values["sample_rate"] != fixed:
        raise BadQuery(f"sample_rate must be {fixed} with encoding {encoding}", code="Bad Request")
    if encoding in ("amr-nb", "amr-wb", "speex", "g729"):
        raise BadQuery(f"this emulator does not decode {encoding}", code="Bad Request")


def _check_terms(values: Mapping[str, Any]) -> None:
    is_nova_3 = values["model"].startswith("nova-3")
    if "keywords" in values and is_nova_3:
        raise BadQuery("keywords are not supported by nova-3; use keyterm", code="Bad Request")
    if "keyterm" in values and not is_nova_3:
        raise BadQuery("keyterm is only supported by nova-3", code="Bad Request")
    if count_tokens(values.get("keyterm", ())) > KEYTERM_TOKENS_MAX:
        raise BadQuery(f"keyterm: at most {KEYTERM_TOKENS_MAX} tokens", code="Bad Request")


def count_tokens(keyterms: tuple[str, ...] | list[str]) -> int:
    """Words of all key terms together."""
    return sum(len(term.split()) for term in keyterms)
