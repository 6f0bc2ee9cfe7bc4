"""What can be asked of ElevenLabs, and how it is asked: models, languages, formats, the query."""

import re
from typing import Final

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options
from routeraudio.providers.base import Capabilities
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.elevenlabs.messages import TITLE
from routeraudio.providers.models import Models, is_detection, load, spelled

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le",), sample_rates=(8000, 16000, 22050, 24000, 44100, 48000)
)
MULAW_CAPABILITIES: Final = Capabilities(encodings=("pcm_mulaw",), sample_rates=(8000,))
"""Mu-law is taken at 8 kHz only, mono as everything. No containers at all. The length of a session is limited
(`session_time_limit_exceeded`), but the limit is not published. Diarization has response types, but no parameter."""

_SILENCE_MS: Final = (300, 3000)
"""What `vad_silence_threshold_secs` may be."""

_MODEL_NAME: Final = re.compile(r"scribe_[a-z0-9_]{1,64}")
_MODELS_BATCH: Final = re.compile(r"scribe_v\d+(_experimental)?")


def target(options: Options) -> AudioFormat:
    """What the vendor is sent: mu-law at 8 kHz and PCM untouched, all else as 16 kHz PCM."""
    is_mulaw = options.audio.encoding == "pcm_mulaw"
    return (MULAW_CAPABILITIES if is_mulaw else CAPABILITIES).target(options.audio)


def silence_ms(options: Options) -> int:
    """The silence after which the voice detection commits: what was wished, within its bounds."""
    return min(max(options.endpointing_ms, _SILENCE_MS[0]), _SILENCE_MS[1])


def parameters(options: Options, audio: AudioFormat) -> list[tuple[str, str]]:
    """The query, always in the same order: that of the vendor's SDK."""
    encoding = "pcm" if audio.encoding == "pcm_s16le" else "ulaw"
    query = [
        ("model_id", options.model or models().default_model),
        ("audio_format", f"{encoding}_{audio.sample_rate}"),
        ("commit_strategy", "vad"),
        ("vad_silence_threshold_secs", f"{silence_ms(options) / 1000:g}"),
    ]
    if not is_detection(options.language):
        query.append(("language_code", _language_code(options.language)))
    query.append(("include_timestamps", "true"))
    return query


def models() -> Models:
    """ElevenLabs' models and their languages."""
    return load("elevenlabs")


def check(options: Options) -> None:
    """Refuse what cannot work.

    A realtime model that the data file does not know is passed on: it may be newer, and ElevenLabs' refusal of a
    misspelled one names it. Every encoding works: what is not native is converted.

    Raises:
        ClientFault: a model that does not stream, or a language that the model does not speak.
    """
    model = options.model or models().default_model
    row = models().find(model)
    if row is None:
        _check_unknown(model)
    elif not is_detection(options.language) and not spelled(_language_code(options.language), row.languages):
        raise unsupported_language(TITLE, models(), row, options.language)


def _check_unknown(model: str) -> None:
    is_batch = bool(_MODELS_BATCH.fullmatch(model))
    if is_batch or not _MODEL_NAME.fullmatch(model):
        because = "does not stream" if is_batch else "is not a model's name"
        raise unknown_model(TITLE, models(), model, because)


def _language_code(language: str) -> str:
    """ISO 639 without region: `pt` for `pt-BR`, which would be refused (LiveKit)."""
    return language.lower().split("-")[0]
