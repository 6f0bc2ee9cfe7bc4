"""SQLite: the embedded store, one file and no set-up.

One connection writes; others only read. In WAL mode with `synchronous=FULL` a commit is on the disk when it returns
(NORMAL would let a power cut revive burnt tokens). Transactions begin IMMEDIATE: one that starts reading and then wants
to write fails at once with BUSY_SNAPSHOT, whatever the busy timeout.

Several processes may use the file at a time: workers, or the command line beside a daemon. Only one of them copies the
WAL back into the database, the one that holds a lock on `<path>.lock`, and it keeps writers out meanwhile: SQLite
before 3.51.3 can lose pages when one connection checkpoints while another resets the WAL
(https://sqlite.org/wal.html#walresetbug).
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from routeraudio.model.errors import ConfigFault
from routeraudio.store.contract import StoreUnavailable, StoreUnusable
from routeraudio.store.sql.database import Database, Transaction, Trouble, code_of

READERS_MAX: Final = 4
"""Connections that read: administration and look-ups of keys, each some milliseconds."""

CHECKPOINT_WRITES: Final = 500
"""Transactions between two checkpoints: some megabytes of WAL."""

LOOK_STEPS: Final = 100_000
"""Of SQLite's machine, between two looks at the time: some milliseconds."""

PATIENT_MS: Final = 30_000
"""For other processes of a fleet that start at the same time: one migrates, which takes a second on an idle machine."""

CHECKPOINT_WAIT_MS: Final = 250
"""What a checkpoint may wait for readers; what it leaves undone the next one does."""


class SQLite(Database):
    """One file, or, without ``path``, memory that this process shares with nobody.

    Raises:
        ConfigFault: the file cannot be made or opened.
    """

    insert = staticmethod(sqlite.insert)

    def __init__(self, path: Path | None, *, statement_s: float) -> None:
        self._statement_ms = round(statement_s * 1000)
        self._lock_fd = None if path is None else _create(path)
        self._path = path
        self._inode = None if path is None else _inode(path)
        # There is one writer, whoever waits for it.
        self.threads_max = 0 if path is None else 1
        self._is_checkpointer = False
        self._writes = 0
        url = sa.URL.create("sqlite+pysqlite", database=str(path) if path else ":memory:")
        # The pool's only connection is also the turn to write, waited for within the pool's time-out.
        writer = _engine(url, "BEGIN IMMEDIATE", _WRITER, connections_max=1, statement_s=statement_s)
        reader = (
            writer
            if path is None
            else _engine(url, "BEGIN", _READER, connections_max=READERS_MAX, statement_s=statement_s)
        )
        super().__init__(f"sqlite://{path or ''}", writer, reader)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """See `Database`."""
        self._see_that_it_is_there()
        with super().write() as transaction:
            yield transaction
        self._writes += 1
        if self._writes >= CHECKPOINT_WRITES:
            # What has been committed does not fail any more; the next sweep tells what is wrong.
            with suppress(StoreUnavailable):
                self._checkpoint()

    @contextmanager
    def patient(self) -> Iterator[None]:
        """See `Database`. The writer's pool has one connection: what is set on it holds for what follows."""
        self._be_patient(PATIENT_MS)
        try:
            yield
        finally:
            self._be_patient(self._statement_ms)

    def _be_patient(self, busy_ms: int) -> None:
        with self._told():
            try:
                raw = self._writer.raw_connection()
            except sqlite3.Error as error:
                raise self._trouble(error) from None
            connection = raw.driver_connection
            assert isinstance(connection, sqlite3.Connection)
            connection.execute(f"PRAGMA busy_timeout={busy_ms}")
            raw.close()

    def read(self) -> AbstractContextManager[Transaction]:
        """See `Database`."""
        if self._reader is self._writer:
            return self.write()
        self._see_that_it_is_there()
        return super().read()

    def tend(self) -> None:
        """Take over as the one that checkpoints when the last one has ended, and checkpoint."""
        if self._writes:
            self._checkpoint()

    def close(self) -> None:
        """See `Database`. Gives the lock back after the connections."""
        super().close()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def _see_that_it_is_there(self) -> None:
        """A file that was deleted or replaced still takes what is written to it, for nobody."""
        if self._path is None:
            return
        try:
            found = _inode(self._path)
        except FileNotFoundError:
            found = None
        except OSError as error:
            raise StoreUnavailable(f"the store {self.name} cannot be reached ({error.strerror})") from None
        if found != self._inode:
            raise StoreUnusable(
                f"the store {self.name} was {'deleted' if found is None else 'replaced'} while it was in use; put it "
                f"back if you have it, and restart the daemon"
            )

    def _known(self, origin: BaseException) -> Trouble | None:
        code = code_of(origin) or ""
        return next((trouble for name, trouble in _TROUBLES.items() if code.startswith(name)), None)

    @contextmanager
    def _stopped_after(self, connection: sa.Connection, within_s: float) -> Iterator[None]:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        until_s = time.monotonic() + within_s
        raw.set_progress_handler(lambda: time.monotonic() > until_s, LOOK_STEPS)
        try:
            yield
        finally:
            raw.set_progress_handler(None, 0)

    def _now_s(self, connection: sa.Connection) -> float:  # noqa: ARG002
        return time.time()

    def _checkpoint(self) -> None:
        self._writes = 0
        if not self._is_checkpointer:
            self._is_checkpointer = self._lock_fd is not None and _locked(self._lock_fd)
        if not self._is_checkpointer:
            return
        with self._told():
            raw = self._writer.raw_connection()
            connection = raw.driver_connection
            assert isinstance(connection, sqlite3.Connection)
            try:
                # TRUNCATE takes the writer's lock first; PASSIVE, which SQLite would do by itself, does not.
                connection.execute(f"PRAGMA busy_timeout={CHECKPOINT_WAIT_MS}")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error as error:
                raise StoreUnavailable(
                    f"the store {self.name} cannot copy its log back ({error.sqlite_errorname})"
                ) from None
            finally:
                connection.execute(f"PRAGMA busy_timeout={self._statement_ms}")
                raw.close()


_TROUBLES: Final[Mapping[str, Trouble]] = {
    "SQLITE_NOTADB": Trouble("is no SQLite database; move it away, or name another file in store.url"),
    "SQLITE_CORRUPT": Trouble(
        "is damaged; stop the daemon and put a backup back (routeraudio restore), or let sqlite3 recover what it can"
    ),
    "SQLITE_READONLY": Trouble("may not be written; let the daemon's user write the file and its folder"),
    "SQLITE_CANTOPEN": Trouble(
        "cannot be opened; see that it and its folder are there, for the daemon's user"
    ),
    "SQLITE_PERM": Trouble("may not be opened by the daemon's user"),
    "SQLITE_FULL": Trouble("has no room on its disk", is_lasting=False),
    "SQLITE_IOERR": Trouble("cannot be read or written: its disk is full, failing or gone", is_lasting=False),
    "SQLITE_BUSY": Trouble(
        "is locked by another process for longer than a statement may take", is_lasting=False
    ),
    "SQLITE_LOCKED": Trouble("is locked by another connection", is_lasting=False),
}
"""By the name of the primary result code; extended ones begin with it."""

_COMMON: Final = ("PRAGMA mmap_size=0", "PRAGMA wal_autocheckpoint=0")
"""Not mapped: an I/O error would be a signal instead of an error. No checkpoints by themselves: see the docstring."""

_WRITER: Final = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *_COMMON)

_READER: Final = ("PRAGMA query_only=1", *_COMMON)


def _engine(
    url: sa.URL, begin: str, pragmas: tuple[str, ...], *, connections_max: int, statement_s: float
) -> sa.Engine:
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=statement_s,
        hide_parameters=True,
        # isolation_level None: sqlite3 begins nothing by itself.
        connect_args={"timeout": statement_s, "isolation_level": None, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        # The first of several processes that start together turns the log on, and the others wait for it. SQLite
        # itself does not wait everywhere on the way there: two that begin at once get SQLITE_BUSY without a time-out.
        connection.execute(f"PRAGMA busy_timeout={PATIENT_MS}")
        with _alone(url.database):
            for pragma in pragmas:
                connection.execute(pragma).fetchone()
        connection.execute(f"PRAGMA busy_timeout={round(statement_s * 1000)}")

    @event.listens_for(engine, "begin")
    def begin_as_told(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def _alone(database: str | None) -> Iterator[None]:
    """One process, and one connection of it, at a time, for as long as SQLite's own time-outs allow.

    The lock is on the folder: a file of the database may not be opened beside SQLite, whose locks would be gone when
    it is closed (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    if not database or database == ":memory:":
        yield
        return
    folder = os.open(Path(database).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _create(path: Path) -> int:
    """Make the database, readable by its owner only, and open its lock file."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        return os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigFault(
            f"store.url: {path} cannot be opened for writing ({error.strerror}); "
            f"create its directory and let the daemon's user write there"
        ) from None


def _inode(path: Path) -> tuple[int, int]:
    """What tells a file from another one of the same name."""
    found = path.stat()
    return found.st_dev, found.st_ino


def is_in_use(path: Path) -> bool:
    """Whether another process has the database open: in WAL mode every connection holds a shared lock on the file."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone()
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return True
        except sqlite3.DatabaseError:
            return False  # damaged: nobody can use it
    return False


def _locked(lock_fd: int) -> bool:
    """Whether this process holds the lock, which ends with the process."""
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
