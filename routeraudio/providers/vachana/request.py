"""What can be asked of Vachana: which language, which audio. There is one model."""

from typing import Final

from routeraudio.model.audio import AudioFormat
from routeraudio.model.options import Options
from routeraudio.providers.base import Capabilities
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.models import Models, load, spelled

TITLE: Final = "Vachana"

CAPABILITIES: Final = Capabilities(
    encodings=("pcm_s16le",),
    sample_rates=(8000, 16000, 44100, 48000),
)

_REGION: Final = "-IN"
"""All its languages are those of India: `hi` is `hi-IN`."""


def target(options: Options) -> AudioFormat:
    """What is sent."""
    return CAPABILITIES.target(options.audio)


def models() -> Models:
    """Vachana's model and its languages."""
    return load("vachana")


def check(options: Options) -> None:
    """Refuse what cannot work; `diarize`, `punctuate`, `endpointing_ms` have no counterpart and are left out.

    Raises:
        ClientFault: another model; another language or region; detection, which the vendor has withdrawn.
    """
    known = models()
    row = known.find(known.chosen(options.model, options.language))
    if row is None:
        raise unknown_model(TITLE, known, options.model or "")
    if spelled_language(options.language) is None:
        raise unsupported_language(TITLE, known, row, options.language)


def spelled_language(language: str) -> str | None:
    """As the vendor spells it; None: it does not speak it. `bn-BD` is not `bn-IN`."""
    [model] = models().models
    return spelled(language, model.languages) or spelled(language + _REGION, model.languages)
