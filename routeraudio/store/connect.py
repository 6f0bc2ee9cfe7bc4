"""From `store.url` to a store."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from routeraudio.model.errors import ConfigFault
from routeraudio.store.sql.database import Database
from routeraudio.store.sql.sqlite import SQLite
from routeraudio.store.sql.store import SqlStore

STATEMENT_S: Final = 3.0
"""What one statement, and waiting for one's turn, may take (`design`, section 7)."""

_ALLOWED: Final = (
    "sqlite:///var/lib/routeraudio/routeraudio.db, postgresql://user@host/database, or sqlite:// (memory)"
)


def open_store(url: str, *, statement_s: float = STATEMENT_S) -> SqlStore:
    """The store at ``url``. Connects to no server yet; `SqlStore.migrate` does.

    Args:
        url: `sqlite:///absolute/path`, `sqlite://` for memory that ends with the process, or `postgresql://…` as libpq
            understands it.

    Raises:
        ConfigFault: the URL is none of these, or its file cannot be opened.
    """
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError):
        raise ConfigFault(f"store.url is no URL; allowed are {_ALLOWED}") from None
    return SqlStore(_database(parsed, statement_s))


def _database(url: sa.URL, statement_s: float) -> Database:
    if url.drivername == "sqlite" and not (url.host or url.query):
        # SQLAlchemy takes the first slash for a separator; ours is the path's own.
        path = None if url.database is None else Path("/") / url.database
        return SQLite(path, statement_s=statement_s)
    if url.drivername in ("postgresql", "postgres"):
        return _postgres(url, statement_s)
    raise ConfigFault(f"store.url begins with {url.drivername}://; allowed are {_ALLOWED}")


def _postgres(url: sa.URL, statement_s: float) -> Database:
    try:
        # An extra; and the import alone takes a tenth of a second.
        from routeraudio.store.sql.postgres import Postgres
    except ImportError:
        raise ConfigFault("store.url: PostgreSQL needs psycopg; install routeraudio[postgres]") from None
    return Postgres(url.set(drivername="postgresql+psycopg"), statement_s=statement_s)
