"""What `provider=` may name: one provider, several in their order, a route of the configuration, or `auto`."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from routeraudio.config.schema import Config, RouteTable
from routeraudio.model.errors import invalid_parameter
from routeraudio.model.options import Options
from routeraudio.policy.routing import Strategy
from routeraudio.providers import models
from routeraudio.providers.languages import canonical
from routeraudio.routes.routes import Route

AUTO: Final = "auto"

NAMES_MAX: Final = 16
"""Providers in one request's list."""


class Choice(msgspec.Struct, frozen=True):
    """A provider that may serve, and the model that is to."""

    provider: str
    model: str | None = None
    """None: the client's, or the provider's default."""


class Expanded(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, as providers."""

    choices: tuple[Choice, ...]
    strategy: Strategy = "order"
    weights: tuple[float, ...] = ()
    table: RouteTable | None = None
    """The configuration's, where one was named."""


def expand(text: str, options: Options, config: Config, routes: Mapping[str, Route]) -> Expanded:
    """Read ``text``.

    Raises:
        ClientFault: it names nobody that is known here.
    """
    if text in routes:
        return Expanded(choices=(Choice(text),))
    table = config.routes.get(text)
    if table is not None:
        choices = tuple(_choice(one, routes) for one in table.providers)
        return Expanded(choices=choices, strategy=table.strategy, weights=table.weights, table=table)
    if text == AUTO:
        return Expanded(choices=_speaking(options, routes))
    names = [name.strip() for name in text.split(",")]
    if len(names) > NAMES_MAX:
        raise invalid_parameter("provider", f"provider: expected at most {NAMES_MAX} names")
    if len(names) == 1 and "/" not in text:
        raise _unknown(routes, config)
    return Expanded(choices=tuple(dict.fromkeys(_choice(name, routes, config) for name in names)))


def _choice(text: str, routes: Mapping[str, Route], config: Config | None = None) -> Choice:
    provider, _, model = text.partition("/")
    if provider not in routes:
        raise _unknown(routes, config)
    return Choice(provider, model or None)


def _speaking(options: Options, routes: Mapping[str, Route]) -> tuple[Choice, ...]:
    """Every configured provider that speaks the language and has the model asked for."""
    found = [
        Choice(name)
        for name, route in routes.items()
        if route.is_configured and _can(models.load(name), options)
    ]
    if not found:
        raise invalid_parameter(
            "provider",
            f"provider=auto: no provider that is configured here speaks {options.language!r}"
            + (f" with the model {options.model!r}" if options.model else ""),
        )
    return tuple(found)


def _can(known: models.Models, options: Options) -> bool:
    if options.model is not None and known.find(options.model) is None:
        return False
    rows: Sequence[models.Model] = [one for one in known.models if options.model in (None, one.id)]
    if models.is_detection(options.language):
        return any(one.support.language_auto in ("native", "emulated") for one in rows)
    language = canonical(options.language)
    return any(models.speaks_as(one, language) is not None for one in rows)


def _unknown(routes: Mapping[str, Route], config: Config | None) -> Exception:
    own = [] if config is None else [name for name in config.routes if name not in routes]
    names = ", ".join((*routes, *own, AUTO))
    message = f"parameter provider: expected one of {names}, or several of them with commas between"
    return invalid_parameter("provider", message)
