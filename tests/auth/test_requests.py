"""What may be asked of keys and tokens, and in which words the rest is refused."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from routeraudio.auth.requests import key_wish, moment, narrowed, stamp, token_wish
from routeraudio.config.source import ValueFault
from routeraudio.model.errors import ClientFault, CloseCode
from routeraudio.policy.keys import Budget, Terms
from routeraudio.policy.tokens import Narrowing
from routeraudio.providers.catalog import PROVIDERS

NOW = 1_800_000_000.5

EVERYTHING: dict[str, object] = {
    "name": "Büro 1",
    "account": "acme@example.com",
    "disabled": False,
    "expires_at": "30d",
    "providers": ["deepgram", "soniox"],
    "models": ["nova-3", "soniox/stt-rt-v5"],
    "own_provider_keys": False,
    "streams": True,
    "tokens": False,
    "origins": ["https://app.example", "http://localhost:5173", "https://[::1]:8443"],
    "concurrency_max": 5,
    "sessions_per_minute_max": 60,
    "budget": {"usd": "10.5", "period": "month"},
    "priority": "high",
    "default_provider": "vachana",
    "webhook_url": "https://app.example/hook?x=1",
    "metadata": {"team": "a"},
}


def test_everything_that_can_be_said() -> None:
    """Reaches the record, and nothing that was not said."""
    given = key_wish(EVERYTHING, NOW)
    assert given.keys() == EVERYTHING.keys()
    assert given["expires_at"] == 1_800_000_000 + 30 * 86_400 + 1
    assert given["budget"] == Budget(Decimal("10.5"), "month")
    assert Terms(**{name: given[name] for name in Terms.__struct_fields__}).streams
    assert key_wish({}, NOW) == {}


@pytest.mark.parametrize(
    "name", ["providers", "models", "origins", "concurrency_max", "budget", "expires_at"]
)
def test_null_takes_a_limit_away(name: str) -> None:
    """And is not the same as nothing."""
    assert key_wish({name: None}, NOW) == {name: None}


NAMES = ", ".join(sorted(PROVIDERS))

REFUSED: list[tuple[dict[str, object], str]] = [
    ({"nmae": "x"}, 'nmae: unknown key; allowed here: account, budget, .*did you mean "name"'),
    ({"name": None}, "name: expected a value"),
    ({"account": None}, "account: expected a value"),
    ({"name": ""}, "name: expected a text of 1 to 100 characters"),
    ({"name": "a\nb"}, "name: expected a text of 1 to 100 characters"),
    ({"name": "x" * 101}, "name: expected a text of 1 to 100 characters"),
    ({"account": "a b"}, "account: expected up to 64 letters"),
    ({"providers": ["deepgarm"]}, f'providers: unknown provider; allowed here: {NAMES}; did you mean "deepgram"'),
    ({"providers": []}, "providers: expected 1 to 64 names, or null"),
    ({"providers": "deepgram"}, "providers: expected a list of texts, got the text 'deepgram'"),
    ({"models": ["a b"]}, "models: expected 1 to 64 names"),
    ({"models": ["m"] * 65}, "models: expected 1 to 64 names"),
    ({"origins": ["app.example"]}, "origins: expected origins such as https://app.example"),
    ({"origins": ["null"]}, "origins: expected origins such as"),
    ({"origins": ["*"]}, "origins: expected origins such as"),
    ({"origins": ["https://App.example"]}, "origins: expected origins such as"),
    ({"origins": ["https://app.example/"]}, "origins: expected origins such as"),
    ({"origins": []}, "origins: expected 1 to 64 origins"),
    ({"concurrency_max": 0}, "concurrency_max: expected a whole number from 1 to 1000000, got the number 0"),
    ({"concurrency_max": "5"}, "concurrency_max: expected a whole number from 1 to 1000000, got the text '5'"),
    ({"streams": "yes"}, "streams: expected true or false, got the text 'yes'"),
    ({"budget": 10}, "budget: expected a table, got the number 10"),
    ({"budget": {"usd": 1, "per": "day"}}, "budget.per: unknown key; allowed here: period, usd"),
    ({"budget": {"period": "day"}}, "budget.usd: is missing; expected dollars"),
    ({"budget": {"usd": 1, "period": "week"}}, 'budget.period: expected one of "day", "month", "total"'),
    ({"budget": {"usd": 0}}, "budget.usd: expected dollars, above 0 and below 1000000, with at most six decimals"),
    ({"budget": {"usd": -1}}, "budget.usd: expected dollars"),
    ({"budget": {"usd": "0.0000001"}}, "budget.usd: expected dollars"),
    ({"budget": {"usd": "1e9999"}}, "budget.usd: expected dollars"),
    ({"budget": {"usd": "NaN"}}, "budget.usd: expected dollars"),
    ({"priority": "urgent"}, 'priority: expected one of "low", "normal", "high"'),
    ({"default_provider": "x"}, "default_provider: unknown provider"),
    ({"webhook_url": "ftp://canary"}, "webhook_url: expected an address such as https://app.example/hook"),
    ({"webhook_url": "https://x:99999/canary"}, "webhook_url: expected an address"),
    ({"webhook_url": "https://x/ canary"}, "webhook_url: expected an address"),
    ({"metadata": {"a": 1}}, "metadata.a: expected a text, got the number 1"),
    ({"metadata": {"a": "x" * 65}}, "metadata: expected at most 16 entries of at most 64 characters"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata: expected at most 16 entries"),
    ({"expires_at": "2001-01-01"}, "expires_at: expected a time to come"),
    ({"expires_at": 1_800_000_000}, "expires_at: expected a time to come"),
    ({"expires_at": "soon"}, "expires_at: expected a date or time such as 2027-01-31 .*or 30d from now"),
    ({"expires_at": 10**30}, "expires_at: expected a date or time"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "message"), REFUSED)
def test_what_is_refused(raw: dict[str, object], message: str) -> None:
    """Field first, then what is allowed."""
    with pytest.raises(ValueFault, match=f"^{message}") as raised:
        key_wish(raw, NOW)
    assert raised.value.path == message.partition(":")[0]
    assert "canary" not in str(raised.value)


TIMES = [
    ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
    ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
    ("2027-01-31T12:00:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
    ("1800000000", datetime.fromtimestamp(1_800_000_000, UTC)),
]


@pytest.mark.parametrize(("text", "at"), TIMES)
def test_times(text: str, at: datetime) -> None:
    """Dates begin at midnight UTC."""
    assert stamp(text) == moment(text, NOW) == at.timestamp()


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("12h", 43_200), ("7d", 604_800)])
def test_times_from_now(text: str, seconds: int) -> None:
    """Rounded up: never a moment less than was asked for."""
    assert moment(text, NOW) == 1_800_000_001 + seconds


@pytest.mark.parametrize("text", ["", "30", "x", "0d", "-1d", "1w", "2027-13-01", "99999999999999999999"])
def test_what_is_no_time(text: str) -> None:
    """Refused, or for a number taken as Unix time."""
    if text == "30":
        assert stamp(text) == 30
    else:
        with pytest.raises(ValueError, match="expected a date or time"):
            moment(text, NOW)


TOKEN = {
    "ttl_seconds": 60,
    "providers": ["deepgram"],
    "models": None,
    "max_connection_seconds": 3600,
    "max_concurrent": 1,
    "metadata": {"user": "u-42"},
}


def test_a_token_that_narrows() -> None:
    """As the documentation shows it; with nothing said nothing is narrowed."""
    assert narrowed(token_wish(TOKEN), Terms()) == Narrowing(
        providers=("deepgram",), max_connection_s=3600, max_concurrent=1, metadata={"user": "u-42"}
    )
    assert narrowed(token_wish({}), Terms()) == Narrowing()
    assert token_wish({}).ttl_seconds == 60


@pytest.mark.parametrize("ttl", [0, 3601, -1, 1.5, "60", True, None])
def test_how_long_a_token_lives(ttl: object) -> None:
    """From a second to an hour."""
    with pytest.raises(ValueFault, match=r"^ttl_seconds: expected a whole number from 1 to 3600, got"):
        token_wish({"ttl_seconds": ttl})


WITHIN: list[tuple[dict[str, Any], Terms]] = [
    ({"providers": ["soniox"]}, Terms(providers=("deepgram", "soniox"))),
    ({"models": ["nova-3"]}, Terms(models=("nova-3",))),
    ({"models": ["deepgram/nova-3"]}, Terms(models=("nova-3",))),
    ({"models": ["deepgram/nova-3"]}, Terms(models=("deepgram/nova-3",))),
    ({"max_concurrent": 5}, Terms(concurrency_max=5)),
    ({"max_concurrent": 500}, Terms()),
]

BEYOND: list[tuple[dict[str, Any], Terms, str]] = [
    ({}, Terms(tokens=False), "may not be exchanged for tokens"),
    ({"providers": ["deepgram", "soniox"]}, Terms(providers=("deepgram",)), "providers: .*may use deepgram"),
    ({"models": ["nova-2"]}, Terms(models=("nova-3",)), "models: .*may use nova-3"),
    ({"models": ["nova-3"]}, Terms(models=("deepgram/nova-3",)), "models: .*may use deepgram/nova-3"),
    ({"max_concurrent": 6}, Terms(concurrency_max=5), "max_concurrent: .*may open 5 streams"),
]


@pytest.mark.parametrize(("raw", "terms"), WITHIN)
def test_within_what_the_key_has(raw: dict[str, Any], terms: Terms) -> None:
    """A part of it, or all."""
    assert narrowed(token_wish(raw), terms) != Narrowing()


@pytest.mark.parametrize(("raw", "terms", "message"), BEYOND)
def test_more_than_the_key_has(raw: dict[str, Any], terms: Terms, message: str) -> None:
    """Is forbidden, with what there is."""
    with pytest.raises(ClientFault, match=message) as raised:
        narrowed(token_wish(raw), terms)
    assert raised.value.close_code == CloseCode.FORBIDDEN
