"""Who is let in, as whom, with whose credential, and that nobody learns a key from it."""

import traceback
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from routeraudio.model.errors import CloseCode, Fault, UpstreamFault, unauthorized
from routeraudio.policy.access import (
    CONFIGURED,
    CONFIGURED_TERMS,
    KEY_CHARACTERS_MAX,
    AccessRequest,
    Holder,
    Principal,
    admit,
    check_characters,
    configured_key,
)
from routeraudio.policy.keys import PREFIX
from routeraudio.providers.base import Credential, Entry
from routeraudio.providers.catalog import PROVIDERS

CANARY = "canary-in-a-coal-mine"

GOOD = "router_good"
OTHER = "router_other"
STORED = Credential("stored-" + CANARY, is_clients_own=False)

CLOUD = msgspec.structs.replace(PROVIDERS["deepgram"], needs_key=True)
LOCAL = msgspec.structs.replace(PROVIDERS["deepgram"], name="local", title="Local", needs_key=False)


def hashed(key: str) -> str:
    return "sha256:" + sha256(key.encode()).hexdigest()


KEYS = {"team-a": hashed(GOOD), "team-b": hashed(OTHER)}


def decide(**given: Any) -> Principal:
    """The decision on a client of Deepgram's that has shown nothing, except as ``given``."""
    known: dict[str, Any] = {
        "key": None,
        "entry": CLOUD,
        "hashes": KEYS,
        "stored": STORED,
        "own_provider_keys": True,
    }
    known |= given
    key, hashes = known["key"], known["hashes"]
    wanted = AccessRequest(
        entry=known["entry"],
        stored=known["stored"],
        own_provider_keys=known["own_provider_keys"],
        is_open=not hashes,
    )
    if key is None or not key.startswith(PREFIX):
        if key is not None:
            check_characters(key)
        return admit(None, key, wanted, 0)
    check_characters(key)
    found = [key_id for key_id, known_hash in hashes.items() if known_hash == hashed(key)]
    if not found:
        raise unauthorized("the router key is unknown here; check it, or create one")
    return admit(Holder(configured_key(found[0])), None, wanted, 0)


def holder(key_id: str, credential: Credential | None) -> Principal:
    """Who has shown a key of the configuration."""
    return Principal(key_id, credential, CONFIGURED, CONFIGURED_TERMS)


OWN = Principal("own", Credential("their-own", is_clients_own=True))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"key": GOOD}, holder("team-a", STORED)),
        ({"key": OTHER}, holder("team-b", STORED)),
        ({"key": GOOD, "own_provider_keys": False}, holder("team-a", STORED)),
        ({"key": "their-own"}, OWN),
        ({"key": "their-own", "hashes": {}}, OWN),
        ({"key": "their-own", "stored": None}, OWN),
        # A key shown with a token wins, as the header wins over the query.
        ({"key": GOOD, "token": "t"}, holder("team-a", STORED)),
        ({"key": "their-own", "token": "t"}, OWN),
        # A provider without credentials, on a daemon with and without router keys.
        ({"entry": LOCAL, "hashes": {}, "stored": None}, Principal("anonymous", None)),
        ({"entry": LOCAL, "hashes": {}, "stored": None, "key": "whatever"}, Principal("anonymous", None)),
        ({"entry": LOCAL, "hashes": {}, "own_provider_keys": False}, Principal("anonymous", None)),
        ({"entry": LOCAL, "key": GOOD, "stored": None}, holder("team-a", None)),
    ],
)
def test_who_is_let_in(given: dict[str, Any], expected: Principal) -> None:
    """Router keys open the operator's credential, the client's own key opens what it opens."""
    assert decide(**given) == expected


UNAUTHORIZED = ("unauthorized", CloseCode.UNAUTHORIZED)
FORBIDDEN = ("forbidden", CloseCode.FORBIDDEN)
PROVIDER = ("provider_error", CloseCode.PROVIDER)


@pytest.mark.parametrize(
    ("given", "expected", "words"),
    [
        ({}, UNAUTHORIZED, "x-api-key or the query parameter api_key"),
        ({"own_provider_keys": False}, UNAUTHORIZED, "no key"),
        ({"key": "router_unknown"}, UNAUTHORIZED, "unknown"),
        ({"key": "router_"}, UNAUTHORIZED, "unknown"),
        ({"key": GOOD + "x"}, UNAUTHORIZED, "unknown"),
        ({"key": GOOD[:-1]}, UNAUTHORIZED, "unknown"),
        ({"key": GOOD, "hashes": {}}, UNAUTHORIZED, "unknown"),
        # A key is not its hash.
        ({"key": hashed(GOOD), "own_provider_keys": False}, FORBIDDEN, "router_"),
        ({"key": "their-own", "own_provider_keys": False}, FORBIDDEN, "takes no Deepgram keys"),
        # Not ours to answer for: the operator stored no credential.
        ({"key": GOOD, "stored": None}, PROVIDER, "no credential for Deepgram"),
        # Tokens are not enabled yet, wherever they are shown.
        # A provider without credentials belongs to the holders of router keys where there are any.
        ({"entry": LOCAL}, UNAUTHORIZED, "holders of a router key"),
        ({"entry": LOCAL, "key": "whatever"}, UNAUTHORIZED, "holders of a router key"),
        ({"entry": LOCAL, "key": "router_unknown"}, UNAUTHORIZED, "unknown"),
        ({"entry": LOCAL, "key": "router_unknown", "hashes": {}}, UNAUTHORIZED, "unknown"),
    ],
)
def test_who_is_not(given: dict[str, Any], expected: tuple[str, CloseCode], words: str) -> None:
    """Everybody else is told why, and what to do."""
    with pytest.raises(Fault, match=words) as raised:
        decide(**given)
    assert (raised.value.code, raised.value.close_code) == expected


def test_an_unknown_router_key_is_never_sent_to_a_provider() -> None:
    """What looks like a key of ours stays here, known or not."""
    with pytest.raises(Fault):
        decide(key="router_" + CANARY, hashes={}, own_provider_keys=True)


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "a b",
        "a\r\nX-Evil: 1",
        "a\n",
        "\na",
        "a\tb",
        "a\x00",
        "a\x7f",
        "é",
        "ｋey",
        "a\u2028",
        "router_\n",
        "x" * (KEY_CHARACTERS_MAX + 1),
        f"{GOOD}\n",
        f"{GOOD} ",
        "\ud800",
    ],
    ids=lambda key: ascii(key[:20]),
)
@pytest.mark.parametrize("entry", [CLOUD, LOCAL], ids=["cloud", "local"])
def test_characters_that_no_key_has(key: str, entry: Entry) -> None:
    """What could break out of a header of ours, or no header could carry, is no key."""
    with pytest.raises(Fault) as raised:
        decide(key=key, entry=entry, hashes={**KEYS, "evil": "sha256:" + "0" * 64})
    assert (raised.value.code, raised.value.close_code) == UNAUTHORIZED
    assert not key.strip() or key not in raised.value.message


def test_the_longest_key() -> None:
    """Providers' temporary tokens are long; exactly the maximum passes."""
    key = "x" * KEY_CHARACTERS_MAX
    principal = decide(key=key)
    assert principal.credential == Credential(key, is_clients_own=True)


@pytest.mark.parametrize(
    "given",
    [
        {"key": "router_" + CANARY},
        {"key": CANARY, "own_provider_keys": False},
        {"key": CANARY + "\n"},
        {"key": CANARY, "entry": LOCAL},
        {"key": GOOD, "stored": None, "token": CANARY},
        {"token": CANARY},
        {"token": CANARY, "entry": LOCAL},
    ],
)
def test_no_refusal_tells_a_key(given: dict[str, Any]) -> None:
    """No text of a refusal quotes a key or token, however it is printed."""
    with pytest.raises(Fault) as raised:
        decide(**given)
    for text in (str(raised.value), repr(raised.value), raised.value.message):
        assert CANARY not in text
    assert CANARY not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("given", [{"key": CANARY}, {"key": GOOD}])
def test_no_principal_tells_a_key(given: dict[str, Any]) -> None:
    """Nor does what a good key becomes."""
    principal = decide(**given)
    for text in (repr(principal), str(principal), f"{[principal]}"):
        assert CANARY not in text


def test_whose_fault_a_missing_credential_is() -> None:
    """A good key on a daemon without the provider's credential is not the client's fault, nor worth a retry."""
    with pytest.raises(UpstreamFault) as raised:
        decide(key=GOOD, stored=None)
    assert not raised.value.is_retryable
