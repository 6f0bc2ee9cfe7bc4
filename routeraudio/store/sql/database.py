"""One database behind the store: its connections, transactions and errors. What differs between the two kinds is here,
in `sqlite` and in `postgres`; statements are shared.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, NamedTuple, TypeAlias

import sqlalchemy as sa
from sqlalchemy import exc

from routeraudio.store.contract import StoreUnavailable

Row: TypeAlias = sa.Row[*tuple[Any, ...]]
"""What a statement answers, its columns by name."""

Insert = Callable[[sa.Table], Any]
"""A dialect's own `insert`, which knows ON CONFLICT; SQLAlchemy has no common type for the two."""

_UNAVAILABLE: Final = (exc.DBAPIError, exc.TimeoutError)
"""Connection lost, refused or timed out, locked, disk full, a standby, no permission, no table."""


class Transaction(NamedTuple):
    """A transaction that is running, at ``now_s`` of the store's clock."""

    connection: sa.Connection
    now_s: float
    insert: Insert


class Database(ABC):
    """See the module's docstring.

    Args:
        name: for messages; without password.
    """

    insert: Insert
    threads_max: int
    """Calls at the same time that gain anything."""

    def __init__(self, name: str, writer: sa.Engine, reader: sa.Engine) -> None:
        self.name = name
        self._writer = writer
        self._reader = reader

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that is committed at the end of the block, and rolled back by an exception."""
        return self._transaction(self._writer)

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that only reads."""
        return self._transaction(self._reader)

    def lock_schema(self, connection: sa.Connection) -> None:  # noqa: B027  (a writing transaction may be enough)
        """Wait until nobody else migrates."""

    def patient(self) -> AbstractContextManager[None]:
        """Within the block a transaction waits for others longer than a statement may take."""
        return nullcontext()

    def tend(self) -> None:  # noqa: B027  (there may be nothing to do)
        """Housekeeping, now and then."""

    def close(self) -> None:
        """Release connections."""
        self._writer.dispose()
        self._reader.dispose()

    @abstractmethod
    def _now_s(self, connection: sa.Connection) -> float:
        """The store's clock."""

    @contextmanager
    def _transaction(self, engine: sa.Engine) -> Iterator[Transaction]:
        with self._told():
            connection, now_s = self._connect(engine)
            try:
                yield Transaction(connection, now_s, self.insert)
                connection.commit()
            finally:
                connection.close()  # rolls back what has not been committed

    def _connect(self, engine: sa.Engine) -> tuple[sa.Connection, float]:
        """A connection that has just answered. A dead one of the pool is replaced, once: nothing was done on it."""
        try:
            return self._begun(engine)
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return self._begun(engine)

    def _begun(self, engine: sa.Engine) -> tuple[sa.Connection, float]:
        connection = engine.connect()
        try:
            connection.begin()
            return connection, self._now_s(connection)
        except BaseException:
            connection.close()
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except exc.IntegrityError:
            raise  # a bug of ours, which says nothing about the database
        except _UNAVAILABLE as error:
            raise StoreUnavailable(f"the store {self.name} does not answer ({_kind(error)})") from None


def _kind(error: exc.SQLAlchemyError) -> str:
    """What kind of error, for an operator; texts of drivers may quote what they were given."""
    origin = error.orig if isinstance(error, exc.DBAPIError) else None
    # psycopg has the SQLSTATE, sqlite3 the name of its result code.
    code = getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None)
    name = type(origin or error).__name__
    return f"{name}, {code}" if code else name
