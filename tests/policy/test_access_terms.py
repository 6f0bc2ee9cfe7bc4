"""What a good key or token may do, and in which order it is asked."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from routeraudio.model.errors import CloseCode, Fault, UpstreamFault
from routeraudio.policy.access import AccessRequest, Holder, Principal, admit, is_listed
from routeraudio.policy.keys import Budget, Key, Restriction, Terms
from routeraudio.providers.base import Credential
from routeraudio.providers.catalog import PROVIDERS

NOW = 1_800_000_000
STORED = Credential("stored-canary", is_clients_own=False)
OWN = "own-canary"
WANTED = AccessRequest(entry=PROVIDERS["deepgram"], stored=STORED, model="nova-3")
KEY = Key(id="k1", account="acme", name="k", created_at_s=NOW - 100)
UNAUTHORIZED, FORBIDDEN = CloseCode.UNAUTHORIZED, CloseCode.FORBIDDEN


def key(**changes: Any) -> Key:
    """A key of these terms; fields of the key itself by their own names."""
    own = {name: value for name, value in changes.items() if name in Key.__struct_fields__}
    terms = Terms(**{name: value for name, value in changes.items() if name not in own})
    return msgspec.structs.replace(KEY, terms=terms, **own)


def token(**narrowed: Any) -> Restriction:
    return Restriction(jti="j" * 16, expires_at_s=NOW + 60, **narrowed)


def decide(
    holder: Key, own_key: str | None = None, restriction: Restriction | None = None, **wanted: Any
) -> Principal:
    return admit(Holder(holder, restriction), own_key, msgspec.structs.replace(WANTED, **wanted), NOW)


GOOD: list[tuple[Key, dict[str, Any]]] = [
    (key(), {}),
    (key(expires_at_s=NOW + 1), {}),
    (key(providers=("soniox", "deepgram")), {}),
    (key(models=("nova-3",)), {}),
    (key(models=("deepgram/nova-3",)), {}),
    (key(models=("nova-3",)), {"model": None}),
    (key(origins=("https://app.example",)), {"origin": "https://app.example"}),
    (key(origins=("https://app.example",)), {"origin": None}),
    (key(), {"origin": "https://anywhere.example"}),
    (key(), {"origin": "null"}),
    (key(streams=True), {"streams": True}),
    (key(), {"restriction": token()}),
    (key(), {"restriction": token(providers=("deepgram",), models=("nova-3",))}),
    (key(own_provider_keys=False), {"own_provider_keys": False}),
]


@pytest.mark.parametrize(("holder", "given"), GOOD)
def test_who_may(holder: Key, given: dict[str, Any]) -> None:
    """The principal carries what the ledger counts by."""
    assert decide(holder, **given) == Principal("k1", STORED, "acme", holder.terms, given.get("restriction"))


REFUSED: list[tuple[Key, dict[str, Any], CloseCode, str]] = [
    (key(is_disabled=True), {}, UNAUTHORIZED, "disabled"),
    (key(expires_at_s=NOW), {}, UNAUTHORIZED, "expired"),
    (
        key(providers=("soniox", "gradium")),
        {},
        FORBIDDEN,
        "this key may not use Deepgram; it may use soniox, gradium",
    ),
    (key(models=("nova-2", "soniox/nova-3")), {}, FORBIDDEN, "this key may not use the model nova-3"),
    (key(models=("nova-2",)), {"model": None}, FORBIDDEN, "the model nova-3"),
    (key(), {"restriction": token(providers=("soniox",))}, FORBIDDEN, "this token may not use Deepgram"),
    (key(), {"restriction": token(models=("nova-2",))}, FORBIDDEN, "this token may not use the model"),
    (key(origins=("https://app.example",)), {"origin": "null"}, FORBIDDEN, "origin"),
    (key(origins=("null",)), {"origin": "null"}, FORBIDDEN, "origin"),
    (key(origins=("https://app.example",)), {"origin": ""}, FORBIDDEN, "origin"),
    (key(origins=("https://app.example",)), {"origin": "https://app.example.evil"}, FORBIDDEN, "origin"),
    (key(origins=("https://app.example",)), {"origin": "http://app.example"}, FORBIDDEN, "origin"),
    (key(origins=("https://app.example",)), {"origin": "https://APP.example"}, FORBIDDEN, "origin"),
    (key(origins=("https://app.example",)), {"origin": "https://x.app.example"}, FORBIDDEN, "origin"),
    (key(origins=("https://app.example",)), {"origin": "https://app.example:444"}, FORBIDDEN, "origin"),
    (key(), {"streams": True}, FORBIDDEN, "stream processing"),
    (key(own_provider_keys=False), {"own_key": OWN}, FORBIDDEN, "of your own beside it"),
    (key(), {"own_key": OWN, "own_provider_keys": False}, FORBIDDEN, "takes no Deepgram keys"),
]


@pytest.mark.parametrize(("holder", "given", "code", "words"), REFUSED)
def test_who_may_not(holder: Key, given: dict[str, Any], code: CloseCode, words: str) -> None:
    """Told why, and without anybody's key."""
    with pytest.raises(Fault) as raised:
        decide(holder, **given)
    assert raised.value.close_code == code
    assert words in raised.value.message
    assert "canary" not in raised.value.message


def test_first_who_then_what_then_how() -> None:
    """A key that is over is refused as such, whatever else is wrong; a missing credential comes last."""
    everything: dict[str, Any] = {"providers": ("soniox",), "origins": ("https://a.b",)}
    wrong: dict[str, Any] = {"origin": "https://c.d", "streams": True, "stored": None}
    with pytest.raises(Fault, match="disabled"):
        decide(key(is_disabled=True, **everything), **wrong)
    with pytest.raises(Fault, match="origin"):
        decide(key(**everything), **wrong)
    with pytest.raises(Fault, match="stream processing"):
        decide(key(providers=("soniox",)), **wrong)
    with pytest.raises(Fault, match="may not use Deepgram"):
        decide(key(streams=True, providers=("soniox",)), **wrong)
    with pytest.raises(UpstreamFault, match="no credential for Deepgram"):
        decide(key(streams=True), **wrong)


def test_an_own_key_beside_a_router_key() -> None:
    """The provider is opened with the client's key, and the router key's account and limits hold."""
    holder = key(concurrency_max=5, budget=Budget(Decimal(1), "day"))
    principal = decide(holder, OWN, stored=None)
    assert principal.credential == Credential(OWN, is_clients_own=True)
    assert principal.is_own_key
    assert (principal.key_id, principal.account, principal.terms) == ("k1", "acme", holder.terms)
    assert not decide(holder).is_own_key


def test_an_own_key_for_a_provider_that_needs_none() -> None:
    """Says nothing about who pays: the router key does, as without it."""
    for stored in (None, STORED):
        principal = decide(
            key(own_provider_keys=False), OWN, entry=PROVIDERS["local"], stored=stored, model=None
        )
        assert (principal.credential, principal.is_own_key) == (stored, False)


@pytest.mark.parametrize(
    ("model", "allowed", "is_good"),
    [
        ("m", None, True),
        ("m", ("m",), True),
        ("m", ("p/m",), True),
        ("m", ("q/m", "M"), False),
        ("m", (), False),
    ],
)
def test_lists_of_models(model: str, allowed: tuple[str, ...] | None, is_good: bool) -> None:
    """Alone or with their provider, letter by letter."""
    assert is_listed("p", model, allowed) is is_good
