"""Reading the ledger: lines, and their sums."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from routeraudio.policy.pricing import MICRO, shown_usd
from routeraudio.store.contract import Group, Line, UsageQuery, UsageRow
from routeraudio.store.sql import schema
from routeraudio.store.sql.database import Row, Transaction
from routeraudio.store.sql.spending import as_date

_line = schema.line

_GROUPS: Final[Mapping[Group, sa.ColumnElement[Any]]] = {
    "key": _line.c.key_id,
    "account": _line.c.account,
    "provider": _line.c.provider,
    "model": sa.func.coalesce(_line.c.model, ""),
    "day": _line.c.began_day,
    "session": _line.c.session_id,
}

_SUMS: Final = tuple(
    sa.func.coalesce(sums, 0)
    for sums in (
        sa.func.count(sa.distinct(_line.c.session_id)),
        sa.func.sum(_line.c.cycles),
        sa.func.sum(_line.c.audio_ms),
        sa.func.sum(_line.c.connected_ms),
        sa.func.sum(_line.c.cycles * _line.c.micro_usd_per_hour),
    )
)
"""In the order of `UsageRow`. PostgreSQL sums 64-bit numbers as `numeric`."""


def usage(transaction: Transaction, query: UsageQuery) -> list[UsageRow]:
    """See `Store.usage`."""
    columns = [_GROUPS[name] for name in query.by]
    statement = _chosen(sa.select(*columns, *_SUMS), query).group_by(*columns).order_by(*columns)
    rows = transaction.connection.execute(statement)
    return [_as_row(query.by, tuple(row)) for row in rows]


def total(transaction: Transaction, query: UsageQuery) -> UsageRow:
    """See `Store.total`."""
    row = transaction.connection.execute(_chosen(sa.select(*_SUMS), query)).one()
    return _as_row((), tuple(row))


def lines(transaction: Transaction, session_id: str) -> list[Line]:
    """See `Store.lines`."""
    statement = sa.select(_line).where(_line.c.session_id == session_id).order_by(_line.c.leg)
    return [_as_line(row) for row in transaction.connection.execute(statement)]


def _chosen(statement: sa.Select[Any], query: UsageQuery) -> sa.Select[Any]:
    filters = {
        _line.c.account: query.account,
        _line.c.key_id: query.key_id,
        _line.c.provider: query.provider,
    }
    statement = statement.where(*(column == value for column, value in filters.items() if value is not None))
    if query.since_s is not None:
        statement = statement.where(_line.c.began_at_s >= query.since_s)
    if query.until_s is not None:
        statement = statement.where(_line.c.began_at_s < query.until_s)
    return statement


def _as_row(by: tuple[Group, ...], values: tuple[Any, ...]) -> UsageRow:
    sessions, cycles, audio_ms, connected_ms, units = (int(value) for value in values[len(by) :])
    return UsageRow(
        group={name: _shown(name, value) for name, value in zip(by, values, strict=False)},
        sessions=sessions,
        cycles=cycles,
        audio_ms=audio_ms,
        connected_ms=connected_ms,
        amount_units=units,
        amount_usd=shown_usd(units),
    )


def _shown(name: Group, value: Any) -> str:
    return as_date(value).isoformat() if name == "day" else value


def _as_line(row: Row) -> Line:
    values = {name: getattr(row, name) for name in Line.__struct_fields__ if name != "price_per_hour_usd"}
    return Line(price_per_hour_usd=Decimal(row.micro_usd_per_hour) / MICRO, **values)
