"""Keys and the audit log."""

from collections.abc import Collection
from typing import Final

import msgspec
import sqlalchemy as sa

from routeraudio.policy.keys import Key, Terms
from routeraudio.policy.pricing import budget_units
from routeraudio.store.contract import Audit, Refusal
from routeraudio.store.sql import schema
from routeraudio.store.sql.database import Row, Transaction
from routeraudio.store.sql.refusals import key_refusal

_key, _audit = schema.key, schema.audit

_terms: Final = msgspec.json.Decoder(Terms)
_detail: Final = msgspec.json.Decoder(dict[str, str])

_ONE: Final = sa.select(_key).where(_key.c.id == sa.bindparam("key_id"))

_STATES: Final = sa.select(_key.c.id, _key.c.is_disabled, _key.c.expires_at_s).where(
    _key.c.id.in_(sa.bindparam("ids", expanding=True))
)


def add_key(transaction: Transaction, key: Key, digest: bytes) -> None:
    """See `Store.add_key`."""
    added = transaction.connection.execute(
        transaction.insert(_key)
        .values(_values(key) | {"hash": digest})
        .on_conflict_do_nothing()
        .returning(_key.c.id)
    ).first()
    if added is None:
        raise ValueError(f"there is a key {key.id} already")
    _ensure_account(transaction, key.account)


def set_key(transaction: Transaction, key: Key, digest: bytes | None) -> None:
    """See `Store.set_key`."""
    statement = sa.update(_key).where(_key.c.id == key.id)
    values = _values(key) if digest is None else _values(key) | {"hash": digest}
    if transaction.connection.execute(statement.values(values)).rowcount == 0:
        raise ValueError(f"there is no key {key.id}")
    _ensure_account(transaction, key.account)


def keys(transaction: Transaction, account: str | None) -> list[Key]:
    """See `Store.keys`."""
    statement = sa.select(_key).order_by(_key.c.created_at_s, _key.c.id)
    if account is not None:
        statement = statement.where(_key.c.account == account)
    return [_as_key(row) for row in transaction.connection.execute(statement)]


def key(transaction: Transaction, key_id: str) -> tuple[Key, bytes] | None:
    """See `Store.key`."""
    row = transaction.connection.execute(_ONE, {"key_id": key_id}).first()
    return None if row is None else (_as_key(row), bytes(row.hash))


def refused(transaction: Transaction, key_ids: Collection[str]) -> dict[str, Refusal]:
    """See `Store.refused`."""
    rows = transaction.connection.execute(_STATES, {"ids": sorted(key_ids)})
    answers = {row.id: key_refusal(row.is_disabled, row.expires_at_s, transaction.now_s) for row in rows}
    return {key_id: refusal for key_id, refusal in answers.items() if refusal is not None}


def audit(transaction: Transaction, entry: Audit) -> None:
    """See `Store.audit`."""
    values = msgspec.structs.asdict(entry) | {"detail": msgspec.json.encode(entry.detail).decode()}
    transaction.connection.execute(sa.insert(_audit), values)


def audits(transaction: Transaction, limit: int) -> list[Audit]:
    """See `Store.audits`."""
    statement = sa.select(_audit).order_by(_audit.c.id.desc()).limit(limit)
    return [_as_audit(row) for row in transaction.connection.execute(statement)]


def _ensure_account(transaction: Transaction, account: str) -> None:
    nothing = {"total_units": 0, "month_units": 0, "day_units": 0, "day": 0}
    transaction.connection.execute(
        transaction.insert(schema.account).values(id=account, **nothing).on_conflict_do_nothing()
    )


def _values(key: Key) -> dict[str, object]:
    budget = key.terms.budget
    return {
        "id": key.id,
        "account": key.account,
        "name": key.name,
        "terms": msgspec.json.encode(key.terms).decode(),
        "created_at_s": key.created_at_s,
        "expires_at_s": key.expires_at_s,
        "is_disabled": key.is_disabled,
        "budget_units": None if budget is None else budget_units(budget.usd),
        "budget_period": None if budget is None else budget.period,
    }


def _as_key(row: Row) -> Key:
    return Key(
        id=row.id,
        account=row.account,
        name=row.name,
        terms=_terms.decode(row.terms),
        created_at_s=row.created_at_s,
        expires_at_s=row.expires_at_s,
        is_disabled=row.is_disabled,
    )


def _as_audit(row: Row) -> Audit:
    return Audit(
        at_s=row.at_s,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        detail=_detail.decode(row.detail),
    )
