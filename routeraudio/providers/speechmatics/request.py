"""What a client's wish is in Speechmatics' words: audio, model, language, and the `transcription_config`.

Reference: https://docs.speechmatics.com/api-ref/realtime-transcription-websocket (2026-08).
"""

from typing import Any, Final

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.options import Options
from routeraudio.providers.base import Capabilities
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.models import Model, Models, load

TITLE: Final = "Speechmatics"

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le", "pcm_mulaw"),
)
"""Ogg and MP3 are taken too, as `{"type":"file"}`, but how long its demuxer holds audio back is not known."""

_MULAW_RATE: Final = 8000
"""Hz. The schema allows other rates for mu-law; nobody is known to use them."""

TRIGGER_S: Final = (0.05, 2.0)
"""What `end_of_utterance_silence_trigger` may be, besides 0 for off (reference). INFERRED: the lower end."""

_MAX_DELAY_S: Final = (0.7, 4.0)
"""What `max_delay` may be (reference)."""

_DELAY_MARGIN_S: Final = 0.2
"""INFERRED: the trigger must stay below `max_delay`, says the vendor, and not by how much."""

PACKS: Final = {
    "ar-en": "ar_en",
    "en-ms": "en_ms",
    "cmn-en": "cmn_en",
    "cmn-en-ms-ta": "cmn_en_ms_ta",
    "en-ta": "en_ta",
}
"""Language packs that understand several languages, by the code a client may send."""

ALIASES: Final = {"zh": "cmn", "nb": "no", "nn": "no", "fil": "tl"}
"""BCP-47 languages that the vendor knows by another code."""

_CANTONESE: Final = frozenset({"hk", "yue"})

_SCRIPTS: Final = {
    "hans": "cmn-Hans",
    "cn": "cmn-Hans",
    "sg": "cmn-Hans",
    "hant": "cmn-Hant",
    "tw": "cmn-Hant",
    "mo": "cmn-Hant",
}
"""Chinese scripts and the regions that write them, as `output_locale`."""

_LOCALES: Final = {"en-gb": "en-GB", "en-us": "en-US", "en-au": "en-AU"}
"""Regions whose spelling the vendor can write. Other regions change nothing and are left out."""


def audio_parameters(audio: AudioFormat) -> dict[str, Any]:
    """`audio_format`: all three fields are required for raw audio, which is mono."""
    encoding = "mulaw" if audio.encoding == "pcm_mulaw" else "pcm_s16le"
    return {"type": "raw", "encoding": encoding, "sample_rate": audio.sample_rate}


def recognition_parameters(options: Options) -> dict[str, Any]:
    """`transcription_config`: what the vendor does by itself is not said."""
    model = known_model(options.model)
    language, locale = spelled_language(model, options.language)
    parameters: dict[str, Any] = {
        "language": language,
        "model": model.id,
        "enable_partials": options.partial_results,
    }
    if locale is not None:
        parameters["output_locale"] = locale
    silence_s = trigger_s(options.endpointing_ms)
    if silence_s:
        parameters["conversation_config"] = {"end_of_utterance_silence_trigger": silence_s}
        parameters["max_delay"] = round(_clamped(silence_s + _DELAY_MARGIN_S, _MAX_DELAY_S), 3)
    if options.diarize:
        parameters["diarization"] = "speaker"
    if not options.punctuate:
        parameters["punctuation_overrides"] = {"permitted_marks": []}
    return parameters


def target(options: Options) -> AudioFormat:
    """What the vendor is sent."""
    audio = options.audio
    if audio.encoding == "pcm_mulaw" and audio.sample_rate != _MULAW_RATE:
        return PCM_16K_MONO
    return CAPABILITIES.target(audio)


def trigger_s(endpointing_ms: int) -> float:
    """Seconds of silence that end an utterance; 0: none does, and every sentence is one."""
    return _clamped(endpointing_ms / 1000, TRIGGER_S) if endpointing_ms else 0.0


def check(options: Options) -> None:
    """Refuse what cannot work.

    Raises:
        ClientFault: a model or a language that the vendor does not have.
    """
    spelled_language(known_model(options.model), options.language)


def models() -> Models:
    """Speechmatics' models and their languages."""
    return load("speechmatics")


def spelled_language(model: Model, language: str) -> tuple[str, str | None]:
    """The language as Speechmatics spells it, and the `output_locale` where it can tell regions apart.

    Raises:
        ClientFault: `unsupported_language`, naming alternatives.
    """
    tag = language.lower()
    code, locale = PACKS.get(tag.replace("_", "-")), None
    if code is None:
        code, locale = _mapped(tag)
        if code not in model.languages:
            raise unsupported_language(TITLE, models(), model, language)
    return code, locale


def _mapped(tag: str) -> tuple[str, str | None]:
    first, *rest = tag.split("-")
    code = ALIASES.get(first, first)
    if code != "cmn":
        return code, _LOCALES.get(tag)
    if not _CANTONESE.isdisjoint(rest):
        return "yue", None
    return code, next((_SCRIPTS[part] for part in rest if part in _SCRIPTS), None)


def known_model(name: str | None) -> Model:
    """The model of that name, the default one without a name.

    Raises:
        ClientFault: there is no such model.
    """
    found = models().find(name or models().default_model)
    if found is None:
        raise unknown_model(TITLE, models(), name or "")
    return found


def _clamped(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
