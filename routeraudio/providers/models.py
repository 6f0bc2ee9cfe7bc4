"""Which languages a provider's models speak, from `data/<provider>.json`.

The data files come from the vendors' own documentation; each names its sources and date. They hold more than
is read here (prices, native encodings), for pages that list it.
"""

from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Final

import msgspec

from routeraudio.model.errors import ClientFault, CloseCode

_DETECTION: Final = frozenset({"auto", "multi"})
"""Language values that ask for the provider's own detection (`Options.language`)."""

_NAMED_MAX: Final = 12
"""Alternatives named in an error: enough to find one's own, short enough to read."""

_ECHO_MAX: Final = 40
"""Characters of a client's value that an error repeats; BCP-47 tags have at most 35 (RFC 5646 4.4.1)."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model and what it speaks."""

    id: str
    languages: tuple[str, ...]
    """All of them, BCP-47."""
    languages_monolingual: tuple[str, ...] | None = None
    """Those that can be asked for alone; None: all."""
    multilingual_code_switching: bool = False
    """Whether it finds out by itself which language is spoken."""
    partials: bool = True
    diarize: bool = False
    turn_end: bool = False
    native_encodings: tuple[str, ...] = ()
    sample_rates: tuple[int, ...] = ()
    """Hz, taken natively for raw audio."""
    price_per_hour_usd: float | None = None
    """The vendor's list price; None: not known."""


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's models."""

    default_model: str
    models: tuple[Model, ...]
    as_of: str
    """When the sources were read, as year and month."""
    sources: tuple[str, ...]

    def find(self, model: str) -> Model | None:
        """The model of that name, if the file knows it."""
        return next((known for known in self.models if known.id == model), None)


@cache
def load(provider: str) -> Models:
    """The provider's models; the file is read once per process."""
    file = resources.files("routeraudio.providers").joinpath("data", f"{provider}.json")
    return msgspec.json.decode(file.read_bytes(), type=Models)


def is_detection(language: str) -> bool:
    """Whether a client leaves the language to the provider."""
    return language.lower() in _DETECTION


def spelled(language: str, languages: Iterable[str]) -> str | None:
    """The language as the vendor spells it. BCP-47 does not tell upper from lower case (RFC 5646 2.1.1)."""
    wanted = language.lower()
    return next((known for known in languages if known.lower() == wanted), None)


def unsupported_language(title: str, models: Models, model: Model, language: str) -> ClientFault:
    """The refusal of a language, naming the nearest that would work."""
    return ClientFault(
        f"{title}'s {model.id} {_problem(language)}; {_advice(models, model, language)}",
        code="unsupported_language",
        close_code=CloseCode.UNSUPPORTED_DATA,
        parameter="language",
    )


def shown(value: str) -> str:
    """A client's value as an error may repeat it."""
    return repr(value if len(value) <= _ECHO_MAX else value[: _ECHO_MAX - 1] + "…")


def _problem(language: str) -> str:
    if is_detection(language):
        return "cannot detect the language"
    return f"does not speak {shown(language)}"


def _advice(models: Models, model: Model, language: str) -> str:
    """Its relatives in the same model, else other models that speak it, else what this one speaks."""
    family = language.lower().split("-")[0]
    relatives = [known for known in model.languages if known.lower().split("-")[0] == family]
    if relatives:
        return f"nearest: {_listed(relatives)}"
    others = [other.id for other in models.models if _can(other, language)]
    if others:
        return f"models that can: {_listed(others)}; or use {_listed(model.languages)}"
    return f"use one of: {_listed(model.languages)}"


def _can(model: Model, language: str) -> bool:
    if is_detection(language):
        return model.multilingual_code_switching
    return spelled(language, model.languages) is not None


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = len(every) - _NAMED_MAX
    return ", ".join(every[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
