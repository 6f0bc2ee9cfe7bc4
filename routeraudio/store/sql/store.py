"""The store on SQL: each method is one transaction of its `Database`."""

from collections.abc import Collection, Sequence

from routeraudio.policy.keys import Key
from routeraudio.store.contract import (
    Audit,
    Line,
    Mark,
    Node,
    Opened,
    Opening,
    Refusal,
    Settled,
    UsageQuery,
    UsageRow,
)
from routeraudio.store.sql import leases, records, settings, settlement, usage
from routeraudio.store.sql import opening as openings
from routeraudio.store.sql.database import Database
from routeraudio.store.sql.migrate import migrate


class SqlStore:
    """See `Store`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def name(self) -> str:
        """For messages; without password."""
        return self._database.name

    @property
    def threads_max(self) -> int:
        """See `Store`."""
        return self._database.threads_max

    def migrate(self) -> None:
        """See `Store`."""
        with self._database.patient(), self._database.write() as transaction:
            self._database.lock_schema(transaction.connection)
            migrate(transaction.connection, self.name)

    def close(self) -> None:
        """See `Store`."""
        self._database.close()

    def adopt_secret(self, fingerprints: Sequence[str]) -> bool:
        """See `Store`."""
        with self._database.write() as transaction:
            return settings.adopt_secret(transaction, fingerprints)

    # Keys.

    def add_key(self, key: Key, hash: bytes, audit: Audit) -> None:
        """See `Store`."""
        with self._database.write() as transaction:
            records.add_key(transaction, key, hash)
            records.audit(transaction, audit)

    def set_key(self, key: Key, audit: Audit, hash: bytes | None = None) -> None:
        """See `Store`."""
        with self._database.write() as transaction:
            records.set_key(transaction, key, hash)
            records.audit(transaction, audit)

    def keys(self, account: str | None = None) -> list[Key]:
        """See `Store`."""
        with self._database.read() as transaction:
            return records.keys(transaction, account)

    def key(self, key_id: str) -> tuple[Key, bytes] | None:
        """See `Store`."""
        with self._database.read() as transaction:
            return records.key(transaction, key_id)

    def refused(self, key_ids: Collection[str]) -> dict[str, Refusal]:
        """See `Store`."""
        with self._database.read() as transaction:
            return records.refused(transaction, key_ids)

    # Streams.

    def join(self, node: Node) -> int:
        """See `Store`."""
        with self._database.write() as transaction:
            return leases.join(transaction, node)

    def open(self, opening: Opening) -> Opened | Refusal:
        """See `Store`."""
        with self._database.write() as transaction:
            return openings.open_line(transaction, opening)

    def settle(self, node: Node, marks: Sequence[Mark]) -> list[Settled]:
        """See `Store`."""
        with self._database.write() as transaction:
            return settlement.settle(transaction, node, marks)

    def heartbeat(self, node: Node) -> bool:
        """See `Store`."""
        with self._database.write() as transaction:
            return leases.heartbeat(transaction, node)

    def sweep(self) -> int:
        """See `Store`."""
        self._database.tend()
        with self._database.write() as transaction:
            return leases.sweep(transaction)

    # The ledger.

    def usage(self, query: UsageQuery) -> list[UsageRow]:
        """See `Store`."""
        with self._database.read() as transaction:
            return usage.usage(transaction, query)

    def total(self, query: UsageQuery) -> UsageRow:
        """See `Store`."""
        with self._database.read() as transaction:
            return usage.total(transaction, query)

    def lines(self, session_id: str) -> list[Line]:
        """See `Store`."""
        with self._database.read() as transaction:
            return usage.lines(transaction, session_id)

    # The audit log.

    def audit(self, entry: Audit) -> None:
        """See `Store`."""
        with self._database.write() as transaction:
            records.audit(transaction, entry)

    def audits(self, limit: int = 100) -> list[Audit]:
        """See `Store`."""
        with self._database.read() as transaction:
            return records.audits(transaction, limit)
