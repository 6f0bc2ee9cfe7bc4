"""How the gateway says no, and how a close on one side is said on the other."""

import json

import pytest

from routeraudio.dialects.base import Request
from routeraudio.gateway import closes as endings
from routeraudio.gateway.closes import Close, close_for_client, close_for_provider
from routeraudio.gateway.request import Call
from routeraudio.gateway.request import read as read_request
from routeraudio.model.errors import (
    BudgetUsedUp,
    CloseCode,
    Fault,
    InternalFault,
    Overloaded,
    Unavailable,
    UpstreamFault,
    forbidden,
    invalid_parameter,
    unauthorized,
)
from routeraudio.providers.base import Credential
from routeraudio.providers.catalog import PROVIDERS

GENERAL = "/v1/audio-stream"


def read(path: str) -> Call:
    return read_request(Request(path, "", {}))


FAULTS: list[tuple[Fault, int, int]] = [
    (unauthorized("x"), 401, 3000),
    (forbidden("x"), 403, 3003),
    (invalid_parameter("p", "x"), 400, 1003),
    (BudgetUsedUp("x"), 402, 4402),
    (Overloaded("x"), 429, 1013),
    (Unavailable("x"), 503, 1013),
    (Overloaded("x", close_code=CloseCode.RESTART), 503, 1012),
    (UpstreamFault("x"), 503, 1011),
    (InternalFault("x"), 503, 1011),
]


@pytest.mark.parametrize(("fault", "status", "code"), FAULTS, ids=lambda each: str(each))
def test_faults(fault: Fault, status: int, code: int) -> None:
    """Before the upgrade a status, behind it a close code."""
    assert (endings.status(fault), endings.close_code(fault)) == (status, code)


def test_memories_body() -> None:
    """The seed's envelope, in both of its spellings; a stream too many has its number."""
    kind, body = endings.refusal(read(GENERAL), 429, "no")
    assert kind == "application/json"
    assert json.loads(body) == {"code": 429, "msg": "no", "message": "no", "data": None, "status": 16}
    assert "status" not in json.loads(endings.refusal(read(GENERAL), 401, "no")[1])
    assert json.loads(endings.refusal(read("/gateway/nobody/"), 404, "no")[1])["code"] == 404


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 503])
def test_vendor_bodies(provider: str, status: int) -> None:
    """At a vendor's path a refusal has that vendor's shape and our sentence."""
    call = read(f"/gateway/{provider}{PROVIDERS[provider].native.default_path}")
    kind, body = endings.refusal(call, status, "our sentence")
    assert b"our sentence" in body
    if kind == "application/json":
        assert isinstance(json.loads(body), dict)


@pytest.mark.parametrize(
    ("status", "is_own", "code"),
    [
        (401, False, 1011),
        (403, False, 1011),
        (401, True, 3000),
        (400, False, 1011),
        (429, False, 1013),
        (503, True, 1013),
        (500, True, 1011),
    ],
)
def test_upstream_refusals(status: int, is_own: bool, code: int) -> None:
    """Whose key was refused decides what the client is told; the key is never in it."""
    credential = Credential("SECRET", is_clients_own=is_own)
    body = b'{"err_msg":"key SECRET is bad"}' + b"x" * 5000
    fault = endings.upstream_refusal(PROVIDERS["deepgram"], status, body, credential)
    assert endings.close_code(fault) == code
    assert f"HTTP {status}" in fault.message
    assert "SECRET" not in fault.message


LEGAL = [*range(1000, 1004), *range(1007, 1015), 1005, 3000, 3999, 4000, 4999]


@pytest.mark.parametrize("code", LEGAL)
def test_closes_are_passed_on(code: int) -> None:
    """Every code that may be sent, with its reason, both ways."""
    assert close_for_client("Deepgram", code, "why", is_violation=False) == Close(code, "why")
    assert close_for_provider(code, "why", is_violation=False) == Close(code, "why")


def test_a_key_in_a_reason() -> None:
    """Ours is not for the client to read, whoever quotes it."""
    close = close_for_client("Deepgram", 1008, "bad key hush-1", is_violation=False, secret="hush-1")
    assert close == Close(1008, "bad key …")


def test_closes_that_nobody_sent() -> None:
    """A lost provider is a fault of the far side; a lost client has gone away. What we refused is not passed on."""
    assert close_for_client("Deepgram", None, "x", is_violation=False) == Close(
        1011, "the connection to Deepgram was lost"
    )
    assert close_for_client("Deepgram", 1009, "too big", is_violation=True).code == 1011
    assert close_for_provider(None, "x", is_violation=False) == Close(1001)
    assert close_for_provider(1009, "too big", is_violation=True) == Close(1001)
