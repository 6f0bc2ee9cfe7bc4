"""PostgreSQL: the store of a fleet. psycopg 3, synchronous, in threads of the callers' choosing."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import ConnectionPoolEntry

from routeraudio.store.sql.database import Database

CONNECTIONS_MAX: Final = 12
"""Per process. A transaction holds one for a millisecond or two; PostgreSQL allows 100 in all by default."""

MIGRATE_S: Final = 60.0
"""For another daemon's migration to end and ours to run."""

TIMEOUTS: Final = ("statement_timeout", "idle_in_transaction_session_timeout")
"""Of the server: how long it works on a statement, and waits for the next one of a transaction."""

_MIGRATION: Final = 0x726F757465726175
"""The advisory lock's number: "routerau"."""

_NOW: Final = sa.select(sa.extract("epoch", sa.func.clock_timestamp()).cast(sa.Double))


class Postgres(Database):
    """A server, reached through ``url``, whose driver is psycopg."""

    insert = staticmethod(postgresql.insert)

    def __init__(self, url: sa.URL, *, statement_s: float) -> None:
        statement_ms = round(statement_s * 1000)
        engine = sa.create_engine(
            url,
            isolation_level="READ COMMITTED",
            pool_size=CONNECTIONS_MAX,
            max_overflow=0,
            pool_timeout=statement_s,
            pool_use_lifo=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": math.ceil(statement_s),
                # The server does not see a cut cable, and neither do we while nothing is acknowledged.
                "tcp_user_timeout": statement_ms,
                "application_name": "routeraudio",
            },
        )

        @event.listens_for(engine, "connect")
        def prepare(connection: psycopg.Connection, _entry: ConnectionPoolEntry) -> None:
            # Off is a popular server-wide setting, and loses acknowledged commits.
            connection.execute("SET synchronous_commit = on")
            # A transaction left open by a stalled process must not hold an account's lock.
            for name in TIMEOUTS:
                connection.execute(f"SET {name} = {statement_ms}")
            connection.commit()

        super().__init__(url.render_as_string().replace("postgresql+psycopg:", "postgresql:"), engine, engine)

    threads_max = CONNECTIONS_MAX

    def lock_schema(self, connection: sa.Connection) -> None:
        """See `Database`."""
        for name in TIMEOUTS:
            connection.execute(sa.text(f"SET LOCAL {name} = {round(MIGRATE_S * 1000)}"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION)))

    @contextmanager
    def _stopped_after(self, connection: sa.Connection, within_s: float) -> Iterator[None]:
        # For this transaction only.
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {max(1, round(within_s * 1000))}"))
        yield

    def _now_s(self, connection: sa.Connection) -> float:
        return float(connection.execute(_NOW).scalar_one())
