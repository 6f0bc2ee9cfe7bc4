"""A ledger at work on a database in memory that can fail: fixtures for its tests, in virtual time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from routeraudio.policy.access import Principal
from routeraudio.policy.keys import Terms
from routeraudio.session.credit import Credit
from routeraudio.store.connect import open_store
from routeraudio.store.ledger.service import Ledger
from routeraudio.store.sql.store import SqlStore
from tests.store.flaky import Flaky, in_place
from tests.store.world import NODE, PRICE, add_key

GRACE_S = 60.0


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    """A database in memory with one key."""
    monkeypatch.setattr(trio.to_thread, "run_sync", in_place)
    store = open_store("sqlite://")
    store.migrate()
    add_key(store)
    yield store
    store.close()


@pytest.fixture
def store(real: SqlStore) -> Flaky:
    """The same, able to fail."""
    return Flaky(real)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Where marks go in an outage; made when it is needed."""
    return tmp_path / "state" / "spool"


@pytest.fixture
async def ledger(store: Flaky, spool: Path, nursery: trio.Nursery) -> Ledger:
    """A ledger at work."""
    ledger = Ledger(store, node=NODE, spool=spool, grace_s=GRACE_S)  # type: ignore[arg-type] # see Flaky
    await nursery.start(ledger.run)
    return ledger


async def opened(ledger: Ledger, session_id: str = "s1", **fields: Any) -> Credit:
    """A stream of key `k1`."""
    terms = Terms(**{name: fields.pop(name) for name in list(fields) if name in Terms.__struct_fields__})
    principal = Principal(fields.pop("key_id", "k1"), None, fields.pop("account", "acme"), terms, **fields)
    return await ledger.open(
        session_id=session_id,
        principal=principal,
        dialect="listen",
        provider="deepgram",
        model=None,
        price_per_hour_usd=PRICE,
    )
