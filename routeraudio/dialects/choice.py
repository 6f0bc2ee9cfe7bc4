"""What a client of another vendor means: it has a place for a model and none for a provider, perhaps no language."""

from typing import Final

import msgspec

from routeraudio.model.errors import ClientFault, invalid_parameter
from routeraudio.model.options import Options
from routeraudio.providers import models
from routeraudio.providers.catalog import PROVIDERS

DETECTION: Final = "auto"
"""The language of clients that name none."""


class Choice(msgspec.Struct, frozen=True):
    """A provider and its model."""

    provider: str = ""
    """Empty: the usual one of the key."""
    model: str | None = None
    is_vendors: bool = False
    """Whether the model is a name of the protocol's vendor, which other providers need not know."""


DEFAULT: Final = Choice()


def chosen(model: str | None, place: Choice = DEFAULT) -> Choice:
    """What ``model`` says, which is `PROVIDER`, `PROVIDER/MODEL` or a name of the vendor's; else what the path says."""
    named, _, rest = (model or "").partition("/")
    if named in PROVIDERS:
        return Choice(named, rest or None)
    if place.model is not None or model is None:
        return place
    return Choice(place.provider, model, is_vendors=True)


def unknown_provider(name: str | None) -> list[ClientFault]:
    """What is wrong with the provider that a path names; None: it names none."""
    if name is None or name in PROVIDERS:
        return []
    return [invalid_parameter("path", f"the path names no provider; use one of {', '.join(PROVIDERS)}")]


def serving(options: Options) -> models.Model | None:
    """The model that serves; None: the operator's own, of which nobody knows anything."""
    known = models.load(options.provider)
    return known.find(known.chosen(options.model, options.language, has_partials=options.partial_results))


def detected_or_english(options: Options) -> Options:
    """The options for the provider and model that serve: where they detect no languages, English is meant."""
    model = serving(options)
    if options.language != DETECTION or model is None:
        return options
    if model.support.language_auto in ("native", "emulated"):
        return options
    return msgspec.structs.replace(options, language="en")
