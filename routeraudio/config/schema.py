"""What the configuration file may say: one struct per table, one field per key.

Field types and bounds are what `loading` checks and what its errors quote; `conf/routeraudio.toml` shows
every key with its default, and a test compares the two.
"""

from typing import Annotated, Final, Literal

import msgspec

from routeraudio.config.secret import Secret
from routeraudio.policy.limits import Limits

WEEK_S: Final = 604_800.0
"""No wait in a daemon that is restarted for updates is sensibly longer."""

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Wait = Annotated[float, msgspec.Meta(ge=0, le=WEEK_S)]
KeyId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9._-]{1,64}\Z",
        description="up to 64 letters, digits, dots, dashes and underscores",
    ),
]
"""Goes into logs and metric labels, hence short and plain."""
KeyHash = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^sha256:[0-9a-f]{64}\Z", description='"sha256:" and 64 lower-case hexadecimal digits'
    ),
]


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: where and how the daemon listens."""

    bind: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=64)] = ("127.0.0.1:8080",)
    """`host:port`, `[::1]:port` or `unix:/run/…`; see `routeraudio.config.address`."""
    tls_certificate: str | None = None
    """PEM file. After loading: the absolute path of a readable file."""
    tls_key: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks (CIDR) whose `X-Forwarded-For` is believed."""
    max_sessions: Count = 2000
    drain_s: Wait = 60.0
    """What running sessions get to finish after SIGTERM."""
    lame_duck_s: Wait = 0.0
    """Still accepting, already not ready: time for balancers to notice."""


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[access]`: who may use the daemon."""

    own_provider_keys: bool = True
    """Clients may bring a provider's own key."""


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[keys]]`: one router key, stored as its hash."""

    id: KeyId
    hash: KeyHash
    """`sha256:` and the 64 lower-case hexadecimal digits of the key's SHA-256."""


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[providers.NAME]`: one provider of the catalogue."""

    url: str | None = None
    """Base URL, `ws://` or `wss://`; None: the catalogue's default."""
    api_key: Secret | None = None
    """The stored credential. After loading it is here wherever it came from: see `credential`."""
    api_key_file: str | None = None
    api_key_env: str | None = None
    ca_file: str | None = None
    """PEM file of an extra certificate authority for this provider. After loading: an absolute path."""
    default_model: str | None = None
    """None: the adapter's own default."""
    session_s: Annotated[float, msgspec.Meta(gt=0, le=WEEK_S)] | None = None
    """The provider ends a connection after this long; None: the catalogue knows."""
    spawn: bool = False
    """Only `local`: the daemon starts and supervises the engine."""
    workers_max: Annotated[int, msgspec.Meta(ge=1, le=256)] = 4
    """Only `local`: recogniser processes, one per running session."""


class Log(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what is written to standard error, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] | None = None
    """None: console on a terminal, else json."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration."""

    server: Server = Server()
    access: Access = Access()
    providers: dict[str, Provider] = {}
    """By catalogue name."""
    limits: Limits = Limits()
    log: Log = Log()
    keys: tuple[Key, ...] = ()


def credential(provider: Provider) -> str | None:
    """The provider's stored key, whether configuration, file or environment gave it; None: there is none."""
    return None if provider.api_key is None else provider.api_key.reveal()
