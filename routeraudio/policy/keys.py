"""Router keys: what one looks like, what it allows, and the limits that all keys of an account share.

A key is `router_<id>_<secret>`: the id finds the record, the whole key's keyed hash is compared. No scan, and no slow
hash either: that protects what people can remember, and the secret has 190 random bits.

What a key may cost or occupy is *counted over its account*: two keys of one account with a concurrency of 5 open five
streams together, not ten.
"""

import hmac
import re
import secrets
import string
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal, get_args

import msgspec

PREFIX: Final = "router_"
"""How our own keys are told from providers' keys (seed router.audio, section 3)."""

ID_CHARACTERS: Final = 12
"""71 bits. That two of a billion keys get the same id is a chance of one in six thousand; the store refuses it."""

SECRET_CHARACTERS: Final = 32
"""190 bits."""

_ALPHABET: Final = string.digits + string.ascii_letters
_KEY: Final = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{ID_CHARACTERS}}})_[0-9A-Za-z]{{{SECRET_CHARACTERS}}}")

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
    metadata: dict[str, str] = {}


class NewText(msgspec.Struct, frozen=True):
    """A key's text, shown once, and the id in it."""

    id: str
    text: str

    def __repr__(self) -> str:
        return f"NewText({self.id!r}, …)"


def new_text(key_id: str | None = None) -> NewText:
    """A random key, or another one with an id that there is already."""
    key_id = key_id or _random(ID_CHARACTERS)
    return NewText(key_id, f"{PREFIX}{key_id}_{_random(SECRET_CHARACTERS)}")


def id_of(text: str) -> str | None:
    """The id in a key; None: no key of ours looks like that."""
    match = _KEY.fullmatch(text)
    return match[1] if match else None


def keyed_hash(text: str, pepper: bytes) -> bytes:
    """What is stored of a key: HMAC-SHA256 under the server's pepper."""
    return hmac.digest(pepper, text.encode(), "sha256")


def matches(text: str, stored: bytes | None, peppers: Sequence[bytes]) -> bool:
    """Whether a key is the one whose hash is stored. Takes the same time for None, an unknown one."""
    known = stored or bytes(32)
    found = [hmac.compare_digest(keyed_hash(text, pepper), known) for pepper in peppers]
    return any(found) and stored is not None


def _random(characters: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(characters))
