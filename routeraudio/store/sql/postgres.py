"""PostgreSQL: the store of a fleet. psycopg 3, synchronous, in threads of the callers' choosing."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import ConnectionPoolEntry

from routeraudio.store.contract import StoreUnusable
from routeraudio.store.sql.database import Database, Trouble, code_of

CONNECTIONS_MAX: Final = 12
"""Per process. A transaction holds one for a millisecond or two; PostgreSQL allows 100 in all by default."""

MIGRATE_S: Final = 60.0
"""For another daemon's migration to end and ours to run."""

TIMEOUTS: Final = ("statement_timeout", "idle_in_transaction_session_timeout")
"""Of the server: how long it works on a statement, and waits for the next one of a transaction."""

_MIGRATION: Final = 0x726F757465726175
"""The advisory lock's number: "routerau"."""

_NOW: Final = sa.select(sa.extract("epoch", sa.func.clock_timestamp()).cast(sa.Double))


_TROUBLES: Final[Mapping[str, Trouble]] = {
    "25006": Trouble("is read-only now; it may be a standby", is_lasting=False),
    "42501": Trouble(
        "does not let its role do this; grant it CREATE and USAGE on the schema, and all rights on its tables"
    ),
    "42P01": Trouble("has lost tables; restore them"),
    "53100": Trouble("has no room on its disk", is_lasting=False),
    "53300": Trouble(
        "takes no more connections; raise its max_connections, or use fewer workers", is_lasting=False
    ),
    "57014": Trouble("has not answered in time", is_lasting=False),
    "57P01": Trouble("is being shut down", is_lasting=False),
    "57P03": Trouble("is starting or stopping", is_lasting=False),
}
"""By SQLSTATE."""

_REFUSED: Final = (
    (re.compile("starting up|shutting down"), Trouble("is starting or stopping", is_lasting=False)),
    (re.compile("password authentication failed"), Trouble("refuses the password; correct store.url")),
    (re.compile("no password supplied"), Trouble("wants a password; put it into store.url")),
    (re.compile("no pg_hba.conf entry"), Trouble("lets nobody in from here; add a line to its pg_hba.conf")),
    (
        re.compile('role ".*" does not exist'),
        Trouble("does not know this role; create it, or correct store.url"),
    ),
    (
        re.compile('database ".*" does not exist'),
        Trouble(
            "is no database there; create it with CREATE DATABASE … ENCODING 'UTF8', or correct store.url"
        ),
    ),
    (re.compile("permission denied"), Trouble("does not let its role connect; grant it CONNECT")),
    (re.compile("resolve host"), Trouble("has a host name that cannot be looked up now", is_lasting=False)),
    (re.compile("Connection refused"), Trouble("is down: the connection was refused", is_lasting=False)),
    (re.compile("too many"), Trouble("takes no more connections now", is_lasting=False)),
    (re.compile("timeout|timed out"), Trouble("does not answer: nothing came in time", is_lasting=False)),
)
"""By words of libpq, which gives no SQLSTATE where a connection fails; the first that is found."""


class Postgres(Database):
    """A server, reached through ``url``, whose driver is psycopg."""

    insert = staticmethod(postgresql.insert)

    def __init__(self, url: sa.URL, *, statement_s: float) -> None:
        statement_ms = round(statement_s * 1000)
        store = url.render_as_string().replace("postgresql+psycopg:", "postgresql:")
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

        # Before SQLAlchemy's own, which cannot read what a database without an encoding says.
        @event.listens_for(engine, "connect", insert=True)
        def prepare(connection: psycopg.Connection, _entry: ConnectionPoolEntry) -> None:
            encoding = connection.info.parameter_status("server_encoding")
            if encoding != "UTF8":
                raise StoreUnusable(
                    f"the store {store} has the encoding {encoding}, and names may be in any script; "
                    f"create it with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
                )
            # Off is a popular server-wide setting, and loses acknowledged commits.
            connection.execute("SET synchronous_commit = on")
            # A transaction left open by a stalled process must not hold an account's lock.
            for name in TIMEOUTS:
                connection.execute(f"SET {name} = {statement_ms}")
            connection.commit()

        super().__init__(store, engine, engine)

    threads_max = CONNECTIONS_MAX

    def lock_schema(self, connection: sa.Connection) -> None:
        """See `Database`."""
        for name in TIMEOUTS:
            connection.execute(sa.text(f"SET LOCAL {name} = {round(MIGRATE_S * 1000)}"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION)))

    def _known(self, origin: BaseException) -> Trouble | None:
        code = code_of(origin)
        if code is not None:
            return _TROUBLES.get(code)
        said = str(origin)
        return next((trouble for words, trouble in _REFUSED if words.search(said)), None)

    @contextmanager
    def _stopped_after(self, connection: sa.Connection, within_s: float) -> Iterator[None]:
        # For this transaction only.
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {max(1, round(within_s * 1000))}"))
        yield

    def _now_s(self, connection: sa.Connection) -> float:
        return float(connection.execute(_NOW).scalar_one())
