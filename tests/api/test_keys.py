"""The administration over HTTP."""

from collections.abc import AsyncIterator
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path

import pytest

from routeraudio.auth.authenticator import PresentedKeys
from routeraudio.store.contract import Mark, Node, Opened, Opening
from tests.api.office import ADMIN, STATIC, Office, config_of, open_office
from tests.auth.keystore import CLOUD, STORED, KeyStore


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(config_of(tmp_path)) as opened:
        yield opened


PATHS = [
    ("GET", "/v1/keys"),
    ("POST", "/v1/keys"),
    ("GET", "/v1/keys/x"),
    ("PATCH", "/v1/keys/x"),
    ("POST", "/v1/keys/x/disable"),
    ("POST", "/v1/keys/x/rotate"),
    ("GET", "/v1/audit"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_who_may_administer(office: Office, method: str, path: str) -> None:
    """Whoever has the admin key: 401 without or with a wrong one, 403 with a router key; the body is not looked at."""
    for key, status in ((None, 401), ("wrong", 401), ("router_x", 401), (ADMIN + "x", 401), (STATIC, 403)):
        assert (await office.call(method, path, key=key, json={"nonsense": 1}))[0] == status
    assert (await office.call(method, path, json={"name": "n"}))[0] in (200, 201, 404)


async def test_ways_to_send_the_key(office: Office) -> None:
    """x-api-key, or Authorization with or without the word Bearer."""
    for value in (ADMIN, f"Bearer {ADMIN}", f"bearer  {ADMIN}"):
        assert (await office.call("GET", "/v1/keys", key=None, headers={"authorization": value}))[0] == 200
    assert (await office.call("GET", "/v1/keys", key=None, headers={"authorization": f"Basic {ADMIN}"}))[
        0
    ] == 401


async def test_off_where_it_is_not_configured(tmp_path: Path) -> None:
    """No key opens it."""
    async with open_office(config_of(tmp_path, admin_key=None)) as office:
        for key in (ADMIN, STATIC, "None", "wrong"):
            status, body = await office.call("GET", "/v1/keys", key=key)
            assert status == 403
            assert "access.admin_key_file" in body["error"]


async def test_the_life_of_a_key(office: Office) -> None:
    """Made, seen, changed, used, rotated, disabled and enabled; each acts at once on this daemon."""
    made = await office.create(name="first", account="acme", budget={"usd": "10", "period": "month"})
    path, text = f"/v1/keys/{made['id']}", made.pop("key")
    assert text.startswith(f"router_{made['id']}_")
    assert await office.call("GET", path) == (200, made)
    assert await office.call("GET", "/v1/keys?account=acme") == (200, {"keys": [made]})
    assert await office.call("GET", "/v1/keys?account=other") == (200, {"keys": []})

    found = await office.access.principal(PresentedKeys(key=text), entry=CLOUD, stored=STORED)
    assert (found.account, found.terms.streams) == ("acme", False)
    status, changed = await office.call("PATCH", path, json={"streams": True, "budget": None})
    assert (status, changed) == (200, {**made, "streams": True, "budget": None})
    found = await office.access.principal(PresentedKeys(key=text), entry=CLOUD, stored=STORED)
    assert found.terms.streams

    status, rotated = await office.call("POST", f"{path}/rotate")
    assert (status, rotated["id"]) == (200, made["id"])
    assert (await office.access.key(rotated["key"])).id == made["id"]
    assert (await office.call("GET", "/v1/usage", key=text))[0] == 401

    status, disabled = await office.call("POST", f"{path}/disable")
    assert (status, disabled["disabled"]) == (200, True)
    assert (await office.call("GET", "/v1/usage", key=rotated["key"]))[0] == 401
    assert (await office.call("PATCH", path, json={"disabled": False}))[0] == 200
    assert (await office.call("GET", "/v1/usage", key=rotated["key"]))[0] == 200


async def test_the_audit_log(office: Office) -> None:
    """Who did what to which key; the latest first; without secrets or personal data."""
    made = await office.create(streams=True, metadata={"person": "canary"}, webhook_url="https://x/canary")
    path = f"/v1/keys/{made['id']}"
    await office.call("PATCH", path, json={"concurrency_max": 5})
    await office.call("POST", f"{path}/rotate")
    await office.call("POST", f"{path}/disable")
    _, body = await office.call("GET", "/v1/audit")
    acts = [(entry["actor"], entry["action"], entry["subject"]) for entry in body["audit"]]
    actions = ["key.disable", "key.rotate", "key.update", "key.create"]
    assert acts == [("admin", action, made["id"]) for action in actions]
    assert body["audit"][2]["detail"] == {"concurrency_max": "5"}
    assert body["audit"][3]["detail"]["streams"] == "true"
    assert "canary" not in str(body)
    assert len((await office.call("GET", "/v1/audit?limit=2"))[1]["audit"]) == 2
    for limit in ("0", "1001", "x", "-1", "9" * 30):
        assert (await office.call("GET", f"/v1/audit?limit={limit}"))[0] == 400


BODIES = [
    (b'{"name": 5}', "name", "name: expected a text of 1 to 100 characters"),
    (b"{}", "name", "name: expected a value"),
    (b"", "name", "name: expected a value"),
    (b'{"name": "n", "foo": 1}', "foo", "foo: unknown key; allowed here: account"),
    (b'{"name": "n", "budget": {"usd": 0}}', "budget.usd", "budget.usd: expected dollars"),
    (b'["name"]', None, "expected a JSON object"),
    (b"{", None, "expected a JSON object"),
    (b'{"name": "\xff"}', None, "expected a JSON object"),
    (b"[" * 50_000, None, "expected a JSON object"),
]


@pytest.mark.parametrize(("data", "parameter", "message"), BODIES)
async def test_bodies(office: Office, data: bytes, parameter: str | None, message: str) -> None:
    """What is wrong is named, with what is allowed; nothing is made of it."""
    status, body = await office.call("POST", "/v1/keys", content=data)
    assert status == 400
    assert body["error"].startswith(message)
    assert body.get("parameter") == parameter
    assert (await office.call("GET", "/v1/keys"))[1] == {"keys": []}


async def test_keys_that_are_not_there(office: Office) -> None:
    """404, also for those of the configuration, which the file administers."""
    for key_id in ("nobody", "team", "%27%20or%201=1"):
        for method, tail in (("GET", ""), ("PATCH", ""), ("POST", "/disable"), ("POST", "/rotate")):
            assert (await office.call(method, f"/v1/keys/{key_id}{tail}"))[0] == 404


async def test_guessing_the_admin_key(tmp_path: Path) -> None:
    """Ends after some attempts, until time has passed, but not for whoever has it. A proxy's clients are apart."""
    networks = (ip_network("127.0.0.0/8"),)
    async with open_office(
        config_of(tmp_path, failures_per_minute_max=3), trusted_proxies=networks
    ) as office:
        evil, good = {"x-forwarded-for": "198.51.100.7, 192.0.2.1"}, {"x-forwarded-for": "192.0.2.2"}
        for _ in range(3):
            assert (await office.call("GET", "/v1/keys", key="wrong", headers=evil))[0] == 401
        answer = await office.client.get("/v1/keys", headers={"x-api-key": "wrong", **evil})
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 20
        assert (await office.call("GET", "/v1/keys", key="wrong", headers=good))[0] == 401
        for path in ("/v1/keys", "/v1/usage"):
            assert (await office.call("GET", path, headers=evil))[0] == 200


async def test_without_a_store(tmp_path: Path) -> None:
    """503 with a time to come back; nothing of the store's own words."""
    store = KeyStore()
    store.is_down = True
    async with open_office(config_of(tmp_path), store) as office:
        answer = await office.client.get("/v1/keys", headers={"x-api-key": ADMIN})
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json() == {"error": "the store does not answer; try again later"}
        assert (await office.call("GET", "/v1/usage", key="router_AAAAAAAAAAAA_" + "B" * 32))[0] == 503


async def test_usage(office: Office) -> None:
    """A key sees its account's lines, an administrator all; nobody another one's."""
    first, second = await office.create(account="acme"), await office.create(account="acme")
    other = await office.create(account="other")
    node = Node("n", "e")
    office.store.join(node)
    for number, (key, cycles) in enumerate(((first, 3), (second, 4), (other, 5))):
        stream(office, node, f"s{number}", key["id"], key["account"], cycles)

    status, mine = await office.call("GET", "/v1/usage?by=key", key=first["key"])
    assert status == 200
    assert {row["key"]: row["cycles"] for row in mine["rows"]} == {first["id"]: 3, second["id"]: 4}
    assert mine["total"] == {
        "sessions": 2,
        "cycles": 7,
        "audio_seconds": 35.0,
        "connected_seconds": 0.0,
        "replayed_seconds": 0.0,
        "amount_usd": "0.003791666667",
    }
    assert (await office.call("GET", "/v1/usage", key=first["key"]))[1]["by"] == ["key", "provider", "model"]
    assert (await office.call("GET", "/v1/usage?account=other", key=first["key"]))[0] == 403
    assert (await office.call("GET", "/v1/usage?account=other"))[1]["total"]["cycles"] == 5
    assert (await office.call("GET", "/v1/usage"))[1]["total"]["cycles"] == 12
    assert (await office.call("GET", "/v1/usage?since=2001-01-01&until=2002-01-01"))[1]["rows"] == []
    for query in ("by=colour", "by=key,key", "since=soon", "color=red"):
        assert (await office.call("GET", f"/v1/usage?{query}"))[0] == 400
    for key in (None, "wrong", "router_x"):
        assert (await office.call("GET", "/v1/usage", key=key))[0] == 401


def stream(office: Office, node: Node, session: str, key_id: str, account: str, cycles: int) -> None:
    """A stream that has begun so many cycles, at 39 cents an hour."""
    opening = Opening(
        session_id=session,
        node=node,
        key_id=key_id,
        account=account,
        dialect="listen",
        provider="elevenlabs",
        model="m",
        price_per_hour_usd=Decimal("0.39"),
    )
    assert isinstance(office.store.open(opening), Opened)
    mark = Mark(session_id=session, cycles=cycles, wanted=cycles, audio_ms=cycles * 5000)
    assert office.store.settle(node, [mark])[0].granted >= cycles
