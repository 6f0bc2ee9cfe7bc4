"""Many clients on a fleet while its nodes are killed and its database is restarted."""

import random
import signal
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Final

import msgspec
import psycopg
import trio

from tests.fleet.counting import Counter
from tests.fleet.fleet import Fleet
from tests.fleet.processes import Daemon
from tests.fleet.riding import Ride, Wish, ride
from tests.fleet.verdict import Line, Verdict, judge

KEYS: Final = 8
"""Every other one with limits, so that its streams hold leases and its account has a budget."""

LIMITS: Final = ("--concurrency", "100000", "--budget", "100000")

RIDE: Final = "ride"
"""What the names of rides begin with."""

PRICE: Final = Decimal("0.36")
"""Dollars per hour: a cycle costs 0.0005."""

OUTAGE_S: Final = 8.0
"""How long the database is away, beyond what it needs to start: every stream begins a cycle meanwhile."""

SETTLE_S: Final = 90.0
"""For a dead node's lines to be closed by the others: 30 s of lease, 15 s until the next sweep, a loaded machine."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How rough it gets."""

    sessions: int
    seconds: float
    kill_every_s: float
    """On average; nodes are back some seconds later."""
    restarts_database: bool = True
    chunk_ms: int = 100
    ride_s: tuple[float, float] = (10.0, 90.0)
    """Shortest and longest intended ride."""
    seed: int = 0


class Report(msgspec.Struct):
    """What came of it."""

    rides: list[Ride] = msgspec.field(default_factory=list)
    kills: int = 0
    restarts: int = 0
    verdict: Verdict = msgspec.field(default_factory=Verdict)
    open_most: int = 0
    """Connections at the provider at the same time."""


def toml(counter: Counter) -> str:
    """The daemons' configuration for a storm."""
    return (
        f'[providers.deepgram]\nurl = "{counter.url}"\napi_key = "stored"\nprice_per_hour_usd = "{PRICE}"\n'
    )


async def storm(
    fleet: Fleet, counter: Counter, plan: Plan, *, tick: Callable[[Report], None] = lambda _: None
) -> Report:
    """Let it blow, wait until all is quiet, and judge.

    Args:
        tick: called after every ride, kill and restart.
    """
    keys = [await fleet.new_key(*(LIMITS if number % 2 else ())) for number in range(KEYS)]
    weather = _Weather(fleet, keys, plan, tick)
    await weather.blow()
    heads = await counter.until_open(0)
    await until_closed(fleet, RIDE)
    report = weather.report
    report.open_most = heads.open_most
    report.verdict = judge(report.rides, await ledger_lines(fleet, RIDE), await counter.heard(RIDE))
    report.verdict.faults += await _accounts_off(fleet)
    return report


class _Weather:
    """The tasks of one storm."""

    def __init__(self, fleet: Fleet, keys: list[str], plan: Plan, tick: Callable[[Report], None]) -> None:
        self.report = Report()
        self._fleet = fleet
        self._keys = keys
        self._plan = plan
        self._tick = tick
        self._chance = random.Random(plan.seed)
        self._numbers = count(1)
        self._until_s = 0.0
        self._trouble = trio.Lock()
        """One trouble at a time."""

    async def blow(self) -> None:
        self._until_s = trio.current_time() + self._plan.seconds
        async with trio.open_nursery() as nursery:
            for _ in range(self._plan.sessions):
                nursery.start_soon(self._ride_on)
            nursery.start_soon(self._kill_nodes)
            if self._plan.restarts_database:
                nursery.start_soon(self._restart_database)

    async def _ride_on(self) -> None:
        """One client, which connects again whenever its connection has ended."""
        key = self._chance.choice(self._keys)
        await trio.sleep(self._chance.uniform(0, min(5.0, self._plan.seconds / 4)))
        while (left_s := self._until_s - trio.current_time()) > 0:
            wish = Wish(
                name=f"{RIDE}-{next(self._numbers):06d}",
                key=key,
                seconds=min(left_s, self._chance.uniform(*self._plan.ride_s)),
                chunk_ms=self._plan.chunk_ms,
                leaves=self._chance.random() < 0.1,
            )
            done = await ride(_port(self._fleet.address), wish)
            self.report.rides.append(done)
            self._tick(self.report)
            if done.ending != "finished":
                await trio.sleep(self._chance.uniform(0.2, 1.5))

    async def _kill_nodes(self) -> None:
        """One node after the other, so that somebody always serves."""
        while True:
            pause_s = self._plan.kill_every_s * self._chance.uniform(0.5, 1.5)
            if trio.current_time() + pause_s > self._until_s:
                return
            await trio.sleep(pause_s)
            async with self._trouble:
                node = await self._kill()
                await trio.sleep(self._chance.uniform(0, 3))
                await node.start()

    async def _restart_database(self) -> None:
        """While it is away a node dies too, with marks that only its own disk has."""
        await trio.sleep(self._plan.seconds / 2)
        async with self._trouble:
            # As in a crash: it recovers from its log when it starts.
            await trio.to_thread.run_sync(self._fleet.postgres.stop, signal.SIGQUIT)
            await trio.sleep(OUTAGE_S - 1)
            node = await self._kill()
            await trio.sleep(1)
            await trio.to_thread.run_sync(self._fleet.postgres.start)
            self.report.restarts += 1
            self._tick(self.report)
            await node.start()

    async def _kill(self) -> Daemon:
        node = self._fleet.nodes[self._chance.choice(sorted(self._fleet.nodes))]
        await node.kill()
        self.report.kills += 1
        self._tick(self.report)
        return node


async def ledger_lines(fleet: Fleet, prefix: str) -> list[Line]:
    """Every line whose ride's name begins so, read past the product's own code."""
    query = "SELECT model, status, cycles, granted, audio_ms FROM line WHERE model LIKE %s"

    def read() -> list[Line]:
        with psycopg.connect(fleet.store_url) as connection:
            return [
                Line(name=name, status=status, cycles=cycles, granted=granted, audio_ms=audio_ms)
                for name, status, cycles, granted, audio_ms in connection.execute(query, [f"{prefix}-%"])
            ]

    return await trio.to_thread.run_sync(read)


async def _accounts_off(fleet: Fleet) -> list[str]:
    """Accounts whose sum is not what their lines cost."""
    query = """
        SELECT account.id, account.total_units, sum(line.cycles * line.micro_usd_per_hour)
        FROM account JOIN line ON line.account = account.id GROUP BY account.id
    """

    def read() -> list[str]:
        with psycopg.connect(fleet.store_url) as connection:
            sums = connection.execute(query).fetchall()
        assert sums, "nobody was charged anything"
        return [f"account: {had} units, its lines cost {cost}" for _, had, cost in sums if had != cost]

    return await trio.to_thread.run_sync(read)


async def until_closed(fleet: Fleet, prefix: str) -> None:
    """Until no line is open; what stays open is the verdict's to tell."""
    with trio.move_on_after(SETTLE_S):
        while any(line.status == "open" for line in await ledger_lines(fleet, prefix)):  # noqa: ASYNC110  (of other processes)
            await trio.sleep(0.5)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
