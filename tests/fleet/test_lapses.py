"""What happens when a key, a node or the database goes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
import trio
from trio_websocket import ConnectionRejected

from tests.fleet.counting import Counter, Heard, open_counter
from tests.fleet.fleet import Fleet, open_fleet
from tests.fleet.processes import Daemon
from tests.fleet.races import MULAW, rush
from tests.fleet.riding import AUDIO, Ride, Wish, ride, status_of
from tests.fleet.storm import ledger_lines, toml, until_closed
from tests.fleet.verdict import judge
from tests.server.fakes import client

LEASES_FREE_S: Final = 35.0
KEYS_ACT_S: Final = 5.0
"""Real time, because the requirements are about it."""

CONCURRENCY: Final = 5
CHUNK: Final = AUDIO[:800]

ADMIN: Final = "admin-key-of-a-fleet"
ADMIN_TOML: Final = f'admin_key = "{ADMIN}"\n'
"""Continues `[access]`."""

RIDES: Final = 6
RIDE_S: Final = 16.0
PATIENCE_S: Final = 60.0


async def test_leases_of_a_dead_node(tmp_path: Path) -> None:
    """The places of streams on a node that was killed are taken at first, and free within 35 s."""
    async with open_counter() as counter, open_fleet(tmp_path, ADMIN_TOML + toml(counter)) as fleet:
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


async def test_database_restarts(tmp_path: Path) -> None:
    """Without the database streams go on and new ones get 503; with it all is well, and nothing is lost or invented."""
    rides: list[Ride] = []
    async with (
        open_counter() as counter,
        open_fleet(tmp_path, toml(counter), names=("one", "two")) as fleet,
        trio.open_nursery() as nursery,
    ):
        key = await fleet.new_key()
        for number in range(RIDES):
            nursery.start_soon(_ride, rides, fleet, key, f"early-{number}", RIDE_S)
        await counter.until_open(RIDES)
        await trio.to_thread.run_sync(fleet.postgres.stop)
        for node in fleet.nodes.values():
            await _until_unavailable(node, {"x-api-key": key})
        await _until_heard_more(counter)
        assert (await counter.heads()).open_now == RIDES
        await trio.to_thread.run_sync(fleet.postgres.start)
        for node in fleet.nodes.values():
            await node.until_ready()
        await _ride(rides, fleet, key, "early-late", 2.0)
        await counter.until_open(0)
        await until_closed(fleet, "early")
        verdict = judge(rides, await ledger_lines(fleet, "early"), await counter.heard("early"))
    assert [ride.ending for ride in rides] == ["finished"] * (RIDES + 1)
    assert verdict.faults == []
    assert verdict.ledger_cycles == RIDES * 4 + 1


async def _ride(rides: list[Ride], fleet: Fleet, key: str, name: str, seconds: float) -> None:
    port = int(fleet.address.rpartition(":")[2])
    rides.append(await ride(port, Wish(name=name, key=key, seconds=seconds)))


async def _until_unavailable(node: Daemon, headers: Mapping[str, str]) -> None:
    """The first who come may be let in to be told why not."""
    with trio.fail_after(PATIENCE_S):
        while (code := await told(node, headers)) != 503:
            assert code == 1013
            await trio.sleep(0.1)


async def _until_heard_more(counter: Counter) -> None:
    """Until every stream has begun another cycle."""
    before = await counter.heard("early")

    def is_more(now: Mapping[str, Heard]) -> bool:
        return all(one.audio_ms >= before[name].audio_ms + 5000 for name, one in now.items())

    with trio.fail_after(PATIENCE_S):
        while not is_more(await counter.heard("early")):  # noqa: ASYNC110  (of another process)
            await trio.sleep(0.2)


async def told(node: Daemon, headers: Mapping[str, str]) -> int | None:
    """How a new stream is refused: an HTTP status or close code; None: it is served."""
    try:
        async with client(int(node.address.rpartition(":")[2]), MULAW, headers) as caller:
            await caller.finish()
            _, code = await caller.rest()
            return None if code == 1000 else code
    except* ConnectionRejected as group:
        status = status_of(group)
    return status
