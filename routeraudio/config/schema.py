"""What the configuration file may say: one struct per table, one field per key.

Field types and bounds are what `loading` checks and what its errors quote; `conf/routeraudio.toml` shows
every key with its default, and a test compares the two.
"""

from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec

from routeraudio.config.secret import Secret
from routeraudio.policy.limits import Limits
from routeraudio.policy.routing import Strategy

WEEK_S: Final = 604_800.0
"""No wait in a daemon that is restarted for updates is sensibly longer."""

IN_MEMORY: Final = "sqlite://"
"""SQLAlchemy's name for a database that ends with its process."""

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Wait = Annotated[float, msgspec.Meta(ge=0, le=WEEK_S)]
Price = Annotated[
    Decimal, msgspec.Meta(description="a number from 0 to 1000 with at most six decimals (dollars per hour)")
]
"""Six decimals: amounts are added as exact integers. See `checks`, msgspec knows no bounds for decimals."""
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


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[server.certificates]]`: a certificate for further names (SNI). After loading: absolute paths."""

    certificate: str
    key: str


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: where and how the daemon listens."""

    bind: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=64)] = ("127.0.0.1:8080",)
    """`host:port`, `[::1]:port` or `unix:/run/…`; see `routeraudio.config.address`."""
    node: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,64}$")] | None = None
    """This daemon among those that share a store; None: made from the host's name and `bind`."""
    tls_certificate: str | None = None
    """PEM file. After loading: the absolute path of a readable file."""
    tls_key: str | None = None
    certificates: tuple[Certificate, ...] = ()
    workers: Annotated[int, msgspec.Meta(ge=0, le=64)] = 1
    """Processes that share the port; 0: one per core."""
    metrics: bool = True
    """Serve `/metrics`."""
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
    token_secret: Secret | None = None
    """Lines for `policy.secrets`. Set after loading, whatever the source. None: see `auth.server_secret`."""
    token_secret_file: str | None = None
    token_secret_env: str | None = None
    admin_key: Secret | None = None
    """Opens the administration over HTTP. After loading it is here wherever it came from. None: there is none."""
    admin_key_file: str | None = None
    admin_key_env: str | None = None
    failures_per_minute_max: Count = 60
    """Wrong keys and tokens from one address; a person mistypes, a program with an old key tries every second."""
    tokens_per_second_max: Count = 500
    """Tokens made for one key, sustained; ten times that at once."""


class Store(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[store]`: where keys, used tokens and the usage ledger are kept."""

    url: Secret | None = None
    """May hold a password. After loading: always there, with an absolute path for SQLite. None: in memory."""
    statement_s: Annotated[float, msgspec.Meta(gt=0, le=WEEK_S)] = 3.0
    """A statement that takes longer counts as no answer."""
    outage_grace_s: Wait = 60.0
    """Running streams go on for this long without the store."""
    spool_dir: str | None = None
    """What could not be written waits here. After loading: an absolute path. None: there is none, as in memory."""


class Pull(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[pull]`: streams that the daemon fetches itself."""

    schemes: tuple[Literal["http", "https", "rtmp", "rtmps", "rtsp", "rtsps"], ...] = (
        "http",
        "https",
        "rtmp",
        "rtmps",
    )
    """RTSP is off: its demuxer has had faults that a server can use (CVE-2026-39210 and others)."""
    allow_networks: tuple[str, ...] = ()
    """Private or otherwise reserved networks (CIDR) that sources and webhooks may be in."""
    state_dir: str | None = None
    """Records of tasks, an absolute path. None: beside the database; with one in memory they are not kept."""
    first_audio_s: Annotated[float, msgspec.Meta(gt=0, le=WEEK_S)] = 10.0
    """From the start of a source to its first audio (seed memories.ai audio stream, section 4)."""
    stall_s: Annotated[float, msgspec.Meta(gt=0, le=WEEK_S)] = 30.0
    """Without audio from a source that had some; a playlist may be updated every 10 s."""
    retries_max: Annotated[int, msgspec.Meta(ge=0, le=100)] = 3
    """New attempts for a source that was lost; a minute of audio earns them again."""
    task_s: Annotated[float, msgspec.Meta(gt=0, le=WEEK_S)] = 86_400.0
    """A whole day of radio."""
    tasks_max: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 32
    """At the same time, divided among workers. Each has a decoder process of some 20 MB."""
    tasks_per_account_max: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 8
    """Of them for one account."""
    decoder_bytes: Annotated[int, msgspec.Meta(ge=1 << 28, le=1 << 34)] = 1 << 29
    """Address space of a decoder process, which uses 160 MiB of it for libraries."""
    queue_bytes: Annotated[int, msgspec.Meta(ge=1 << 16, le=1 << 30)] = 1 << 22
    """Callbacks waiting for a webhook: an hour of speech with word detail."""
    webhook_s: Annotated[float, msgspec.Meta(gt=0, le=WEEK_S)] = 10.0
    """For a webhook's answer."""


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[keys]]`: one router key, stored as its hash."""

    id: KeyId
    hash: KeyHash
    """`sha256:` and the 64 lower-case hexadecimal digits of the key's SHA-256."""


class Wyoming(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[wyoming]]`: a listener for Home Assistant. The protocol has no keys: whoever reaches it may use this one."""

    bind: str
    """See `Server.bind`."""
    provider: str
    model: str | None = None
    """None: the provider's default."""
    language: str | None = None
    """For clients that name none; None: the provider detects it, or English is meant where it cannot."""
    allow_networks: tuple[str, ...] = ()
    """Networks (CIDR) that clients may come from; none: all."""
    api_key: Secret | None = None
    """The router key that is charged. After loading it is here wherever it came from."""
    api_key_file: str | None = None
    api_key_env: str | None = None


class LocalModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[providers.local.models]]`: one model of the local engine."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """What clients call it."""
    backend: Literal["moonshine", "whisper", "sherpa", "pocketsphinx"]
    path: str | None = None
    """Folder of its files; None: a model that comes with the engine. After loading: an absolute path."""
    languages: tuple[str, ...] = ("en",)
    """BCP-47, what clients may ask for."""


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
    price_per_hour_usd: Price | None = None
    """What an hour of audio is charged at; None: the catalogue knows, or it is free."""
    gateway_price_per_hour_usd: Price | None = None
    """The same in the transparent gateway and stream pull; None: the price above, or the product's default."""
    session_s: Annotated[float, msgspec.Meta(gt=0, le=WEEK_S)] | None = None
    """The provider ends a connection after this long; None: the catalogue knows."""
    redial: bool = True
    """A connection that was lost in the middle of a session is replaced by another one to the same provider."""
    spawn: bool = False
    """Only `local`: the daemon starts and supervises the engine."""
    workers_max: Annotated[int, msgspec.Meta(ge=1, le=256)] | None = None
    """Only `local`: recogniser processes, one per running session; None: five per core."""
    backend: Literal["auto", "moonshine", "whisper", "sherpa", "pocketsphinx"] = "auto"
    """Only `local`: who recognises where no models are listed; `auto`: the best that is installed."""
    models: tuple[LocalModel, ...] = ()
    """Only `local`: what the engine serves; the first is for clients that name none."""


class Failover(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[failover]`: how sessions survive the loss of a provider's connection."""

    attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4
    """Dials from the loss of a connection, or a session's beginning, until one carries the session."""
    within_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 20.0
    """The same in time."""
    replay_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 30.0
    """Audio kept for the next connection, while it is not final; at most 2 MiB."""
    stall_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 8.0
    """Speech without any text for so long is a provider that has stopped listening; 0: that is never noticed."""
    hedge_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 0.0
    """Who is not ready so long after the dial gets a competitor, the next of the route; 0: never."""


RouteName = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]


class RouteTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[routes.NAME]`: providers that stand in for each other, for clients that ask for `provider=NAME`."""

    providers: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=16)]
    """Each as `NAME` or `NAME/MODEL`."""
    strategy: Strategy = "order"
    weights: tuple[Annotated[float, msgspec.Meta(ge=0, le=1000)], ...] = ()
    """Only `weighted`: one for each provider."""
    replay_s: Annotated[float, msgspec.Meta(gt=0, le=600)] | None = None
    """None: as `[failover]` says."""
    stall_s: Annotated[float, msgspec.Meta(ge=0, le=600)] | None = None
    hedge_s: Annotated[float, msgspec.Meta(ge=0, le=600)] | None = None


class Log(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: what is written to standard error, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] | None = None
    """None: console on a terminal, else json."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration."""

    server: Server = Server()
    access: Access = Access()
    store: Store = Store()
    pull: Pull = Pull()
    providers: dict[str, Provider] = {}
    """By catalogue name."""
    failover: Failover = Failover()
    routes: dict[RouteName, RouteTable] = {}
    """`auto` is the one of clients that ask for `provider=auto`."""
    limits: Limits = Limits()
    log: Log = Log()
    keys: tuple[Key, ...] = ()
    wyoming: tuple[Wyoming, ...] = ()


def credential(provider: Provider) -> str | None:
    """The provider's stored key, whether configuration, file or environment gave it; None: there is none."""
    return None if provider.api_key is None else provider.api_key.reveal()


def store_url(store: Store) -> str:
    """The database's address for SQLAlchemy; the memory of the process where none is configured."""
    return IN_MEMORY if store.url is None else store.url.reveal()
