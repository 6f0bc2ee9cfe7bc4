"""Sums of closed lines by day, key, provider and model, so that a report over a year does not read a year's lines.

They are changed in the transaction that closes a line, or changes a closed one. Invariant: the sums are those over all
lines that are not open. Rows are written last and in one order everywhere, so that nobody waits in a circle.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from routeraudio.store.sql import schema
from routeraudio.store.sql.database import Row, Transaction

_sum: Final = schema.usage_day

_ADDED: Final = ("sessions", "cycles", "audio_ms", "connected_ms", "replayed_ms", "units")


class Amounts(NamedTuple):
    """What one line adds to its day, or changes of it."""

    sessions: int
    """A session counts where it began: with its first leg."""
    cycles: int
    audio_ms: int
    connected_ms: int
    replayed_ms: int
    units: int


def of_line(
    leg: int, micro_usd_per_hour: int, cycles: int, *, audio_ms: int, connected_ms: int, replayed_ms: int
) -> Amounts:
    """A whole line's."""
    return Amounts(int(leg == 1), cycles, audio_ms, connected_ms, replayed_ms, cycles * micro_usd_per_hour)


NOTHING: Final = Amounts(0, 0, 0, 0, 0, 0)


class DaySums:
    """What a transaction adds."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str, str, str, str], list[int]] = {}

    def change(self, line: Row, before: Amounts, after: Amounts) -> None:
        """``line`` has counted as ``before``, and counts as ``after`` from now on."""
        if before == after:
            return
        group = (line.began_day, line.key_id, line.account, line.provider, line.model or "")
        sums = self._found.setdefault(group, [0] * len(_ADDED))
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            sums[place] += new - old

    def save(self, transaction: Transaction) -> None:
        """Write them; the last statement of the transaction."""
        rows = [self._row(group, sums) for group, sums in sorted(self._found.items())]
        if not rows:
            return
        statement = transaction.insert(_sum)
        statement = statement.on_conflict_do_update(
            index_elements=list(_sum.primary_key),
            set_={name: _sum.c[name] + statement.excluded[name] for name in _ADDED},
        )
        transaction.connection.execute(statement, rows)

    @staticmethod
    def _row(group: tuple[int, str, str, str, str], sums: list[int]) -> Mapping[str, Any]:
        names = (*(column.name for column in _sum.primary_key), *_ADDED)
        return dict(zip(names, (*group, *sums), strict=True))
