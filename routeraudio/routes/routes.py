"""What the configuration says about each provider, made ready for dialling."""

import hashlib
import ssl
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path

from routeraudio.config.schema import Config, Provider, credential
from routeraudio.model.errors import ConfigFault, UpstreamFault
from routeraudio.model.options import Options
from routeraudio.policy.access import Principal
from routeraudio.policy.limits import Limits
from routeraudio.providers import models
from routeraudio.providers.base import Adapter, AdapterConfig, Credential, Entry
from routeraudio.providers.catalog import PROVIDERS
from routeraudio.routes.health_board import HealthBoard, Record
from routeraudio.routes.prices import price_per_hour
from routeraudio.session.candidate import UNKNOWN, Health
from routeraudio.session.streams import Dialler
from routeraudio.transport.poller import Poller
from routeraudio.transport.tls import client_context
from routeraudio.transport.upstream import open_upstream
from routeraudio.workers.shared_health import NAME_BYTES

Contexts = dict[str | None, ssl.SSLContext]


class Route:
    """One provider as this daemon reaches it.

    Args:
        contexts: of all routes, by `ca_file`: one with the system's authorities takes 800 KiB and 20 ms.
    """

    def __init__(
        self,
        entry: Entry,
        settings: Provider | None,
        contexts: Contexts | None = None,
        health: HealthBoard | None = None,
    ) -> None:
        self.entry = entry
        self._health = HealthBoard() if health is None else health
        self._contexts = {} if contexts is None else contexts
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

    def price_per_hour(self, principal: Principal, model: str | None, *, is_gateway: bool) -> Decimal:
        """What an hour of audio is charged at, in dollars.

        Raises:
            ClientFault: the key has a budget, and no price is known that it could be kept by.
        """
        return price_per_hour(
            self.entry.name,
            model,
            self._settings,
            is_own_key=principal.is_own_key,
            is_gateway=is_gateway,
            is_bounded=principal.terms.budget is not None,
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

    @property
    def may_redial(self) -> bool:
        """Whether a lost connection may be replaced by another one to the same provider."""
        return self._settings is None or self._settings.redial

    def health(self, credential: Credential | None) -> Health:
        """How the provider stands for those who use this credential."""
        if credential is not None and credential.is_clients_own:
            return UNKNOWN
        return self.record() or UNKNOWN

    def record(self) -> Record | None:
        """How it stands for those who use the operator's credential; None: nobody keeps a record."""
        if not self.is_configured:
            return None
        secret = "" if self.stored is None else self.stored.secret
        name = hashlib.blake2b(
            "\0".join((self.entry.name, self.url, secret)).encode(), digest_size=NAME_BYTES
        )
        return self._health.record(self.entry.title, name.digest())

    def moved(self, url: str) -> None:
        """The provider is reached at ``url`` now: a spawned engine has told its port."""
        self._url = url

    @property
    def is_configured(self) -> bool:
        """Whether the operator has a table for it."""
        return self._settings is not None

    @property
    def tls(self) -> ssl.SSLContext:
        """Made at the first use and kept.

        Raises:
            ConfigFault: `ca_file` cannot be used.
        """
        ca_file = self._settings.ca_file if self._settings else None
        if ca_file not in self._contexts:
            self._contexts[ca_file] = client_context(Path(ca_file) if ca_file else None)
        return self._contexts[ca_file]

    def prepare(self) -> None:
        """Pay at the daemon's start what the provider's first session would pay: models and certificate authorities.

        A `ca_file` that cannot be used is told to whoever needs it.
        """
        models.load(self.entry.name)
        with suppress(ConfigFault):
            _ = self.tls

    def adapter(self, options: Options, credential: Credential | None) -> Adapter:
        """For one connection.

        Raises:
            UpstreamFault: see `url`.
        """
        return self.entry.adapter(AdapterConfig(options=options, url=self.url, credential=credential))

    def dialler(self, limits: Limits, poller: Poller) -> Dialler:
        """Opens connections to the provider.

        Raises:
            ConfigFault: `ca_file` cannot be used.
        """
        return partial(open_upstream, title=self.entry.title, limits=limits, poller=poller, tls=self.tls)


def routes(config: Config, health: HealthBoard | None = None) -> dict[str, Route]:
    """Every provider of the catalogue, by name."""
    contexts: Contexts = {}
    health = HealthBoard() if health is None else health
    return {
        name: Route(entry, config.providers.get(name), contexts, health) for name, entry in PROVIDERS.items()
    }
