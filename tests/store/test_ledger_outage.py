"""The ledger over a server that is restarted, or says nothing, in the middle of streams. In real time."""

import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import trio

from routeraudio.model.errors import Overloaded, Unavailable
from routeraudio.policy.access import Principal
from routeraudio.policy.keys import Terms
from routeraudio.store.connect import open_store
from routeraudio.store.contract import UsageQuery
from routeraudio.store.ledger.credit import RunningCredit
from routeraudio.store.ledger.service import Ledger
from routeraudio.store.sql.store import SqlStore
from tests.store.postgres import Postgres
from tests.store.world import NODE, PRICE, add_key, spent

STATEMENT_S = 1.0
SESSIONS = 20


@pytest.fixture
def server(postgres: Postgres) -> Iterator[Postgres]:
    """Runs again afterwards."""
    yield postgres
    postgres.thaw()


@pytest.fixture
def store(server: Postgres) -> Iterator[SqlStore]:
    """A store on it."""
    store = open_store(server.create(f"test-{uuid4().hex}"), statement_s=STATEMENT_S)
    store.migrate()
    add_key(store)
    yield store
    store.close()


@pytest.fixture
async def ledger(store: SqlStore, tmp_path: Path, nursery: trio.Nursery) -> Ledger:
    """A ledger at work."""
    ledger = Ledger(store, node=NODE, spool=tmp_path / "spool", statement_s=STATEMENT_S)
    await nursery.start(ledger.run)
    return ledger


async def opened(ledger: Ledger, session_id: str, terms: Terms = Terms()) -> RunningCredit:  # noqa: B008
    """A stream of key `k1`."""
    return await ledger.open(
        session_id=session_id,
        principal=Principal("k1", None, "acme", terms),
        dialect="listen",
        provider="deepgram",
        model=None,
        price_per_hour_usd=PRICE,
    )


async def until_available(ledger: Ledger, is_available: bool) -> None:
    """Wait for the ledger to notice."""
    with trio.fail_after(60):
        while ledger.is_available != is_available:  # noqa: ASYNC110  (a property sets no event)
            await trio.sleep(0.05)


async def test_a_restart_in_the_middle_of_streams(
    ledger: Ledger, store: SqlStore, server: Postgres, tmp_path: Path
) -> None:
    """Every cycle of every stream is in the ledger afterwards, and none twice; some streams ended meanwhile."""
    streamed = {f"s{number}": 0 for number in range(SESSIONS)}
    is_over = trio.Event()
    credits = [await opened(ledger, session_id) for session_id in streamed]

    async def stream(session_id: str, credit: RunningCredit) -> None:
        cycles = 0
        while not is_over.is_set() and not (session_id < "s15" and cycles == 6):
            try:
                await credit.wait_granted(cycles + 1)
            except Overloaded:
                break  # so fast that what is lent is used up; nobody is held for it
            cycles += 1
            credit.begun(cycles)
            streamed[session_id] = cycles
            await trio.sleep(0.2)
        await credit.close(audio_ms=cycles * 5000, connected_ms=1, provider_ms=None, ending="ok")

    async with trio.open_nursery() as nursery:
        for session_id, credit in zip(streamed, credits, strict=True):
            nursery.start_soon(stream, session_id, credit)
        await trio.sleep(0.5)
        await trio.to_thread.run_sync(server.stop, signal.SIGQUIT)
        await until_available(ledger, False)
        await trio.sleep(1)
        await trio.to_thread.run_sync(server.start)
        await until_available(ledger, True)
        is_over.set()
    await ledger.flush()
    lines = [store.lines(session_id)[0] for session_id in streamed]
    assert {line.session_id: line.cycles for line in lines} == streamed
    assert {line.status for line in lines} == {"ended"}
    total = store.total(UsageQuery())
    assert spent(store)[0] == total.amount_units
    assert not await trio.to_thread.run_sync(list, (tmp_path / "spool").iterdir())


async def test_a_server_that_says_nothing(ledger: Ledger, store: SqlStore, server: Postgres) -> None:
    """Is left within the time of a statement, by new streams and running ones; what it did unheard is put right."""
    only_one = Terms(concurrency_max=1)
    credit = await opened(ledger, "s1")
    server.freeze()
    began_s = trio.current_time()
    with trio.fail_after(60), pytest.raises(Unavailable):
        await opened(ledger, "s2", only_one)
    assert trio.current_time() - began_s < 10 * STATEMENT_S
    credit.begun(1)
    with trio.fail_after(60):
        await credit.wait_granted(2)
    assert not ledger.is_available
    server.thaw()
    await until_available(ledger, True)
    with trio.fail_after(60):
        while any(line.status == "open" for line in store.lines("s2")) or ledger._doubtful:  # noqa: ASYNC110
            await trio.sleep(0.05)
    await credit.close(audio_ms=5000, connected_ms=1, provider_ms=None, ending="ok")
    assert store.lines("s1")[0].cycles == 1
    assert isinstance(await opened(ledger, "s3", only_one), RunningCredit)
