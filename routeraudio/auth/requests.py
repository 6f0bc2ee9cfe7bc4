"""What administrators and token makers may ask for, checked field by field: over HTTP and on the command line alike.

Values come as JSON has them. Errors name the field and what is allowed (`config.decode`), and never a secret.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, cast
from urllib.parse import urlsplit

import msgspec

from routeraudio.config.decode import decode, expected, unknown
from routeraudio.config.source import Path, Source
from routeraudio.model.errors import ClientFault, forbidden
from routeraudio.policy.access import is_listed
from routeraudio.policy.keys import Budget, Period, Priority, Terms
from routeraudio.policy.pricing import micro_usd
from routeraudio.policy.tokens import TTL_S, TTL_S_MAX, Narrowing
from routeraudio.providers.catalog import PROVIDERS

BUDGET_USD_MAX: Final = 1_000_000
"""The ledger's own bound (`policy.pricing`)."""
METADATA_MAX: Final = 16
"""Entries; a token with all of them, and some lists, stays below its 4 KiB."""
METADATA_CHARACTERS_MAX: Final = 64
LIST_MAX: Final = 64

URL_CHARACTERS_MAX: Final = 2048

_NEEDED: Final = ("name", "account")
"""Of a key: may be left out, but not taken away."""

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RELATIVE: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")

Name = Annotated[
    str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]{1,100}\Z", description="a text of 1 to 100 characters")
]
Account = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9._@-]{1,64}\Z",
        description="up to 64 letters, digits, dots, dashes, underscores and @",
    ),
]
Many = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Names = tuple[str, ...]
Money = Annotated[
    Decimal,
    msgspec.Meta(description=f"dollars, above 0 and below {BUDGET_USD_MAX}, with at most six decimals"),
]


class BudgetWish(msgspec.Struct, frozen=True, kw_only=True):
    """`budget`."""

    usd: Money
    period: Period = "total"


class KeyWish(msgspec.Struct, frozen=True, kw_only=True):
    """A new key, or changes to one: only fields that are given count, null takes a limit away."""

    name: Name | None = None
    account: Account | None = None
    """None: an account of the key's own."""
    disabled: bool = False
    expires_at: str | int | None = None
    """See `moment`."""
    providers: Names | None = None
    models: Names | None = None
    own_provider_keys: bool = True
    streams: bool = False
    tokens: bool = True
    origins: Names | None = None
    concurrency_max: Many | None = None
    sessions_per_minute_max: Many | None = None
    budget: BudgetWish | None = None
    priority: Priority = "normal"
    default_provider: str | None = None
    webhook_url: str | None = None
    metadata: dict[str, str] = {}


class TokenWish(msgspec.Struct, frozen=True, kw_only=True):
    """What `POST /v1/token` may ask for."""

    ttl_seconds: Annotated[int, msgspec.Meta(ge=1, le=TTL_S_MAX)] = TTL_S
    providers: Names | None = None
    models: Names | None = None
    max_connection_seconds: Annotated[int, msgspec.Meta(ge=1, le=604_800)] | None = None
    max_concurrent: Many | None = None
    metadata: dict[str, str] = {}


def moment(text: str | int, now_s: float) -> int:
    """Unix time of `30d` from now, or of what `stamp` reads.

    Raises:
        ValueError: naming what is allowed.
    """
    match = _RELATIVE.fullmatch(text) if isinstance(text, str) else None
    if match is not None:
        return math.ceil(now_s + timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds())
    return stamp(text)


def stamp(text: str | int) -> int:
    """Unix time of `2027-01-31`, `2027-01-31T12:00:00Z`, or Unix time itself. UTC unless it says otherwise.

    Raises:
        ValueError: naming what is allowed.
    """
    try:
        if isinstance(text, int) or text.isdecimal():
            read = _BEGINNING + timedelta(seconds=int(text))
        else:
            read = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError("expected a date or time such as 2027-01-31 or 2027-01-31T12:00:00Z") from None
    return math.floor((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())


def key_wish(raw: Mapping[str, object], now_s: float) -> dict[str, Any]:
    """The fields of a `KeyWish` that ``raw`` gives, checked, ``expires_at`` as Unix time, ``budget`` as `Budget`.

    Raises:
        ValueFault: naming the field.
    """
    source = Source(dict(raw), "")
    wish = cast(KeyWish, decode(KeyWish, source.values, (), source))
    given = {name: getattr(wish, name) for name in raw}
    for name in _NEEDED:
        if name in given and given[name] is None:
            raise source.fault((name,), "expected a value; it has no default")
    if wish.expires_at is not None:
        given["expires_at"] = _future(wish.expires_at, now_s, source)
    if wish.budget is not None:
        given["budget"] = _budget(wish.budget, source)
    _check_lists(wish.providers, wish.models, source)
    _check_origins(wish.origins, source)
    _check_metadata(wish.metadata, source)
    if wish.default_provider is not None:
        _check_provider(wish.default_provider, ("default_provider",), source)
    if wish.webhook_url is not None:
        _check_url(wish.webhook_url, source)
    return given


def token_wish(raw: Mapping[str, object]) -> TokenWish:
    """What a token's maker asks for.

    Raises:
        ValueFault: naming the field.
    """
    source = Source(dict(raw), "")
    wish = cast(TokenWish, decode(TokenWish, source.values, (), source))
    _check_lists(wish.providers, wish.models, source)
    _check_metadata(wish.metadata, source)
    return wish


def narrowed(wish: TokenWish, terms: Terms) -> Narrowing:
    """What a token takes away from its key.

    Raises:
        ClientFault: the key may make none, or has less itself.
    """
    if not terms.tokens:
        raise forbidden("this key may not be exchanged for tokens")
    for provider in wish.providers or ():
        if terms.providers is not None and provider not in terms.providers:
            raise _more("providers", f"this key may use {', '.join(terms.providers)}")
    for model in wish.models or ():
        provider, _, name = model.rpartition("/")
        if not is_listed(provider, name, terms.models):
            raise _more("models", f"this key may use {', '.join(terms.models or ())}")
    at_once = terms.concurrency_max
    if wish.max_concurrent is not None and at_once is not None and wish.max_concurrent > at_once:
        raise _more("max_concurrent", f"this key may open {at_once} streams at the same time")
    return Narrowing(
        providers=wish.providers,
        models=wish.models,
        max_connection_s=wish.max_connection_seconds,
        max_concurrent=wish.max_concurrent,
        metadata=wish.metadata,
    )


def _more(field: str, allowed: str) -> ClientFault:
    return forbidden(f"{field}: a token cannot have more than its key; {allowed}")


def _future(text: str | int, now_s: float, source: Source) -> int:
    try:
        at_s = moment(text, now_s)
    except ValueError as error:
        raise source.fault(("expires_at",), f"{error}, or 30d from now") from None
    if at_s <= now_s:
        raise source.fault(("expires_at",), "expected a time to come; disable the key to end it now")
    return at_s


def _budget(wish: BudgetWish, source: Source) -> Budget:
    path: Path = ("budget", "usd")
    if not (wish.usd.is_finite() and 0 < wish.usd < BUDGET_USD_MAX):
        raise source.fault(path, f"expected {expected(Money)}")
    try:
        micro_usd(wish.usd)
    except ValueError:
        raise source.fault(path, f"expected {expected(Money)}") from None
    return Budget(wish.usd, wish.period)


def _check_lists(providers: Names | None, models: Names | None, source: Source) -> None:
    for name, entries in (("providers", providers), ("models", models)):
        if entries is not None and not (0 < len(entries) <= LIST_MAX and all(_is_word(e) for e in entries)):
            message = f"expected 1 to {LIST_MAX} names, or null for no limit"
            raise source.fault((name,), message)
    for provider in providers or ():
        _check_provider(provider, ("providers",), source)


def _check_provider(provider: str, path: Path, source: Source) -> None:
    if provider not in PROVIDERS:
        raise source.fault(path, unknown(provider, PROVIDERS, what="provider"))


def _check_origins(origins: Names | None, source: Source) -> None:
    for origin in origins or ():
        if _ORIGIN.fullmatch(origin) is None:
            raise source.fault(
                ("origins",), "expected origins such as https://app.example, in lower case, without a path"
            )
    if origins is not None and not 0 < len(origins) <= LIST_MAX:
        raise source.fault(("origins",), f"expected 1 to {LIST_MAX} origins, or null for any")


def _check_metadata(metadata: Mapping[str, str], source: Source) -> None:
    texts = [*metadata, *metadata.values()]
    if len(metadata) > METADATA_MAX or any(len(text) > METADATA_CHARACTERS_MAX for text in texts):
        message = f"expected at most {METADATA_MAX} entries of at most {METADATA_CHARACTERS_MAX} characters"
        raise source.fault(("metadata",), message)


def _check_url(url: str, source: Source) -> None:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or len(url) > URL_CHARACTERS_MAX or re.search(r"[^\x21-\x7e]", url):
        raise source.fault(("webhook_url",), "expected an address such as https://app.example/hook")


def _is_word(text: str) -> bool:
    return re.fullmatch(r"[\x21-\x7e]{1,100}", text) is not None
