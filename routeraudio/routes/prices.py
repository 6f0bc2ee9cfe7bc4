"""What an hour of audio costs a key's holder: configured, else what the catalogue knows."""

from decimal import Decimal
from typing import Final

from routeraudio.config.schema import Provider
from routeraudio.model.errors import forbidden
from routeraudio.providers import models
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.providers.models import Models

FREE: Final = Decimal(0)

_MICRO: Final = Decimal("0.000001")
"""The ledger's smallest part of a price."""


def price_per_hour(
    provider: str,
    model: str | None,
    settings: Provider | None,
    *,
    is_own_key: bool,
    is_gateway: bool,
    is_bounded: bool = False,
) -> Decimal:
    """The price in force, in dollars, with at most six decimals.

    Args:
        model: None: the provider's default.
        settings: the provider's table of the configuration.
        is_own_key: the client brought the provider's key, and pays there.
        is_gateway: through the transparent gateway or stream pull, which have prices of their own.
        is_bounded: the holder has a budget, which an unknown price would make endless.

    Raises:
        ClientFault: nobody knows a price, and there is a budget to keep.
    """
    if is_own_key:
        return FREE
    configured = _configured(settings, is_gateway)
    if configured is not None:
        return configured
    of_gateway = PROVIDERS[provider].gateway_price_per_hour_usd
    if is_gateway and of_gateway is not None:
        return of_gateway
    known = models.load(provider)
    listed = known.find(known.default_model if model is None else model)
    price = None if listed is None else listed.price_per_hour_usd
    if price is None and is_bounded:
        price = _dearest(provider, known, model)
    # repr: the shortest text for a float is what stands in the data file.
    return FREE if price is None else Decimal(repr(price)).quantize(_MICRO)


def _dearest(provider: str, known: Models, model: str | None) -> float:
    """In doubt against the holder of a budget: it would not bind otherwise."""
    prices = [one.price_per_hour_usd for one in known.models if one.price_per_hour_usd is not None]
    if not prices:
        raise forbidden(
            f"no price is known for {model or known.default_model} of {PROVIDERS[provider].title}, and this key has a "
            f"budget; the operator sets price_per_hour_usd in [providers.{provider}]"
        )
    return max(prices)


def _configured(settings: Provider | None, is_gateway: bool) -> Decimal | None:
    if settings is None:
        return None
    if is_gateway and settings.gateway_price_per_hour_usd is not None:
        return settings.gateway_price_per_hour_usd
    return settings.price_per_hour_usd
