"""What no single value can tell: ranges of limits, addresses, and keys that only make sense together."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

import msgspec

from routeraudio.config import address
from routeraudio.config.decode import came, expected, unknown
from routeraudio.config.schema import (
    WEEK_S,
    Config,
    Key,
    Price,
    Provider,
    Pull,
    RouteTable,
    Server,
    Store,
    Wyoming,
)
from routeraudio.config.source import Path, Source
from routeraudio.policy.limits import Limits

CEILINGS: Final[Mapping[str, float]] = {
    "_bytes": 1 << 30,
    "_max": 1_000_000,
    "_per_s": 1_000_000,
    "_s": WEEK_S,
}
"""By ending of the name, the first that fits. Above these a limit is a typing error: a gibibyte per message,
a million sessions, a week of waiting."""

PRICE_MAX: Final = 1000
"""Dollars per hour. A price above is one per month in the wrong place."""
PRICE_DECIMALS_MAX: Final = 6

_PRICES: Final = ("price_per_hour_usd", "gateway_price_per_hour_usd")

_STORES: Final = re.compile(r"sqlite://(?:/[^?#\n]*)?|postgres(?:ql)?://.+")

LOCAL: Final = "local"
_LOCAL_ONLY: Final = ("spawn", "workers_max", "backend", "models")


def check(config: Config, source: Source, catalogue: Sequence[str]) -> None:
    """Refuse a configuration whose values are fine one by one and wrong together.

    Args:
        catalogue: the names a provider may have.

    Raises:
        ConfigFault: naming the first such key.
    """
    _server(config.server, source)
    _store(config.store, source)
    _pull(config.pull, source)
    _limits(config.limits, source)
    for name, provider in config.providers.items():
        if name not in catalogue:
            raise source.fault(("providers", name), unknown(name, catalogue, what="provider"))
        _provider(name, provider, source)
    for name, route in config.routes.items():
        _route(name, route, source, catalogue)
    _keys(config.keys, source)
    for at, listener in enumerate(config.wyoming):
        _wyoming(listener, ("wyoming", at), source, catalogue)


def _route(name: str, route: RouteTable, source: Source, catalogue: Sequence[str]) -> None:
    if name in catalogue:
        raise source.fault(("routes", name), "is the name of a provider; expected another one")
    for text in route.providers:
        provider = text.partition("/")[0]
        if provider not in catalogue:
            raise source.fault(("routes", name, "providers"), unknown(provider, catalogue, what="provider"))
    if len(set(route.providers)) < len(route.providers):
        raise source.fault(("routes", name, "providers"), "names a provider twice")
    wanted = len(route.providers) if route.strategy == "weighted" else 0
    if len(route.weights) != wanted:
        message = (
            f"expected {wanted} numbers, one for each provider" if wanted else 'needs strategy = "weighted"'
        )
        raise source.fault(("routes", name, "weights"), message)
    if wanted and not any(route.weights):
        raise source.fault(("routes", name, "weights"), "expected a number above 0 among them")


def _server(server: Server, source: Source) -> None:
    for text in server.bind:
        try:
            address.parse(text)
        except ValueError as error:
            raise source.fault(("server", "bind"), f"{error}, got {text!r}") from None
    for text in server.trusted_proxies:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            message = f'expected addresses or networks such as "10.0.0.0/8", got {text!r}'
            raise source.fault(("server", "trusted_proxies"), message) from None
    if server.certificates and server.tls_certificate is None:
        raise source.fault(
            ("server", "certificates"), "are for further names; expected tls_certificate and tls_key besides"
        )
    if (server.tls_certificate is None) != (server.tls_key is None):
        missing = "tls_key" if server.tls_key is None else "tls_certificate"
        raise source.fault(("server", missing), "is missing; TLS needs certificate and key")


def _store(store: Store, source: Source) -> None:
    if store.url is not None and _STORES.fullmatch(store.url.reveal()) is None:
        message = 'expected "sqlite:///absolute/path" or "postgresql://user@host/database"'
        raise source.fault(("store", "url"), message)


def _wyoming(listener: Wyoming, path: Path, source: Source, catalogue: Sequence[str]) -> None:
    try:
        address.parse(listener.bind)
    except ValueError as error:
        raise source.fault((*path, "bind"), f"{error}, got {listener.bind!r}") from None
    if listener.provider not in catalogue:
        message = unknown(listener.provider, catalogue, what="provider")
        raise source.fault((*path, "provider"), message)
    _networks(listener.allow_networks, path, source)


def _networks(networks: Sequence[str], path: Path, source: Source) -> None:
    for text in networks:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            message = f'expected networks such as "10.0.0.0/8", got {text!r}'
            raise source.fault((*path, "allow_networks"), message) from None


def _pull(pull: Pull, source: Source) -> None:
    _networks(pull.allow_networks, ("pull",), source)
    if pull.state_dir is not None and not pull.state_dir.startswith("/"):
        raise source.fault(("pull", "state_dir"), f"expected an absolute path, got {pull.state_dir!r}")


def _limits(limits: Limits, source: Source) -> None:
    for name, value in msgspec.structs.asdict(limits).items():
        ceiling = next(top for ending, top in CEILINGS.items() if name.endswith(ending))
        if not 0 < value <= ceiling:
            message = f"expected a number above 0, at most {ceiling:.0f}, got {came(value, (name,))}"
            raise source.fault(("limits", name), message)


def _provider(name: str, provider: Provider, source: Source) -> None:
    path: Path = ("providers", name)
    if provider.url is not None:
        _url(provider.url, (*path, "url"), source)
    for key in _PRICES:
        _price(getattr(provider, key), (*path, key), source)
    for key in _LOCAL_ONLY:
        default = next(field.default for field in msgspec.structs.fields(Provider) if field.name == key)
        if name != LOCAL and getattr(provider, key) != default:
            raise source.fault((*path, key), f"only [providers.{LOCAL}] has this key")


def _price(price: Decimal | None, path: Path, source: Source) -> None:
    if price is not None and not (
        price.is_finite()
        and 0 <= price <= PRICE_MAX
        and price == price.quantize(Decimal(1).scaleb(-PRICE_DECIMALS_MAX))
    ):
        raise source.fault(path, f"expected {expected(Price)}, got {came(str(price), path)}")


def _url(url: str, path: Path, source: Source) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise source.fault(path, 'expected a URL such as "wss://api.example.com"')
    if parts.username or parts.password or parts.query or parts.fragment:
        raise source.fault(
            path, "may not carry a user, a password, a query or a fragment; keys go to api_key_file"
        )


def _keys(keys: Sequence[Key], source: Source) -> None:
    for at, key in enumerate(keys):
        for name in ("id", "hash"):
            if getattr(key, name) in (getattr(other, name) for other in keys[:at]):
                raise source.fault(("keys", at, name), "is the same as in an earlier [[keys]] table")
