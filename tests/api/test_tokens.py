"""`POST /v1/token`, and that nothing secret stays anywhere."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import structlog

from routeraudio.auth.authenticator import PresentedKeys
from routeraudio.config.schema import Log
from routeraudio.model.errors import Fault
from routeraudio.observability import logs
from routeraudio.policy.access import Principal
from tests.api.office import ADMIN, SERVER_SECRET, STATIC, Office, config_of, open_office
from tests.auth.test_authenticator import CLOUD, STORED


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(config_of(tmp_path)) as opened:
        yield opened


async def principal(office: Office, token: str, origin: str | None = None) -> Principal:
    return await office.access.principal(
        PresentedKeys(token=token), entry=CLOUD, stored=STORED, origin=origin
    )


async def test_without_a_body(office: Office) -> None:
    """A token for a minute, which becomes its key."""
    made = await office.create(account="acme")
    status, body = await office.call("POST", "/v1/token", key=made["key"])
    assert status == 200
    assert body.keys() == {"token", "token_type", "expires_in", "expires_at"}
    assert (body["token_type"], body["expires_in"]) == ("jwt", 60)
    found = await principal(office, body["token"])
    assert (found.key_id, found.account) == (made["id"], "acme")
    assert found.restriction is not None
    assert datetime.fromisoformat(body["expires_at"]).timestamp() == found.restriction.expires_at_s


async def test_with_everything(office: Office) -> None:
    """What is asked for narrows the token."""
    made = await office.create(providers=["deepgram", "soniox"], concurrency_max=5)
    wish = {
        "ttl_seconds": 3600,
        "providers": ["deepgram"],
        "models": None,
        "max_connection_seconds": 600,
        "max_concurrent": 1,
        "metadata": {"user": "u-42"},
    }
    status, body = await office.call("POST", "/v1/token", key=made["key"], json=wish)
    assert (status, body["expires_in"]) == (200, 3600)
    narrowed = (await principal(office, body["token"])).restriction
    assert narrowed is not None
    assert (narrowed.providers, narrowed.models) == (("deepgram",), None)
    assert (narrowed.max_connection_s, narrowed.max_concurrent) == (600, 1)
    assert narrowed.metadata == {"user": "u-42"}


async def test_a_key_of_the_configuration(office: Office) -> None:
    """May make tokens, like any other."""
    _, body = await office.call("POST", "/v1/token", key=STATIC)
    assert (await principal(office, body["token"])).key_id == "team"


async def test_who_may_not(office: Office) -> None:
    """401 without a router key of ours, 403 where it may not or has less, 400 where nobody could."""
    tokenless = await office.create(tokens=False)
    narrow = await office.create(providers=["soniox"], concurrency_max=2, origins=["https://app.example"])
    for key in (None, "dg-a-providers-key", "router_x", ADMIN):
        assert (await office.call("POST", "/v1/token", key=key))[0] == 401
    assert (await office.call("POST", "/v1/token", key=tokenless["key"]))[0] == 403
    for more in ({"providers": ["deepgram"]}, {"max_concurrent": 3}):
        status, body = await office.call("POST", "/v1/token", key=narrow["key"], json=more)
        assert (status, next(iter(more)) in body["error"]) == (403, True)
    evil = {"origin": "https://evil.example"}
    assert (await office.call("POST", "/v1/token", key=narrow["key"], headers=evil))[0] == 403
    for wrong in ({"ttl_seconds": 3601}, {"ttl": 60}, {"providers": ["x"]}, ["x"]):
        assert (await office.call("POST", "/v1/token", key=narrow["key"], json=wrong))[0] == 400
    long = [f"{number}{'x' * 95}" for number in range(64)]
    status, body = await office.call("POST", "/v1/token", key=STATIC, json={"models": long})
    assert status == 400
    assert "4096 bytes" in body["error"]


async def test_get_is_no_way_to_make_one(office: Office) -> None:
    """A link cannot."""
    answer = await office.client.get("/v1/token", headers={"x-api-key": STATIC})
    assert answer.status_code == 405


async def test_the_rate(tmp_path: Path) -> None:
    """Beyond it 429 with a time to come back; another key is served."""
    async with open_office(config_of(tmp_path, tokens_per_second_max=1)) as office:
        other = await office.create()
        statuses = [(await office.call("POST", "/v1/token", key=STATIC))[0] for _ in range(12)]
        assert statuses[:10] == [200] * 10
        assert 429 in statuses[10:]
        answer = await office.client.post("/v1/token", headers={"x-api-key": STATIC})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert (await office.call("POST", "/v1/token", key=other["key"]))[0] == 200


async def test_minting_writes_nothing(office: Office, tmp_path: Path) -> None:
    """A token costs the store a look at its key, and no write."""
    made = await office.create()
    with sqlite3.connect(tmp_path / "r.db") as database:
        before = database.execute("PRAGMA data_version").fetchone()
        for _ in range(5):
            assert (await office.call("POST", "/v1/token", key=made["key"]))[0] == 200
        assert database.execute("PRAGMA data_version").fetchone() == before
    database.close()


@pytest.fixture
def default_logs() -> Iterator[None]:
    """Whatever a test does to them."""
    yield
    structlog.reset_defaults()


def content(folder: Path) -> bytes:
    """Every file of the store, as it is on the disk."""
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.usefixtures("default_logs")
async def test_no_secret_stays_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in the database's files nor in the log, after all that can be done with keys has been done."""
    logs.configure(Log(level="debug", format="json"))
    async with open_office(config_of(tmp_path)) as office:
        made = await office.create(metadata={"team": "a"})
        _, rotated = await office.call("POST", f"/v1/keys/{made['id']}/rotate")
        _, token = await office.call("POST", "/v1/token", key=rotated["key"])
        await principal(office, token["token"])
        for shown in (
            PresentedKeys(key=made["key"]),
            PresentedKeys(token=token["token"] + "x"),
            PresentedKeys(provider_key=STATIC),
        ):
            with pytest.raises(Fault):
                await office.access.principal(shown, entry=CLOUD, stored=STORED, address="192.0.2.1")
        await office.call("GET", "/v1/keys", key="wrong-admin-canary")
        await office.call("POST", "/v1/token", key=rotated["key"], json={"x": "body-canary"})
        await office.call("POST", f"/v1/keys/{made['id']}/disable")
        written = content(tmp_path)
    written += content(tmp_path)
    assert made["id"].encode() in written
    said = "".join(capsys.readouterr()).encode()
    assert b"token_minted" in said
    secrets = [made["key"], rotated["key"], token["token"], ADMIN, STATIC, SERVER_SECRET]
    for secret in [*secrets, made["key"][20:], rotated["key"][20:], "wrong-admin-canary", "body-canary"]:
        assert secret.encode() not in written
        assert secret.encode() not in said
