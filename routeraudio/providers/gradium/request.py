"""What is asked of Gradium: which model, which language, which audio."""

from typing import Final

import msgspec

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options
from routeraudio.providers.base import Capabilities
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.models import Models, is_detection, load, spelled

TITLE: Final = "Gradium"

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le",),
    sample_rates=(8000, 16000, 22050, 24000, 44100, 48000),
)
"""Rates: the vendor's Limits page (2026); pipecat trusts only the first two and 24000. Ogg-Opus is native too, but the
next connection of a session would need the stream's first pages again: it is decoded here instead."""

CAPABILITIES_MULAW: Final = msgspec.structs.replace(
    CAPABILITIES, encodings=("pcm_mulaw",), sample_rates=(8000,)
)
"""mu-law comes from telephones only."""


def target(options: Options) -> AudioFormat:
    """What is sent."""
    is_mulaw = options.audio.encoding == "pcm_mulaw"
    return (CAPABILITIES_MULAW if is_mulaw else CAPABILITIES).target(options.audio)


def models() -> Models:
    """Gradium's models and their languages."""
    return load("gradium")


def check(options: Options) -> None:
    """Refuse what cannot work; `diarize` and `punctuate` have no counterpart and are left out.

    Raises:
        ClientFault: a model that is not public (what the vendor does with one is not documented), or a language.
    """
    known = models()
    row = known.find(known.chosen(options.model, options.language))
    if row is None:
        raise unknown_model(TITLE, known, options.model or "")
    if not is_detection(options.language) and spelled(_primary(options.language), row.languages) is None:
        raise unsupported_language(TITLE, known, row, options.language)


def spelled_language(options: Options) -> str:
    """As the vendor spells it; `any` is its detection (pipecat 1.14.0). Regions are not told apart."""
    return "any" if is_detection(options.language) else _primary(options.language).lower()


def _primary(language: str) -> str:
    return language.split("-")[0]


def input_format(audio: AudioFormat) -> str:
    return "ulaw_8000" if audio.encoding == "pcm_mulaw" else f"pcm_{audio.sample_rate}"
