"""The price in force."""

from decimal import Decimal
from typing import Any

import pytest

from routeraudio.config.schema import Provider
from routeraudio.model.errors import ClientFault
from routeraudio.policy.pricing import micro_usd
from routeraudio.providers import models
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.routes.prices import price_per_hour

OURS = Provider(price_per_hour_usd=Decimal("1.25"))
BOTH = Provider(price_per_hour_usd=Decimal("1.25"), gateway_price_per_hour_usd=Decimal(0))


@pytest.mark.parametrize(
    ("provider", "settings", "given", "price"),
    [
        ("assemblyai", None, {"is_gateway": True}, "0.15"),
        ("elevenlabs", None, {"is_gateway": True}, "0.39"),
        ("elevenlabs", Provider(), {"is_gateway": True}, "0.39"),
        ("elevenlabs", OURS, {"is_gateway": True}, "1.25"),
        ("elevenlabs", BOTH, {"is_gateway": True}, "0"),
        ("elevenlabs", BOTH, {}, "1.25"),
        ("elevenlabs", BOTH, {"is_own_key": True}, "0"),
        ("assemblyai", None, {"is_gateway": True, "is_own_key": True}, "0"),
        ("local", None, {}, "0"),
        ("local", OURS, {}, "1.25"),
        ("deepgram", None, {"model": "no-such-model"}, "0"),
    ],
)
def test_whose_price(provider: str, settings: Provider | None, given: dict[str, Any], price: str) -> None:
    """Nothing for an own key; else configured; else the gateway's; else the catalogue's; else nothing."""
    asked: dict[str, Any] = {"model": None, "is_own_key": False, "is_gateway": False, **given}
    assert price_per_hour(provider, settings=settings, **asked) == Decimal(price)


@pytest.mark.parametrize(
    ("provider", "model", "settings", "given", "price"),
    [
        ("deepgram", "nova-2", None, {}, "0.462"),
        ("deepgram", "any-invented-name", None, {"is_gateway": True}, "0.462"),
        ("elevenlabs", "scribe_v3_live", None, {}, "0.39"),
        ("deepgram", "nova-3", None, {}, "0.348"),
        ("deepgram", "nova-2", OURS, {}, "1.25"),
        ("gradium", None, OURS, {}, "1.25"),
        ("gradium", None, None, {"is_own_key": True}, "0"),
        ("local", None, None, {}, "0"),
    ],
)
def test_a_budget_binds(
    provider: str, model: str | None, settings: Provider | None, given: dict[str, Any], price: str
) -> None:
    """A model whose price nobody knows costs a key with a budget what the provider's dearest one does."""
    asked: dict[str, Any] = {"is_own_key": False, "is_gateway": False, "is_bounded": True, **given}
    dearest = max(one.price_per_hour_usd or 0 for one in models.load(provider).models)
    expected = Decimal(repr(dearest)) if price == "0.462" else Decimal(price)
    assert price_per_hour(provider, model, settings, **asked) == expected


@pytest.mark.parametrize("provider", ["gradium", "speechmatics", "vachana"])
def test_without_any_price_a_budget_is_refused(provider: str) -> None:
    """Naming what to configure."""
    with pytest.raises(ClientFault, match=rf"price_per_hour_usd in \[providers\.{provider}\]"):
        price_per_hour(provider, None, None, is_own_key=False, is_gateway=False, is_bounded=True)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_catalogues_prices_are_exact(provider: str) -> None:
    """As the data files have them, letter by letter, for the ledger to count in."""
    for model in models.load(provider).models:
        price = price_per_hour(provider, model.id, None, is_own_key=False, is_gateway=False)
        assert price == Decimal(repr(model.price_per_hour_usd or 0))
        assert micro_usd(price) >= 0
    default = price_per_hour(provider, None, None, is_own_key=False, is_gateway=False)
    assert default == price_per_hour(
        provider, models.load(provider).default_model, None, is_own_key=False, is_gateway=False
    )
