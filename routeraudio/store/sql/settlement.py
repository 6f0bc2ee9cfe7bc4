"""How marks are taken down: in the turns of their accounts, as high-water marks, with what is granted from then on.

Invariant: an account's sum is the sum of granted × price over its lines. Of an open line `granted` is at least
`cycles`, of a closed one it is `cycles`: what was reserved and not used has been given back.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from routeraudio.policy.pricing import affordable
from routeraudio.store.contract import MOVED, Mark, Node, Refusal, Settled
from routeraudio.store.ledger.marks import LineId, highest_ms, merged
from routeraudio.store.sql import accounts, schema
from routeraudio.store.sql.database import Row, Transaction
from routeraudio.store.sql.refusals import budget_refusal, key_refusal
from routeraudio.store.sql.spending import Spending
from routeraudio.store.sql.sums import NOTHING, Amounts, DaySums, of_line

_line, _key = schema.line, schema.key

_IDS: Final[sa.BindParameter[Any]] = sa.bindparam("ids", expanding=True)

_ACCOUNTS: Final = sa.select(_line.c.account).where(_line.c.session_id.in_(_IDS))

_LINES: Final = (
    sa.select(
        _line.c.session_id,
        _line.c.leg,
        _line.c.account,
        _line.c.micro_usd_per_hour,
        _line.c.node,
        _line.c.epoch,
        _line.c.is_leased,
        _line.c.began_at_s,
        # What a mark may change: see _STATE.
        _line.c.status,
        _line.c.ending,
        _line.c.ended_at_s,
        _line.c.cycles,
        _line.c.granted,
        _line.c.granted_day,
        _line.c.audio_ms,
        _line.c.connected_ms,
        _line.c.provider_ms,
        _line.c.replayed_ms,
        # What it is added up by.
        _line.c.began_day,
        _line.c.key_id,
        _line.c.provider,
        _line.c.model,
        _key.c.is_disabled,
        _key.c.expires_at_s,
        _key.c.budget_units,
        _key.c.budget_period,
    )
    .outerjoin(_key, _key.c.id == _line.c.key_id)
    .where(_line.c.session_id.in_(_IDS))
    .order_by(_line.c.session_id, _line.c.leg)
    .with_for_update(of=_line)
)

_STATE: Final = slice(8, 18)
"""Where a row has the fields of `_State`, in their order."""

_UPDATE: Final = sa.update(_line).where(
    _line.c.session_id == sa.bindparam("of_session"), _line.c.leg == sa.bindparam("of_leg")
)


class _State(msgspec.Struct):
    """The columns of a line that marks change."""

    status: str
    ending: str | None
    ended_at_s: float | None
    cycles: int
    granted: int
    granted_day: int
    audio_ms: int
    connected_ms: int
    provider_ms: int | None
    replayed_ms: int


def settle(transaction: Transaction, node: Node, marks: Sequence[Mark]) -> list[Settled]:
    """See `Store.settle`."""
    highest = merged(marks)
    ids = sorted({session_id for session_id, _ in highest})
    spendings = accounts.locked(transaction, _ACCOUNTS.params(ids=ids))
    before = {account_id: msgspec.structs.astuple(spending) for account_id, spending in spendings.items()}
    answers: dict[LineId, Settled] = {}
    changes: list[dict[str, object]] = []
    sums = DaySums()
    for row in transaction.connection.execute(_LINES, {"ids": ids}):
        mark = highest.get((row.session_id, row.leg))
        if mark is None:
            continue  # another leg of the session
        account = None if row.is_disabled is None else spendings.get(row.account)
        line = _Settlement(transaction.now_s, node, row, account)
        answers[row.session_id, row.leg] = line.settle(mark)
        changes += line.changes()
        sums.change(row, *line.counted())
    for alike in _by_columns(changes):
        transaction.connection.execute(_UPDATE, alike)
    accounts.save(
        transaction,
        [one for one in spendings.values() if msgspec.structs.astuple(one) != before[one.id]],
    )
    sums.save(transaction)
    return [answers.get(line_id) or _lost(line_id) for line_id in highest]


def _lost(line_id: LineId) -> Settled:
    """Nobody knows the line: it never began, or the database was restored from before."""
    return Settled(*line_id, granted=0, refusal=Refusal("lease"))


def _by_columns(changes: list[dict[str, object]]) -> Iterable[list[dict[str, object]]]:
    """Rows in which the same columns have changed; streams that just go on all change the same few."""
    groups: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for change in changes:
        groups.setdefault(tuple(change), []).append(change)
    return groups.values()


class _Settlement:
    """One line, its account, and what a mark does to both. Without a record of its key there is no account."""

    def __init__(self, now_s: float, node: Node, row: Row, account: Spending | None) -> None:
        self._now_s = now_s
        self._node = node
        self._row = row
        self._account = account
        self._before = _State(*row[_STATE])
        self._state = _State(*row[_STATE])

    def settle(self, mark: Mark) -> Settled:
        self._count(mark)
        refusal = None
        if mark.ended is not None:
            self._end(mark.ended)
        elif self._goes_on():
            refusal = self._grant(mark.wanted)
        elif self._state.status == "aborted":
            refusal = Refusal("lease")
        if self._state.status != "open":
            self._charge(self._state.cycles)
        return Settled(self._row.session_id, self._row.leg, self._state.granted, refusal)

    def changes(self) -> list[dict[str, object]]:
        """What has changed, for `_UPDATE`, or nothing: most replays change nothing."""
        before = msgspec.structs.asdict(self._before)
        changed = {
            name: value
            for name, value in msgspec.structs.asdict(self._state).items()
            if value != before[name]
        }
        ids = {"of_session": self._row.session_id, "of_leg": self._row.leg}
        return [changed | ids] if changed else []

    def counted(self) -> tuple[Amounts, Amounts]:
        """What the line has counted in the sums of closed lines, and what it counts now."""
        return self._amounts(self._before), self._amounts(self._state)

    def _amounts(self, state: _State) -> Amounts:
        if state.status == "open":
            return NOTHING
        row = self._row
        return of_line(
            row.leg,
            row.micro_usd_per_hour,
            state.cycles,
            audio_ms=state.audio_ms,
            connected_ms=state.connected_ms,
            replayed_ms=state.replayed_ms,
        )

    def _count(self, mark: Mark) -> None:
        state = self._state
        if mark.ended == MOVED:
            state.cycles, state.audio_ms = mark.cycles, mark.audio_ms
        elif state.ending != MOVED:
            state.cycles = max(state.cycles, mark.cycles)
            state.audio_ms = max(state.audio_ms, mark.audio_ms)
        state.connected_ms = max(state.connected_ms, mark.connected_ms)
        state.provider_ms = highest_ms(state.provider_ms, mark.provider_ms)
        state.replayed_ms = max(state.replayed_ms, mark.replayed_ms)
        # Beyond what was granted in an outage; it has been streamed all the same.
        self._charge(max(state.granted, state.cycles))

    def _end(self, ending: str) -> None:
        state = self._state
        if state.status == "ended":
            return
        state.status, state.ending = "ended", ending
        # A mark may come long after the end, from a spool. Durations need nobody's clock.
        ended_at_s = self._row.began_at_s + state.connected_ms / 1000
        state.ended_at_s = min(self._now_s, ended_at_s) if state.connected_ms else self._now_s

    def _goes_on(self) -> bool:
        """Whether the line is open, or is opened again: see `Store.settle`."""
        row, state = self._row, self._state
        if (row.node, row.epoch) != (self._node.id, self._node.epoch):
            return False
        if state.status == "aborted" and not row.is_leased:
            state.status, state.ending, state.ended_at_s = "open", None, None
        return state.status == "open"

    def _grant(self, wanted: int) -> Refusal | None:
        """Reserve up to ``wanted`` cycles in all, and say why not all."""
        row, state = self._row, self._state
        more = wanted - state.granted
        if self._account is None:
            self._charge(max(wanted, state.granted))
            return None
        refusal = key_refusal(row.is_disabled, row.expires_at_s, self._now_s)
        if refusal is not None or more <= 0:
            return refusal
        if row.budget_units is None:
            self._charge(wanted)
            return None
        left_units = row.budget_units - self._account.spent(row.budget_period)
        covered = affordable(more, row.micro_usd_per_hour, left_units)
        self._charge(state.granted + covered)
        return None if covered == more else budget_refusal(row.budget_period, self._now_s)

    def _charge(self, granted: int) -> None:
        """Move `granted`, and the account's sums with it."""
        state, account = self._state, self._account
        more = granted - state.granted
        units = more * self._row.micro_usd_per_hour
        if account is not None and more > 0:
            account.add(units)
            state.granted_day = account.day
        elif account is not None and more < 0:
            account.give_back(-units, state.granted_day)
        state.granted = granted
