"""How a stream begins: burn the token, take the account's turn, count, reserve the first cycle."""

from typing import Final

import sqlalchemy as sa

from routeraudio.policy.pricing import affordable, budget_units, micro_usd
from routeraudio.store.contract import LEASE_S, Opened, Opening, Refusal
from routeraudio.store.sql import accounts, schema
from routeraudio.store.sql.database import Transaction
from routeraudio.store.sql.refusals import budget_refusal, key_refusal
from routeraudio.store.sql.spending import Spending, day_of

MINUTE_S: Final = 60.0

_line, _node, _key, _account = schema.line, schema.node, schema.key, schema.account

_ALIVE: Final = (
    # Nobody sweeps the node before this opening is committed; its heartbeat is not kept waiting.
    sa.select(_node.c.id)
    .where(
        _node.c.id == sa.bindparam("node"),
        _node.c.epoch == sa.bindparam("epoch"),
        _node.c.seen_at_s > sa.bindparam("since_s"),
    )
    .with_for_update(read=True, key_share=True)
)

_ACCOUNT: Final = (
    sa.select(*accounts.COLUMNS, _key.c.is_disabled, _key.c.expires_at_s)
    .join(_key, _key.c.account == _account.c.id)
    .where(_key.c.id == sa.bindparam("key_id"))
    .with_for_update(of=_account)
)

_HELD: Final = (
    # The legs of a session take one place.
    sa.select(sa.func.count(sa.distinct(_line.c.session_id)))
    .select_from(_line)
    .join(_node, sa.and_(_node.c.id == _line.c.node, _node.c.epoch == _line.c.epoch))
    .where(
        _line.c.account == sa.bindparam("account"),
        _line.c.status == sa.literal_column("'open'"),  # spelt as in the index
        _node.c.seen_at_s > sa.bindparam("since_s"),
    )
)
"""Streams of an account on living nodes."""

_HELD_BY_TOKENS: Final = _HELD.where(
    _line.c.key_id == sa.bindparam("key_id"),
    _line.c.token_concurrent_max == sa.bindparam("token_concurrent_max"),
)

_NEWEST: Final = (
    sa.select(_line.c.began_at_s)
    .where(
        _line.c.account == sa.bindparam("account"),
        _line.c.began_at_s > sa.bindparam("since_s"),
        _line.c.leg == 1,
    )
    .order_by(_line.c.began_at_s.desc())
    .offset(sa.bindparam("more_than"))
    .limit(1)
)


def open_line(transaction: Transaction, opening: Opening) -> Opened | Refusal:
    """See `Store.open`. A refusal is committed like anything else, because the token stays burnt."""
    if opening.token_jti is not None and not _burn(transaction, opening):
        return Refusal("token_used")
    since_s = transaction.now_s - LEASE_S
    names = {"node": opening.node.id, "epoch": opening.node.epoch, "since_s": since_s}
    if transaction.connection.execute(_ALIVE, names).first() is None:
        return Refusal("lease")
    if opening.account:
        refusal = _admit(transaction, opening)
        if refusal is not None:
            return refusal
    granted = int(opening.leg == 1)
    _insert(transaction, opening, granted)
    return Opened(granted)


def _burn(transaction: Transaction, opening: Opening) -> bool:
    """Whether nobody has burnt it before."""
    expires_at_s = opening.token_expires_at_s
    statement = (
        transaction.insert(schema.token)
        .values(
            jti=opening.token_jti, expires_at_s=transaction.now_s if expires_at_s is None else expires_at_s
        )
        .on_conflict_do_nothing()
        .returning(schema.token.c.jti)
    )
    return transaction.connection.execute(statement).first() is not None


def _admit(transaction: Transaction, opening: Opening) -> Refusal | None:
    """In the account's turn: check every limit, then reserve the first cycle."""
    row = transaction.connection.execute(_ACCOUNT, {"key_id": opening.key_id}).first()
    if row is None:
        # A key of the configuration has no limits, but its tokens may have.
        return Refusal("unknown") if _has_limits(opening) else _full(transaction, opening)
    refusal = key_refusal(row.is_disabled, row.expires_at_s, transaction.now_s)
    if refusal is not None:
        return refusal
    refusal = _full(transaction, opening) or _too_fast(transaction, opening)
    if refusal is not None or opening.leg > 1:
        return refusal  # a later leg is granted what the one before gives up
    return _reserve(transaction, opening, accounts.from_row(transaction, row))


def _has_limits(opening: Opening) -> bool:
    limits = (opening.concurrency_max, opening.sessions_per_minute_max, opening.budget)
    return any(limit is not None for limit in limits)


def _full(transaction: Transaction, opening: Opening) -> Refusal | None:
    if opening.leg > 1:
        return None  # the session has its place
    held_by = {"account": opening.account, "since_s": transaction.now_s - LEASE_S}
    full = Refusal("concurrency")
    if opening.concurrency_max is not None:
        held = transaction.connection.execute(_HELD, held_by).scalar_one()
        if held >= opening.concurrency_max:
            return full
    if opening.token_concurrent_max is not None:
        held_by |= {"key_id": opening.key_id, "token_concurrent_max": opening.token_concurrent_max}
        held = transaction.connection.execute(_HELD_BY_TOKENS, held_by).scalar_one()
        if held >= opening.token_concurrent_max:
            return full
    return None


def _too_fast(transaction: Transaction, opening: Opening) -> Refusal | None:
    """Looks for the stream that must be a minute old first: no more rows are read than the limit allows."""
    limit = opening.sessions_per_minute_max
    if limit is None or opening.leg > 1:
        return None
    if limit == 0:
        return Refusal("rate")
    values = {"account": opening.account, "since_s": transaction.now_s - MINUTE_S, "more_than": limit - 1}
    began_at_s = transaction.connection.execute(_NEWEST, values).scalar()
    if began_at_s is None:
        return None
    return Refusal("rate", began_at_s + MINUTE_S - transaction.now_s)


def _reserve(transaction: Transaction, opening: Opening, account: Spending) -> Refusal | None:
    units = micro_usd(opening.price_per_hour_usd)
    budget = opening.budget
    if budget is not None:
        left_units = budget_units(budget.usd) - account.spent(budget.period)
        if not affordable(1, units, left_units):
            return budget_refusal(budget.period, transaction.now_s)
    if units:
        account.add(units)
        accounts.save(transaction, [account])
    return None


def _insert(transaction: Transaction, opening: Opening, granted: int) -> None:
    today = day_of(transaction.now_s)
    is_leased = opening.concurrency_max is not None or opening.token_concurrent_max is not None
    transaction.connection.execute(
        sa.insert(_line),
        {
            "session_id": opening.session_id,
            "leg": opening.leg,
            "key_id": opening.key_id,
            "account": opening.account,
            "dialect": opening.dialect,
            "provider": opening.provider,
            "model": opening.model,
            "micro_usd_per_hour": micro_usd(opening.price_per_hour_usd),
            "node": opening.node.id,
            "epoch": opening.node.epoch,
            "began_at_s": transaction.now_s,
            "began_day": today,
            "status": "open",
            "cycles": 0,
            "granted": granted,
            "granted_day": today,
            "audio_ms": 0,
            "connected_ms": 0,
            "replayed_ms": 0,
            "is_leased": is_leased,
            "token_concurrent_max": opening.token_concurrent_max,
        },
    )
