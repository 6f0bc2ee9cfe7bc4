"""Nodes and their leases: joining, heartbeats, and closing what dead nodes left open."""

from typing import Final

import sqlalchemy as sa

from routeraudio.store.contract import LEASE_S, Node
from routeraudio.store.sql import accounts, schema
from routeraudio.store.sql.database import Row, Transaction
from routeraudio.store.sql.sums import NOTHING, DaySums, of_line

TOKEN_SKEW_S: Final = 60.0
"""Burnt tokens are remembered for so long after they expired, as the clocks of nodes differ."""

_node, _line = schema.node, schema.line

_IS_OPEN: Final = _line.c.status == sa.literal_column("'open'")  # spelt as in the indexes

_SUMMED: Final = (
    *(_line.c.began_day, _line.c.key_id, _line.c.account, _line.c.provider, _line.c.model),
    *(_line.c.leg, _line.c.micro_usd_per_hour, _line.c.cycles, _line.c.audio_ms, _line.c.connected_ms),
    _line.c.replayed_ms,
)
"""What `DaySums` needs of a line."""

_BEAT: Final = (
    sa.update(_node)
    .where(_node.c.id == sa.bindparam("of_id"), _node.c.epoch == sa.bindparam("of_epoch"))
    .values(seen_at_s=sa.bindparam("now_s"))
)


def join(transaction: Transaction, node: Node) -> int:
    """See `Store.join`."""
    values = {"id": node.id, "epoch": node.epoch, "seen_at_s": transaction.now_s}
    transaction.connection.execute(
        transaction.insert(_node)
        .values(values)
        .on_conflict_do_update(
            index_elements=[_node.c.id, _node.c.epoch], set_={"seen_at_s": transaction.now_s}
        )
    )
    earlier = sa.and_(_node.c.id == node.id, _node.c.epoch != node.epoch)
    return _bury(transaction, earlier)


def heartbeat(transaction: Transaction, node: Node) -> bool:
    """See `Store.heartbeat`."""
    names = {"of_id": node.id, "of_epoch": node.epoch, "now_s": transaction.now_s}
    return transaction.connection.execute(_BEAT, names).rowcount == 1


def sweep(transaction: Transaction) -> int:
    """See `Store.sweep`."""
    transaction.connection.execute(
        sa.delete(schema.token).where(schema.token.c.expires_at_s < transaction.now_s - TOKEN_SKEW_S)
    )
    return _bury(transaction, _node.c.seen_at_s <= transaction.now_s - LEASE_S)


def _bury(transaction: Transaction, which: sa.ColumnElement[bool]) -> int:
    """Close the lines of the nodes that ``which`` selects and forget them."""
    # Skips those that somebody else buries, or that open a line this very moment.
    dead = transaction.connection.execute(
        sa.select(_node).where(which).order_by(_node.c.id, _node.c.epoch).with_for_update(skip_locked=True)
    ).all()
    if not dead:
        return 0
    of_dead = sa.tuple_(_line.c.node, _line.c.epoch).in_([(row.id, row.epoch) for row in dead])
    _give_back(transaction, sa.and_(_IS_OPEN, of_dead))
    sums = DaySums()
    closed = sum(_close(transaction, row, sums) for row in dead)
    sums.save(transaction)
    return closed


def _give_back(transaction: Transaction, which: sa.ColumnElement[bool]) -> None:
    """Return the reservations of the lines that are to be closed to their accounts."""
    spendings = accounts.locked(transaction, sa.select(_line.c.account).where(which))
    if not spendings:
        return
    reserved = transaction.connection.execute(
        sa.select(
            _line.c.account,
            _line.c.granted_day,
            sa.func.sum((_line.c.granted - _line.c.cycles) * _line.c.micro_usd_per_hour).label("units"),
        )
        .join(schema.key, schema.key.c.id == _line.c.key_id)
        .where(which)
        .group_by(_line.c.account, _line.c.granted_day)
    )
    for row in reserved:
        spendings[row.account].give_back(int(row.units), row.granted_day)
    accounts.save(transaction, spendings.values())


def _close(transaction: Transaction, dead: Row, sums: DaySums) -> int:
    # Connected until then at least; a stream that began after the last heartbeat, for a moment.
    seen_at_s = sa.case((_line.c.began_at_s > dead.seen_at_s, _line.c.began_at_s), else_=dead.seen_at_s)
    closed = transaction.connection.execute(
        sa.update(_line)
        .where(_IS_OPEN, _line.c.node == dead.id, _line.c.epoch == dead.epoch)
        .values(
            status="aborted",
            ending="node_lost",
            ended_at_s=seen_at_s,
            connected_ms=((seen_at_s - _line.c.began_at_s) * 1000).cast(sa.BigInteger),
            granted=_line.c.cycles,
        )
        .returning(*_SUMMED)
    ).all()
    for row in closed:
        sums.change(
            row,
            NOTHING,
            of_line(
                row.leg,
                row.micro_usd_per_hour,
                row.cycles,
                audio_ms=row.audio_ms,
                connected_ms=row.connected_ms,
                replayed_ms=row.replayed_ms,
            ),
        )
    transaction.connection.execute(sa.delete(_node).where(_node.c.id == dead.id, _node.c.epoch == dead.epoch))
    return len(closed)
