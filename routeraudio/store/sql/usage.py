"""Reading the ledger: lines, and their sums.

Sums of whole days of UTC come from the table that holds them (`store.sql.sums`). Added to those are lines that are
open, which are few, and those of the days in which a query begins and ends. All of it is one statement, so one moment.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from routeraudio.policy.pricing import MICRO, shown_usd
from routeraudio.store.contract import Group, Line, UsageQuery, UsageRow
from routeraudio.store.sql import schema
from routeraudio.store.sql.database import Row, Transaction
from routeraudio.store.sql.spending import DAY_S, as_date

_line, _day = schema.line, schema.usage_day

_COLUMNS: Final[Mapping[Group, str]] = {
    "key": "key_id",
    "account": "account",
    "provider": "provider",
    "model": "model",
    "day": "day",
    "session": "session_id",
}

_SUMS: Final = ("sessions", "cycles", "audio_ms", "connected_ms", "replayed_ms", "units")
"""In the order of `UsageRow`. PostgreSQL sums 64-bit numbers as `numeric`."""

_OF_DAYS: Final = (
    *(_day.c.day, _day.c.key_id, _day.c.account, _day.c.provider, _day.c.model),
    *(_day.c[name] for name in _SUMS),
)

_IS_OPEN: Final = _line.c.status == sa.literal_column("'open'")  # spelt as in the index

_OPEN: Final = sa.select(_line).where(_IS_OPEN).cte("open_line").prefix_with("MATERIALIZED")
"""Taken out first, by its own index: without statistics SQLite thinks that few lines began since last week."""


def usage(transaction: Transaction, query: UsageQuery) -> list[UsageRow]:
    """See `Store.usage`."""
    found = _found(query)
    columns = [found.c[_COLUMNS[name]] for name in query.by]
    statement = _added_up(found, columns).group_by(*columns).order_by(*columns).limit(query.rows_max)
    return [_as_row(query.by, tuple(row)) for row in transaction.connection.execute(statement)]


def total(transaction: Transaction, query: UsageQuery) -> UsageRow:
    """See `Store.total`."""
    row = transaction.connection.execute(_added_up(_found(query), [])).one()
    return _as_row((), tuple(row))


def _added_up(found: sa.Subquery, columns: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
    return sa.select(*columns, *(sa.func.coalesce(sa.func.sum(found.c[name]), 0) for name in _SUMS))


def _found(query: UsageQuery) -> sa.Subquery:
    """What is added up: sums of days, and lines."""
    if "session" in query.by:
        return _lines_of(query, _line.c.session_id).subquery()
    first = -math.inf if query.since_s is None else math.ceil(query.since_s / DAY_S)
    end = math.inf if query.until_s is None else math.floor(query.until_s / DAY_S)
    if first >= end:  # no day is whole
        return _lines_of(query).subquery()
    parts = [_days_of(query, first, end), _lines_of(query, table=_OPEN)]
    is_closed = sa.not_(_IS_OPEN)
    if query.since_s is not None:
        parts.append(_lines_of(query).where(is_closed, _line.c.began_at_s < first * DAY_S))
    if query.until_s is not None:
        parts.append(_lines_of(query).where(is_closed, _line.c.began_at_s >= end * DAY_S))
    return sa.union_all(*parts).subquery()


def _days_of(query: UsageQuery, first: float, end: float) -> sa.Select[Any]:
    statement = _chosen(sa.select(*_OF_DAYS), _day, query)
    if math.isfinite(first):
        statement = statement.where(_day.c.day >= int(first))
    return statement.where(_day.c.day < int(end)) if math.isfinite(end) else statement


def _lines_of(
    query: UsageQuery, *columns: sa.ColumnElement[Any], table: sa.FromClause = _line
) -> sa.Select[Any]:
    line = table.c
    of_line = (
        line.began_day.label("day"),
        line.key_id,
        line.account,
        line.provider,
        sa.func.coalesce(line.model, "").label("model"),
        sa.case((line.leg == 1, 1), else_=0).label("sessions"),
        line.cycles,
        line.audio_ms,
        line.connected_ms,
        line.replayed_ms,
        (line.cycles * line.micro_usd_per_hour).label("units"),
    )
    statement = _chosen(sa.select(*of_line, *columns), table, query)
    if query.since_s is not None:
        statement = statement.where(line.began_at_s >= query.since_s)
    if query.until_s is not None:
        statement = statement.where(line.began_at_s < query.until_s)
    return statement


def _chosen(statement: sa.Select[Any], table: sa.FromClause, query: UsageQuery) -> sa.Select[Any]:
    filters = {"account": query.account, "key_id": query.key_id, "provider": query.provider}
    return statement.where(*(table.c[name] == value for name, value in filters.items() if value is not None))


def lines(transaction: Transaction, session_id: str) -> list[Line]:
    """See `Store.lines`."""
    statement = sa.select(_line).where(_line.c.session_id == session_id).order_by(_line.c.leg)
    return [_as_line(row) for row in transaction.connection.execute(statement)]


def _as_row(by: tuple[Group, ...], values: tuple[Any, ...]) -> UsageRow:
    sessions, cycles, audio_ms, connected_ms, replayed_ms, units = (int(value) for value in values[len(by) :])
    return UsageRow(
        group={name: _shown(name, value) for name, value in zip(by, values, strict=False)},
        sessions=sessions,
        cycles=cycles,
        audio_ms=audio_ms,
        connected_ms=connected_ms,
        replayed_ms=replayed_ms,
        amount_units=units,
        amount_usd=shown_usd(units),
    )


def _shown(name: Group, value: Any) -> str:
    return as_date(value).isoformat() if name == "day" else value


def _as_line(row: Row) -> Line:
    values = {name: getattr(row, name) for name in Line.__struct_fields__ if name != "price_per_hour_usd"}
    return Line(price_per_hour_usd=Decimal(row.micro_usd_per_hour) / MICRO, **values)
