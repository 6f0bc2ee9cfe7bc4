"""What is particular to the embedded store."""

import fcntl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from routeraudio.model.errors import ConfigFault
from routeraudio.store.connect import open_store
from routeraudio.store.contract import StoreUnavailable
from routeraudio.store.sql import sqlite
from routeraudio.store.sql.store import SqlStore
from tests.store.world import NODE, add_key, execute, opening, race


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "some where" / "routeraudio.db"


@pytest.fixture
def file(path: Path) -> Iterator[SqlStore]:
    """A store in a file."""
    path.parent.mkdir()
    store = open_store(f"sqlite://{path}", statement_s=0.2)
    store.migrate()
    yield store
    store.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("wal_autocheckpoint", 0),
        ("busy_timeout", 200),
    ],
)
def test_durability(file: SqlStore, pragma: str, value: object) -> None:
    """A commit is on the disk when it returns."""
    assert execute(file, sa.text(f"PRAGMA {pragma}")).scalar_one() == value


def test_it_is_not_mapped(file: SqlStore) -> None:
    """The installed library maps nothing, or maps as it was told."""
    assert execute(file, sa.text("PRAGMA mmap_size")).scalar() in (None, 0)


def test_the_files_are_their_owners(file: SqlStore, path: Path) -> None:
    """Hashes of keys and who spoke when are nobody else's business, not even in the WAL."""
    add_key(file)
    for one in path.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600, one.name


def test_readers_only_read(file: SqlStore) -> None:
    """A connection that reads could not write by mistake."""
    with pytest.raises(StoreUnavailable), file._database.read() as transaction:
        transaction.connection.execute(sa.text("DELETE FROM line"))


def test_another_writer_is_waited_for_within_bounds(file: SqlStore, path: Path) -> None:
    """Then the store is unavailable; and works again when the other has ended."""
    other = open_store(f"sqlite://{path}", statement_s=0.2)
    with other._database.write(), pytest.raises(StoreUnavailable, match="locked by another process"):
        file.join(NODE)
    file.join(NODE)
    other.close()


def test_one_of_several_checkpoints(file: SqlStore, path: Path) -> None:
    """The first one; when it has ended, another one takes over."""
    other = open_store(f"sqlite://{path}")
    wal = path.with_name(path.name + "-wal")
    add_key(file)
    file.sweep()
    assert wal.stat().st_size == 0
    add_key(other, "k2")
    written = wal.stat().st_size
    assert written
    other.sweep()
    assert wal.stat().st_size >= written
    file.close()
    add_key(other, "k3")
    other.sweep()
    assert wal.stat().st_size == 0
    assert len(other.keys()) == 3
    other.close()


def test_a_checkpoint_does_not_wait_for_readers(file: SqlStore) -> None:
    """It does what it can, says nothing of the rest, and leaves the connection as it was."""
    add_key(file)
    with file._database.read() as transaction:
        transaction.connection.execute(sa.text("SELECT * FROM line"))
        add_key(file, "k2")
        file.sweep()
    assert execute(file, sa.text("PRAGMA busy_timeout")).scalar_one() == 200
    assert len(file.keys()) == 2


def test_the_log_does_not_grow_without_bound(
    file: SqlStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many transactions a checkpoint needs no sweep."""
    monkeypatch.setattr(sqlite, "CHECKPOINT_WRITES", 20)
    file.join(NODE)
    sizes = []
    for _ in range(60):
        file.heartbeat(NODE)
        sizes.append(path.with_name(path.name + "-wal").stat().st_size)
    assert sizes.count(0) >= 2


def test_the_lock_ends_with_the_store(file: SqlStore, path: Path) -> None:
    """Closing gives it back."""
    add_key(file)
    file.sweep()
    with open(path.with_name(path.name + ".lock")) as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.close()
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_memory() -> None:
    """One database for every thread of this process, which ends with it."""
    store = open_store("sqlite://")
    store.migrate()
    store.join(NODE)
    add_key(store)
    race([lambda number=number: store.open(opening(f"s{number}")) for number in range(10)])
    assert len(store.keys()) == 1
    assert all(store.lines(f"s{number}") for number in range(10))
    store.close()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:///nowhere/at/all.db", "/nowhere/at/all.db cannot be opened"),
        ("sqlite:////nowhere/at/all.db", "/nowhere/at/all.db cannot be opened"),
        ("sqlite://host/file.db", "allowed are"),
        ("sqlite:///file.db?mode=ro", "allowed are"),
        ("mysql://user:secret@host/db", "mysql://"),
        ("routeraudio.db", "no URL"),
        ("postgresql://user:secret@host:port/db", "no URL"),
    ],
)
def test_urls_that_are_none(url: str, says: str) -> None:
    """The fault names the setting and what is allowed, and no password."""
    with pytest.raises(ConfigFault, match=r"store\.url") as caught:
        open_store(url)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database(path: Path) -> None:
    """Nothing is overwritten."""
    path.parent.mkdir()
    path.write_bytes(b"something else entirely, and long enough to be looked at" * 20)
    store = open_store(f"sqlite://{path}")
    with pytest.raises(StoreUnavailable, match="is no SQLite database"):
        store.migrate()
    store.close()
    assert path.read_bytes().startswith(b"something else")
