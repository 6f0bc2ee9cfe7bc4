"""What a provider's models speak and can do, from `<provider>/models.json`.

The data files come from the vendors' own documentation; each names its sources and date. They hold more than
is read here (prices, native encodings), for pages that list it. `support` is not the vendor's word but what our
adapter does with it: tests hold every value against what is really sent and told.
"""

from collections.abc import Iterable
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final, Literal

import msgspec

_DETECTION: Final = frozenset({"auto", "multi"})
"""Language values that ask for the provider's own detection (`Options.language`)."""

How = Literal["native", "emulated", "ignored"]
"""Who does it: the vendor; we, by other means; nobody."""


class Support(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a client's wishes with one model."""

    punctuate: How
    """`ignored`: text comes as the vendor writes it, mostly with punctuation."""
    endpointing: How
    """`native` within the vendor's bounds."""
    diarize: How
    partials: How
    """Text while an utterance is spoken; `ignored`: none comes before it is over."""
    words: How
    """Times of words."""
    turn_end: How
    finalize: How
    """The client's request for finals now."""
    language_auto: Literal["native", "emulated", "ignored", "refused"]
    """`language=auto`; `refused`: an error that names who can."""
    multichannel: How
    """Transcripts that say their channel; `ignored`: channels are mixed."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model and what it speaks."""

    id: str
    languages: tuple[str, ...]
    """All of them, BCP-47."""
    languages_monolingual: tuple[str, ...] | None = None
    """Those that can be asked for alone; None: all."""
    multilingual_code_switching: bool = False
    """Whether it follows a speaker from one language into another."""
    support: Support
    native_encodings: tuple[str, ...] = ()
    sample_rates: tuple[int, ...] = ()
    """Hz, taken natively for raw audio."""
    price_per_hour_usd: float | None = None
    """The vendor's list price; None: not known."""


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's models."""

    provider: str
    """Its name in the catalogue."""
    default_model: str
    widest_language_model: str | None = None
    """For languages the default does not speak, where a client names no model; None: the default is the widest."""
    default_model_with_partials: str | None = None
    """Where a client names no model and wants partials; None: the default has them, or no model has."""
    language_aliases: dict[str, str] = {}
    """Languages that the vendor knows by another code, or takes for another."""
    models: tuple[Model, ...]
    as_of: str
    """When the sources were read, as year and month."""
    sources: tuple[str, ...]

    def find(self, model: str) -> Model | None:
        """The model of that name, if the file knows it."""
        return next((known for known in self.models if known.id == model), None)

    def chosen(self, model: str | None, language: str, *, has_partials: bool = False) -> str:
        """The model named, else the default, or what stands in for it where it lacks the partials or the language."""
        if model is not None:
            return model
        if has_partials and self.default_model_with_partials is not None:
            return self.default_model_with_partials
        widest = self.widest_language_model
        is_beyond = widest is not None and self._speaks(widest, language)
        return (
            widest
            if widest and is_beyond and not self._speaks(self.default_model, language)
            else self.default_model
        )

    def _speaks(self, model: str, language: str) -> bool:
        row = self.find(model)
        return row is not None and speaks(row, language)


_INSTALLED: Final[dict[str, Models]] = {}
"""Instead of the file: what this machine has."""


def install(models: Models) -> None:
    """From now on these are the provider's models: the local engine's depend on what is installed and configured."""
    _INSTALLED[models.provider] = models


def load(provider: str) -> Models:
    """The provider's models."""
    return _INSTALLED.get(provider) or packaged(provider)


@cache
def packaged(provider: str) -> Models:
    """The provider's models as its file has them; read once per process."""
    return msgspec.json.decode(_folders().joinpath(provider, "models.json").read_bytes(), type=Models)


@cache
def names() -> tuple[str, ...]:
    """Every provider that has a `models.json`: the catalogue's names, for modules below the catalogue."""
    folders = (folder for folder in _folders().iterdir() if folder.is_dir())
    return tuple(sorted(folder.name for folder in folders if folder.joinpath("models.json").is_file()))


def is_detection(language: str) -> bool:
    """Whether a client leaves the language to the provider."""
    return language.lower() in _DETECTION


def spelled(language: str, languages: Iterable[str]) -> str | None:
    """The language as the vendor spells it. BCP-47 does not tell upper from lower case (RFC 5646 2.1.1)."""
    wanted = language.lower()
    return next((known for known in languages if known.lower() == wanted), None)


def speaks(model: Model, language: str) -> bool:
    """Whether the model speaks it, its region aside, or detects it where the client leaves it open."""
    if is_detection(language):
        return model.support.language_auto != "refused"
    return speaks_as(model, language) is not None


def speaks_as(model: Model, language: str) -> str | None:
    """The code for a language, itself or without its region; None: the model does not speak it."""
    return spelled(language, model.languages) or spelled(language.split("-")[0], model.languages)


def _folders() -> Traversable:
    return resources.files("routeraudio.providers")
