"""What a stream of a fleet costs: to begin, end to end, and to go on. `python -m bench.fleet`.

A daemon for each kind of store, all running; they take turns, so that a noisy machine is noisy for all of them.
A start is everything that a client waits for: TCP, upgrade, key, the ledger's opening, the provider dialled, and a
transcript for its first 100 ms of audio. Where the store is in memory the ledger costs neither thread nor disk.
"""

import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import trio
from cyclopts import App
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.processes import anonymous_kib, cpu_ns
from routeraudio.policy.keys import Budget, Key, Terms
from routeraudio.store.connect import open_store
from routeraudio.store.contract import Audit, Mark, Node, Opened, Opening
from tests.edge.fakes import client
from tests.fleet.counting import open_counter
from tests.fleet.processes import Daemon, free_ports
from tests.fleet.races import MULAW
from tests.fleet.riding import AUDIO, Wish, ride
from tests.fleet.storm import PRICE
from tests.store.postgres import Postgres

FIRST: Final = AUDIO[:800]

LIMITS: Final = ("--concurrency", "100000", "--rate", "1000000", "--budget", "900000")
"""Every check there is, and none that refuses."""

WARM_S: Final = 3.0

TERMS: Final = Terms(budget=Budget(Decimal(900_000)))

app = App(name="bench.fleet", help=__doc__, version_flags=())


class Row(msgspec.Struct):
    """A daemon, and how clients come to it."""

    name: str
    daemon: Daemon
    key: str
    speaks: bool = True
    """Sessions are measured too."""
    starts_ms: list[float] = msgspec.field(default_factory=list)
    session_kib: float = 0.0
    session_cpu: float = 0.0
    """Share of a processor."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.daemon.address.rpartition(":")[2])

    @property
    def pids(self) -> tuple[int]:
        """Its one process."""
        assert self.daemon.program.process is not None
        return (self.daemon.program.process.pid,)


@app.default
def fleet(*, starts: int = 150, sessions: int = 100, seconds: float = 15.0) -> int:
    """Measure and print one table.

    Args:
        starts: Of each row.
        sessions: Clients speaking in real time, 100 ms per message.
        seconds: For how long they are measured.
    """
    console = Console(file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        rows = trio.run(_measure, Path(folder), starts, sessions, seconds, console)
    Console(width=100).print(_table(rows))
    return 0


@app.command
def turns(*, threads: int = 4, seconds: float = 3.0, marks: int = 40) -> int:
    """Measure how often one account, and several, can take their turn in PostgreSQL: the bound of a large customer.

    Args:
        threads: Nodes that write at the same time.
        seconds: For each row.
        marks: In one commit; 500 streams begin so many cycles in the 0.4 s that a node gathers.
    """
    postgres = Postgres()
    table = Table("accounts", "commits/s", "marks/s", "openings/s", box=box.SIMPLE_HEAD)
    try:
        postgres.start()
        for accounts in (1, threads):
            crowd = _Crowd(postgres.create(f"turns-{accounts}"), threads, accounts, marks)
            settled, opened = crowd.per_s(crowd.settle, seconds), crowd.per_s(crowd.open, seconds)
            table.add_row(str(accounts), f"{settled:,.0f}", f"{settled * marks:,.0f}", f"{opened:,.0f}")
            crowd.store.close()
    finally:
        postgres.close()
    Console().print(table)
    return 0


class _Crowd:
    """Nodes that write into one store, each from a thread of its own."""

    def __init__(self, url: str, threads: int, accounts: int, marks: int) -> None:
        self.store = open_store(url)
        self.store.migrate()
        self._numbers = count(1)
        self._nodes = [Node(f"node-{number}", "1") for number in range(threads)]
        self._keys = [f"account-{number % accounts}" for number in range(threads)]
        for key_id in sorted(set(self._keys)):
            key = Key(id=key_id, account=key_id, name="bench", terms=TERMS, created_at_s=0)
            act = Audit(at_s=0, actor="cli", action="key.create", subject=key_id, detail={})
            self.store.add_key(key, b"", act)
        for node in self._nodes:
            self.store.join(node)
        self._sessions = [[self.open(at) for _ in range(marks)] for at in range(threads)]

    def open(self, at: int) -> str:
        """A line of one node begins; its id."""
        session_id = uuid4().hex
        opened = self.store.open(
            Opening(
                session_id=session_id,
                node=self._nodes[at],
                key_id=self._keys[at],
                account=self._keys[at],
                dialect="listen",
                provider="deepgram",
                model=None,
                price_per_hour_usd=PRICE,
                budget=TERMS.budget,
            )
        )
        assert isinstance(opened, Opened)
        return session_id

    def settle(self, at: int) -> None:
        """Every stream of one node has begun another cycle."""
        cycles = next(self._numbers)
        marks = [Mark(session_id=one, cycles=cycles, wanted=cycles + 1) for one in self._sessions[at]]
        self.store.settle(self._nodes[at], marks)

    def per_s(self, work: Callable[[int], object], seconds: float) -> float:
        """How often all of them together get it done."""
        end_s = time.perf_counter() + seconds

        def repeat(at: int) -> int:
            done = 0
            while time.perf_counter() < end_s:
                work(at)
                done += 1
            return done

        with ThreadPoolExecutor(len(self._nodes)) as pool:
            return sum(pool.map(repeat, range(len(self._nodes)))) / seconds


async def _measure(folder: Path, starts: int, sessions: int, seconds: float, console: Console) -> list[Row]:
    async with _daemons(folder) as rows:
        for _ in track(range(starts), "starts", console=console):
            for row in rows:
                row.starts_ms.append(await _start(row))
        # One row of each daemon: a second one would find the memory that the first has left.
        for row in track([row for row in rows if row.speaks], "sessions", console=console):
            await _sessions(row, sessions, seconds)
    return rows


@asynccontextmanager
async def _daemons(folder: Path) -> AsyncIterator[list[Row]]:
    async with AsyncExitStack() as stack:
        postgres = Postgres()
        stack.callback(postgres.close)
        postgres.start()
        counter = await stack.enter_async_context(open_counter())
        secret = folder / "secret"
        secret.write_text(secrets.token_urlsafe(48))
        stores = {
            "memory": "sqlite://",
            "sqlite": f"sqlite://{folder}/books.db",
            "postgresql": postgres.create("bench"),
        }
        daemons = {}
        for (name, url), port in zip(stores.items(), free_ports(len(stores)), strict=True):
            toml = (
                f'[store]\nurl = "{url}"\n[access]\ntoken_secret_file = "{secret}"\n'
                f'[providers.deepgram]\nurl = "{counter.url}"\napi_key = "stored"\nprice_per_hour_usd = "{PRICE}"\n'
            )
            daemons[name] = Daemon(folder, name, port, toml)
            stack.push_async_callback(daemons[name].program.aclose)
            await daemons[name].start()
        yield [
            Row("memory, own key", daemons["memory"], "own"),
            Row("sqlite, own key", daemons["sqlite"], "own", speaks=False),
            Row("sqlite, router key", daemons["sqlite"], await _new_key(daemons["sqlite"])),
            Row("postgresql, own key", daemons["postgresql"], "own", speaks=False),
            Row("postgresql, router key", daemons["postgresql"], await _new_key(daemons["postgresql"])),
        ]


async def _new_key(daemon: Daemon) -> str:
    command = [sys.executable, "-m", "routeraudio", "keys", "create", "--config", str(daemon.config)]
    done = await trio.run_process([*command, "--name", "bench", "--json", *LIMITS], capture_stdout=True)
    key: str = msgspec.json.decode(done.stdout)["key"]
    return key


async def _start(row: Row) -> float:
    """Milliseconds from the connect to the first transcript."""
    began_s = time.perf_counter()
    async with client(row.port, MULAW, {"x-api-key": row.key}) as caller:
        await caller.send(FIRST)
        await caller.send('{"type":"finalize"}')
        await caller.receive()
        took_s = time.perf_counter() - began_s
        await caller.finish()
        await caller.rest()
    return took_s * 1000


async def _sessions(row: Row, sessions: int, seconds: float) -> None:
    before_kib = anonymous_kib(row.pids)
    async with trio.open_nursery() as nursery:
        for number in range(sessions):
            wish = Wish(name=f"bench-{number}", key=row.key, seconds=seconds + 2 * WARM_S)
            nursery.start_soon(ride, row.port, wish)
            await trio.sleep(WARM_S / sessions)
        await trio.sleep(WARM_S)
        began_s, began_ns = time.perf_counter(), cpu_ns(row.pids)
        await trio.sleep(seconds - WARM_S)
        row.session_cpu = (cpu_ns(row.pids) - began_ns) / 1e9 / (time.perf_counter() - began_s) / sessions
        row.session_kib = (anonymous_kib(row.pids) - before_kib) / sessions


def _table(rows: list[Row]) -> Table:
    table = Table(title="What a stream costs", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("store, client")
    for heading in (
        "start p50, ms",
        "p90",
        "÷ memory",
        "added, ms",
        "KiB/session",
        "processor/session",
    ):
        table.add_column(heading, justify="right")
    least_ms = statistics.median(rows[0].starts_ms)
    for row in rows:
        p50_ms = statistics.median(row.starts_ms)
        table.add_row(
            row.name,
            f"{p50_ms:.1f}",
            f"{statistics.quantiles(row.starts_ms, n=10)[8]:.1f}",
            f"{p50_ms / least_ms:.2f}",
            f"{p50_ms - least_ms:+.1f}",
            f"{row.session_kib:.0f}" if row.speaks else "",
            f"{row.session_cpu:.2%}" if row.speaks else "",
        )
    return table


if __name__ == "__main__":
    app()
