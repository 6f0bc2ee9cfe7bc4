"""What can be asked of the local engine: its models and their languages."""

from typing import Final

from routeraudio.model.audio import PCM_16K_MONO, AudioFormat
from routeraudio.model.options import Options
from routeraudio.providers.compatibility import unknown_model, unsupported_language
from routeraudio.providers.models import Model, Models, is_detection, load, speaks

TITLE: Final = "the local engine"


def target(_options: Options) -> AudioFormat:
    """What the engine is sent, whatever the client sends."""
    return PCM_16K_MONO


def models() -> Models:
    """The engine's models."""
    return load("local")


def punctuates(options: Options) -> bool:
    """Whether the model that is meant writes punctuation, and can leave it out."""
    row = _meant(options)
    return row is not None and row.support.punctuate == "native"


def is_choice(options: Options) -> bool:
    """Whether a language was named to a model that speaks several."""
    row = _meant(options)
    return row is not None and len(row.languages) > 1 and not is_detection(options.language)


def _meant(options: Options) -> Model | None:
    return models().find(models().chosen(options.model, options.language))


def check(options: Options) -> None:
    """Refuse what the engine cannot do. Whoever leaves the language open gets English; `diarize` is left out.

    Raises:
        ClientFault: another model or language.
    """
    known = models()
    row = known.find(known.chosen(options.model, options.language))
    if row is None:
        raise unknown_model(TITLE, known, options.model or "")
    if not speaks(row, options.language):
        raise unsupported_language(TITLE, known, row, options.language)
