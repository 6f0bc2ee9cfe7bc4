"""What happens when the database goes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio

from tests.fleet.counting import Counter, Heard, open_counter
from tests.fleet.fleet import Fleet, open_fleet
from tests.fleet.processes import Daemon, is_ready
from tests.fleet.races import told
from tests.fleet.riding import Ride, Wish, ride
from tests.fleet.storm import ledger_lines, toml, until_closed
from tests.fleet.verdict import judge

RIDES: Final = 6
RIDE_S: Final = 16.0
PATIENCE_S: Final = 60.0


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
        await _until_balanced(fleet)
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


async def _until_balanced(fleet: Fleet) -> None:
    """Until the balancer has noticed too; it asks once a second."""
    with trio.fail_after(PATIENCE_S):
        while not await is_ready(fleet.address):  # noqa: ASYNC110  (of another process)
            await trio.sleep(0.1)


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
