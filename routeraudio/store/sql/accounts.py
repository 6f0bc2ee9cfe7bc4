"""Accounts in the database: their row lock is the turn that all openings and settlings of one account take."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from routeraudio.store.sql import schema
from routeraudio.store.sql.database import Row, Transaction
from routeraudio.store.sql.spending import Spending, day_of

COLUMNS: Final[Sequence[sa.Column[Any]]] = tuple(schema.account.c)

_UPDATE: Final = sa.update(schema.account).where(schema.account.c.id == sa.bindparam("of_id"))


def from_row(transaction: Transaction, row: Row) -> Spending:
    """A row whose first columns are `COLUMNS`, brought to today."""
    spending = Spending(*row[: len(COLUMNS)])
    spending.begin(day_of(transaction.now_s))
    return spending


def locked(transaction: Transaction, ids: sa.Select[Any]) -> dict[str, Spending]:
    """The accounts whose ids ``ids`` selects, locked in one order everywhere, so that nobody waits in a circle."""
    statement = (
        sa.select(*COLUMNS)
        .where(schema.account.c.id.in_(ids))
        .order_by(schema.account.c.id)
        .with_for_update()
    )
    return {row[0]: from_row(transaction, row) for row in transaction.connection.execute(statement)}


def save(transaction: Transaction, accounts: Iterable[Spending]) -> None:
    """Write locked accounts back."""
    rows = [_values(spending) for spending in accounts]
    if rows:
        transaction.connection.execute(_UPDATE, rows)


def _values(spending: Spending) -> dict[str, object]:
    values = msgspec.structs.asdict(spending)
    values["of_id"] = values.pop("id")
    return values
