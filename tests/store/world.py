"""Keys, streams and nodes for tests of the store, and ways to let time pass."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from routeraudio.policy.keys import Budget, Key, Terms
from routeraudio.store.contract import Audit, Mark, Node, Opening
from routeraudio.store.sql import schema
from routeraudio.store.sql.store import SqlStore

T = TypeVar("T")

NODE: Final = Node("here", "1")
PRICE: Final = Decimal("0.36")
"""A cycle of it costs 0.0005 USD."""
CYCLE_USD: Final = Decimal("0.0005")


def a_key(key_id: str = "k1", account: str = "acme", **fields: Any) -> Key:
    """A router key's record."""
    return Key(id=key_id, account=account, name=f"key {key_id}", created_at_s=1_700_000_000, **fields)


def act(subject: str = "k1", action: str = "key.create") -> Audit:
    """An act of administration."""
    return Audit(at_s=1_700_000_000.5, actor="cli", action=action, subject=subject, detail={"why": "test"})


def add_key(store: SqlStore, key_id: str = "k1", account: str = "acme", budget: Budget | None = None) -> None:
    """Make a key."""
    store.add_key(a_key(key_id, account, terms=Terms(budget=budget)), b"hash", act(key_id))


def opening(session_id: str = "s1", **fields: Any) -> Opening:
    """A stream that wants to begin, of key `k1`."""
    values: dict[str, Any] = {
        "node": NODE,
        "key_id": "k1",
        "account": "acme",
        "dialect": "listen",
        "provider": "deepgram",
        "model": "nova-3",
        "price_per_hour_usd": PRICE,
    }
    return Opening(session_id=session_id, **values | fields)


def mark(session_id: str = "s1", cycles: int = 0, **fields: Any) -> Mark:
    """So many cycles have begun, and the next one is wanted."""
    return Mark(session_id=session_id, cycles=cycles, **{"wanted": cycles + 1} | fields)


def race(calls: Sequence[Callable[[], T]]) -> list[T]:
    """What they return, all begun at the same moment in threads of their own."""
    start = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        start.wait(60)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [one.result(60) for one in [threads.submit(run, call) for call in calls]]


def execute(store: SqlStore, statement: sa.Executable) -> sa.Result[Any]:
    """A statement past the store's methods."""
    with store._database.write() as transaction:
        result = transaction.connection.execute(statement)
        return result.freeze()() if result.returns_rows else result


def silence(store: SqlStore, node: Node, seconds: float = 31) -> None:
    """The node was last heard of so long ago."""
    seen = schema.node.c.seen_at_s
    execute(
        store,
        sa.update(schema.node)
        .where(schema.node.c.id == node.id, schema.node.c.epoch == node.epoch)
        .values(seen_at_s=seen - seconds),
    )


def spent(store: SqlStore, account: str = "acme") -> tuple[int, int, int]:
    """Units in all, this month, today."""
    columns = schema.account.c
    row = execute(
        store,
        sa.select(columns.total_units, columns.month_units, columns.day_units).where(columns.id == account),
    ).one()
    return tuple(row)  # type: ignore[return-value]
