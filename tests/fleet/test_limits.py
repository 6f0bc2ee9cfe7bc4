"""Limits that hold for the whole fleet, whoever races and whoever dies."""

from pathlib import Path
from typing import Final

import httpx
import trio

from tests.edge.fakes import client
from tests.fleet.counting import WORDS, Counter, open_counter
from tests.fleet.fleet import Fleet, open_fleet
from tests.fleet.races import MULAW, rush, token_race, told
from tests.fleet.riding import AUDIO
from tests.fleet.storm import ledger_lines, toml, until_closed

ADMIN: Final = "admin-key-of-a-fleet"
ADMIN_TOML: Final = f'admin_key = "{ADMIN}"\n'
"""Continues `[access]`."""

LEASES_FREE_S: Final = 35.0
KEYS_ACT_S: Final = 5.0
"""Real time, because the requirements are about it."""

RACES: Final = 5
"""Fifty in `make chaos`."""

CONNECTS: Final = 100
CONCURRENCY: Final = 5
CROWD: Final = 40
CHUNK: Final = AUDIO[:800]
BUDGET_CYCLES: Final = 12


async def test_limits(tmp_path: Path) -> None:
    """What a token, a limit of concurrency or a budget allows is allowed once, not once per node; a key that is
    disabled through one node is refused by all in 5 s; the places of a dead node's streams are free in 35 s.
    """
    async with open_counter() as counter, open_fleet(tmp_path, ADMIN_TOML + toml(counter)) as fleet:
        await _token_opens_one_stream(fleet)
        await _never_more_than_the_limit(fleet, counter)
        await _budget_is_never_overdrawn(fleet, counter)
        await _places_of_a_dead_node(fleet, counter)


async def _token_opens_one_stream(fleet: Fleet) -> None:
    key = await fleet.new_key()
    for _ in range(RACES):
        crowd = await token_race(fleet, key, CONNECTS)
        assert len(crowd.inside) == 1
        assert crowd.codes == [3000] * (CONNECTS - 1)


async def _never_more_than_the_limit(fleet: Fleet, counter: Counter) -> None:
    headers = {"x-api-key": await fleet.new_key("--concurrency", str(CONCURRENCY))}
    for _ in range(2):
        await counter.until_open(0)
        async with rush(fleet, MULAW, headers, CROWD, audio=CHUNK) as crowd:
            assert len(crowd.inside) == CONCURRENCY
            assert crowd.codes == [1013] * (CROWD - CONCURRENCY)
            assert (await counter.heads()).open_now == CONCURRENCY
    assert (await counter.heads()).open_most == CONCURRENCY


async def _budget_is_never_overdrawn(fleet: Fleet, counter: Counter) -> None:
    """Eight clients with two keys want six cycles each; there are twelve."""
    budget = f"{BUDGET_CYCLES * 5 / 10_000:f}"  # a cycle costs 0.0005 USD
    keys = [await fleet.new_key("--account", "shared", "--budget", budget) for _ in range(2)]
    async with trio.open_nursery() as nursery:
        for number in range(8):
            node = list(fleet.nodes.values())[number % 3]
            nursery.start_soon(_spend, node.address, keys[number % 2], f"spender-{number}")
    await counter.until_open(0)
    await until_closed(fleet, "spender")
    heard = await counter.heard("spender")
    charged = {line.name: line for line in await ledger_lines(fleet, "spender")}
    assert sum(line.cycles for line in charged.values()) == BUDGET_CYCLES
    assert sum(line.granted for line in charged.values()) == BUDGET_CYCLES
    assert {name: line.audio_ms for name, line in charged.items()} == {
        name: one.audio_ms for name, one in heard.items()
    }


async def _spend(address: str, key: str, name: str) -> None:
    """Send 30 s of audio at once, and be told that it was too much."""
    async with client(int(address.rpartition(":")[2]), f"{MULAW}&model={name}", {"x-api-key": key}) as caller:
        for at in range(0, 240_000, 2400):
            await caller.send((AUDIO * 4)[at : at + 2400])
        messages, code = await caller.rest()
        assert code == 1013
        assert "budget" in messages[-1]["error"]
        assert {one["transcript"] for one in messages if one["type"] == "transcript"} <= {WORDS}


async def _places_of_a_dead_node(fleet: Fleet, counter: Counter) -> None:
    """They are taken at first."""
    headers = {"x-api-key": await fleet.new_key("--concurrency", str(CONCURRENCY))}
    async with rush(fleet, MULAW, headers, 2 * CONCURRENCY, audio=CHUNK, on=["three"]) as crowd:
        assert len(crowd.inside) == CONCURRENCY
        await fleet.nodes["three"].kill()
        killed_s = trio.current_time()
    await counter.until_open(0)
    assert await told(fleet.nodes["one"], headers) == 1013
    await _disabled_key_is_refused(fleet)  # there is time
    while (code := await told(fleet.nodes["two"], headers)) is not None:
        assert code == 1013
        await trio.sleep(0.5)
    assert trio.current_time() - killed_s < LEASES_FREE_S
    async with rush(fleet, MULAW, headers, CONCURRENCY, audio=CHUNK, on=["one", "two"]) as crowd:
        assert len(crowd.inside) == CONCURRENCY


async def _disabled_key_is_refused(fleet: Fleet) -> None:
    """What is disabled through one node is refused by every node within five seconds, also where it was just used."""
    key = await fleet.new_key()
    headers = {"x-api-key": key}
    nodes = [fleet.nodes["one"], fleet.nodes["two"]]
    for node in nodes:
        assert await told(node, headers) is None
    async with httpx.AsyncClient(trust_env=False) as http:
        url = f"http://{nodes[0].address}/v1/keys/{key.split('_')[1]}/disable"
        (await http.post(url, headers={"x-api-key": ADMIN})).raise_for_status()
    disabled_s = trio.current_time()
    for node in nodes:
        while await told(node, headers) is None:  # noqa: ASYNC110  (of another process)
            await trio.sleep(0.2)
        assert trio.current_time() - disabled_s < KEYS_ACT_S
        assert await told(node, headers) == 3000
