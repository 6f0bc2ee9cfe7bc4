"""A breath of what `make chaos` does for minutes."""

from pathlib import Path

from tests.fleet.counting import open_counter
from tests.fleet.fleet import open_fleet
from tests.fleet.storm import Plan, storm, toml


async def test_a_short_storm(tmp_path: Path) -> None:
    """While a node is killed, clients go on elsewhere; afterwards the ledger is what the provider heard."""
    plan = Plan(sessions=6, seconds=10, kill_every_s=5, restarts_database=False, ride_s=(2, 6))
    async with (
        open_counter() as counter,
        open_fleet(tmp_path, toml(counter), names=("one", "two")) as fleet,
    ):
        report = await storm(fleet, counter, plan)
    assert report.kills
    assert report.verdict.faults == []
    assert report.verdict.lines >= plan.sessions
    assert report.verdict.ledger_cycles >= plan.sessions
