"""Nothing secret stays anywhere: what was planted is looked for in every log, page, file and column."""

import base64
import subprocess
from pathlib import Path
from typing import Final

import httpx
import trio
from trio_websocket import ConnectionRejected

from tests.edge.fakes import Client, client, get
from tests.fleet.counting import WORDS, Counter, open_counter
from tests.fleet.fleet import Fleet, open_fleet
from tests.fleet.races import MULAW, new_token
from tests.fleet.riding import AUDIO
from tests.store.postgres import PROGRAMS

STORED: Final = "stored-canary-7f3a"
OWN: Final = "own-canary-91c4"
ADMIN: Final = "admin-canary-5be0-long-enough"
WRONG: Final = "router_canarycanar_0123456789canarycanary0123456789"

SECONDS: Final = AUDIO[:16_000]
"""Two: a transcript comes."""

TOML: Final = f"""\
admin_key = "{ADMIN}"
[providers.deepgram]
url = "%s"
api_key = "{STORED}"
"""
"""Continues `[access]`."""

OPERATORS_OWN: Final = ("*.toml", "secret")
"""Files that hold secrets because the operator put them there."""


async def test_canaries(tmp_path: Path) -> None:
    """No key, token, transcript or audio is in clear in a log, a page, a spooled file or the database."""
    async with open_counter() as counter, open_fleet(tmp_path, TOML % counter.url, names=("one",)) as fleet:
        planted = {STORED, OWN, ADMIN, WRONG, (tmp_path / "secret").read_text(), WORDS}
        planted |= await _live(fleet, counter)
        spooled = await _die_in_an_outage(fleet, await fleet.new_key())
        places = {"spool": spooled, **await _pages(fleet), **_files(fleet, tmp_path)}
    assert b'"cycles":' in places["spool"]
    assert b"routeraudio_sessions_total" in places["/metrics"]
    assert b"burnt_token" in places["database"]
    assert b"session" in places["one.log"]
    forms = {form for one in planted for form in _forms(one.encode())} | _audio_forms()
    assert [(name, form) for name, text in places.items() for form in forms if form in text] == []


def test_the_search_finds() -> None:
    """What the canary test looks for would be found as it is, as hexadecimals and as base64."""
    for place in (b"k=canary;", b"canary".hex().encode(), b"x" + base64.b64encode(b"--canary--")):
        assert any(form in place for form in _forms(b"canary"))


async def _live(fleet: Fleet, counter: Counter) -> set[str]:
    """Everything that clients and administrators do. Returns the secrets that came up."""
    port = _port(fleet)
    key, token = await fleet.new_key("--streams"), ""
    token = await new_token(fleet, key)
    for path, headers in (
        (MULAW, {"x-api-key": key}),
        (f"{MULAW}&api_key={key}", {}),
        (f"{MULAW}&jwt_token={token}", {}),
        (MULAW, {"x-api-key": OWN}),
        (MULAW, {"x-api-key": key, "x-provider-key": OWN}),
    ):
        async with client(port, path, headers) as caller:
            await _speak(caller)
            messages, code = await caller.rest()
            assert code == 1000, messages
            assert messages[0]["transcript"] == WORDS
    for path, headers in (
        (f"{MULAW}&jwt_token={token}", {}),  # used
        (f"{MULAW}&jwt_token={token}x", {}),
        (MULAW, {"x-api-key": WRONG}),
    ):
        async with client(port, path, headers) as caller:
            assert (await caller.rest())[1] == 3000
    async with client(port, MULAW, {"x-api-key": key}) as caller:
        await caller.send(WORDS)  # no JSON
        assert (await caller.rest())[1] == 1003
    try:
        async with client(port, f"{MULAW}&keyterm={key}&encoding={OWN}", {"x-api-key": key}):
            raise AssertionError("a wrong parameter was taken")
    except* ConnectionRejected:
        pass
    return {key, key.split("_")[2], token, token.split(".")[2], *await _administrate(fleet)}


async def _speak(caller: Client) -> None:
    for at in range(0, len(SECONDS), 1600):
        await caller.send(SECONDS[at : at + 1600])
    await caller.finish()


async def _administrate(fleet: Fleet) -> set[str]:
    """Returns the keys that were made."""
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://{fleet.address}") as http:
        http.headers["x-api-key"] = ADMIN
        made = (await http.post("/v1/keys", json={"name": "made"})).raise_for_status().json()
        rotated = (await http.post(f"/v1/keys/{made['id']}/rotate")).raise_for_status().json()
        await http.post("/v1/keys", json={"name": 5, "canary": made["key"]})
        await http.get("/v1/usage", headers={"x-api-key": WRONG})
    return {made["key"], made["key"].split("_")[2], rotated["key"], rotated["key"].split("_")[2]}


async def _die_in_an_outage(fleet: Fleet, key: str) -> bytes:
    """A stream begins a cycle that only the local disk knows, and its node dies. Returns what is on that disk."""
    node = fleet.nodes["one"]
    spool = node.config.parent / "one.state" / "spool"
    async with client(int(node.address.rpartition(":")[2]), MULAW, {"x-api-key": key}) as caller:
        await caller.send(SECONDS)
        await caller.receive()
        await trio.to_thread.run_sync(fleet.postgres.stop)
        with trio.fail_after(60):
            while not (files := list(spool.glob("*"))) or not files[0].stat().st_size:
                await caller.send(SECONDS)
                await trio.sleep(0.1)
    await node.kill()
    spooled = b"".join(file.read_bytes() for file in spool.iterdir())
    await trio.to_thread.run_sync(fleet.postgres.start)
    await node.start()
    return spooled


async def _pages(fleet: Fleet) -> dict[str, bytes]:
    port = int(fleet.nodes["one"].address.rpartition(":")[2])
    async with client(port, MULAW, {"x-api-key": OWN}) as caller:
        await _speak(caller)
        await caller.rest()
    return {path: (await get(port, path)).body for path in ("/metrics", "/healthz", "/readyz")}


def _files(fleet: Fleet, folder: Path) -> dict[str, bytes]:
    """Logs of every program, what the daemons keep, and the database as text."""
    found = {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(path.match(own) for own in OPERATORS_OWN)
    }
    command = [str(PROGRAMS[-1] / "pg_dump"), "--inserts", fleet.store_url]
    found["database"] = subprocess.run(command, check=True, capture_output=True).stdout
    found["log of the database"] = (fleet.postgres._folder / "log").read_bytes()
    return found


def _forms(secret: bytes) -> set[bytes]:
    """How it might be written: as it is, as hexadecimals, and as base64, wherever it stands in what was encoded."""
    encoded = set()
    for before in range(3):
        # What stands next to it changes the first and the last characters.
        whole = base64.b64encode(b"\0" * before + secret)
        encoded.add(whole[-(-before * 4 // 3) : len(whole) - 4])
    return {secret, secret.hex().encode(), *encoded}


def _audio_forms() -> set[bytes]:
    return {form for at in range(0, len(SECONDS), 400) for form in _forms(SECONDS[at : at + 24])}


def _port(fleet: Fleet) -> int:
    return int(fleet.address.rpartition(":")[2])
