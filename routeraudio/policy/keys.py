"""Router keys: what one allows, and the limits that all keys of an account share.

A key is `router_<id>_<secret>`: the id finds the record, the secret's keyed hash is compared (`hazards`: no scan, no
slow hash, the secret has more than 160 random bits). What a key may cost or occupy is *counted over its account*:
two keys of one account with a concurrency of 5 open five streams together, not ten.
"""

from decimal import Decimal
from typing import Literal, get_args

import msgspec

Period = Literal["day", "month", "total"]
"""Of a budget. Days and months are those of UTC."""

PERIODS = get_args(Period)

Priority = Literal["low", "normal", "high"]
"""When the daemon is full the lowest class is refused first."""

PRIORITIES = get_args(Priority)


class Budget(msgspec.Struct, frozen=True):
    """What an account may spend."""

    usd: Decimal
    """At most six decimals, so that sums are exact integers."""
    period: Period = "total"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a key allows. None means: anything, or no limit."""

    providers: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    """Model ids, or `provider/model`."""
    own_provider_keys: bool = True
    """The holder may bring a provider's own key beside this one."""
    streams: bool = False
    """The gateway and stream pull, which are off by default (seed memories.ai, section 1)."""
    tokens: bool = True
    """May be exchanged for short-lived tokens."""
    origins: tuple[str, ...] | None = None
    """Browser origins (`https://app.example`) that may use the key or its tokens."""
    concurrency_max: int | None = None
    """Streams at the same time."""
    sessions_per_minute_max: int | None = None
    budget: Budget | None = None
    priority: Priority = "normal"
    default_provider: str | None = None
    """Serves dialects whose clients name no provider."""
    webhook_url: str | None = None
    """Where stream pull posts, unless a request names another address."""
    metadata: dict[str, str] = {}


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A router key as it is stored and listed: everything but the secret."""

    id: str
    account: str
    name: str
    terms: Terms = Terms()
    created_at_s: int
    """Unix time."""
    expires_at_s: int | None = None
    is_disabled: bool = False


class Restriction(msgspec.Struct, frozen=True, kw_only=True):
    """What a token narrows its key to; never more than the key has."""

    jti: str
    """The token's id, which is burnt at the first connection."""
    expires_at_s: int
    """Unix time; limits connecting, not a running stream."""
    providers: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    max_connection_s: int | None = None
    max_concurrent: int | None = None
    """Streams opened with tokens of this key that carry the same limit."""
