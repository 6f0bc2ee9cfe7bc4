"""What the configuration says about each provider, made ready for dialling."""

import ssl
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from routeraudio.config.schema import Config, Provider, credential
from routeraudio.model.errors import UpstreamFault
from routeraudio.providers.base import Credential, Entry
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.routes.prices import price_per_hour
from routeraudio.transport.tls import client_context


class Route:
    """One provider as this daemon reaches it."""

    def __init__(self, entry: Entry, settings: Provider | None) -> None:
        self.entry = entry
        self._settings = settings
        self._url: str | None = None

    @property
    def default_model(self) -> str | None:
        """The operator's choice for clients that name no model."""
        return self._settings.default_model if self._settings else None

    @property
    def session_s(self) -> float | None:
        """When the vendor ends a connection by the clock; None: never."""
        configured = self._settings.session_s if self._settings else None
        return self.entry.session_s if configured is None else configured

    @property
    def stored(self) -> Credential | None:
        """The operator's credential."""
        secret = credential(self._settings) if self._settings else None
        return Credential(secret, is_clients_own=False) if secret else None

    def price_per_hour(self, model: str | None, *, is_own_key: bool, is_gateway: bool) -> Decimal:
        """What an hour of audio is charged at, in dollars."""
        return price_per_hour(
            self.entry.name, model, self._settings, is_own_key=is_own_key, is_gateway=is_gateway
        )

    @property
    def url(self) -> str:
        """Base URL.

        Raises:
            UpstreamFault: a provider without a public address that is not configured here.
        """
        if self._url is not None:
            return self._url
        if self._settings is None and not self.entry.needs_key:
            raise UpstreamFault(
                f"{self.entry.title} is not configured here; the operator enables it with [providers.{self.entry.name}]"
            )
        return (self._settings.url if self._settings else None) or self.entry.default_url

    def moved(self, url: str) -> None:
        """The provider is reached at ``url`` now: a spawned engine has told its port."""
        self._url = url

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """Made at the first use and kept: loading the certificate authorities costs milliseconds."""
        ca_file = self._settings.ca_file if self._settings else None
        return client_context(Path(ca_file) if ca_file else None)


def routes(config: Config) -> dict[str, Route]:
    """Every provider of the catalogue, by name."""
    return {name: Route(entry, config.providers.get(name)) for name, entry in PROVIDERS.items()}
