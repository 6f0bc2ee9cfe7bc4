"""What may be wrong with a database: one sentence each that says what to do, and no waiting where that cannot help."""

import os
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import structlog
import trio

from routeraudio.config.schema import Config
from routeraudio.config.schema import Store as StoreSettings
from routeraudio.config.secret import Secret
from routeraudio.model.errors import ConfigFault
from routeraudio.persistence import Persistence
from routeraudio.store.connect import open_store
from routeraudio.store.contract import Node, StoreUnavailable, StoreUnusable
from routeraudio.store.ledger.outage import TELL_S, Outage
from routeraudio.store.sql.sqlite import SQLite
from routeraudio.store.sql.store import SqlStore
from tests.store.postgres import Postgres
from tests.store.world import NODE, a_key, act, add_key, opening

NO_UTF8 = "CREATE DATABASE {} ENCODING '{}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"


def trouble(url: str) -> StoreUnavailable:
    """What a start meets, told without a secret."""
    store = open_store(url)
    try:
        with pytest.raises(StoreUnavailable) as raised:
            store.migrate()
    finally:
        store.close()
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None
    return raised.value


@pytest.fixture(scope="module")
def server() -> Any:
    """A server with all that people get wrong."""
    server = Postgres()
    try:
        server.start()
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            for statement in (
                *(NO_UTF8.format(encoding.lower(), encoding) for encoding in ("LATIN1", "SQL_ASCII")),
                "CREATE ROLE known LOGIN PASSWORD 'right'",
                "CREATE DATABASE standby",
                "ALTER DATABASE standby SET default_transaction_read_only = on",
            ):
                connection.execute(statement.encode())
        server.demand_password("known")
        yield server
    finally:
        server.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"database": "latin1"}, "has the encoding LATIN1.*ENCODING 'UTF8'"),
        ({"database": "sql_ascii"}, "has the encoding SQL_ASCII.*ENCODING 'UTF8'"),
        ({"database": "nowhere"}, "no database there; create it"),
        ({"username": "nobody"}, "does not know this role; create it"),
        ({"username": "known", "password": "canary"}, "refuses the password; correct store.url"),
        ({"username": "known"}, "wants a password"),
        ({"username": "known", "password": "right"}, "grant it CREATE"),
    ],
)
def test_postgres_that_will_not_do(server: Postgres, change: dict[str, str], said: str) -> None:
    """What somebody has to do something about."""
    found = trouble(sa.make_url(server.url("postgres")).set(**change).render_as_string(hide_password=False))
    assert re.search(said, str(found))
    assert isinstance(found, StoreUnusable)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 1}, "is down: the connection was refused"),
        ({"host": "no.such.host.invalid"}, "host name that cannot be looked up"),
        ({"database": "standby"}, "read-only"),
    ],
)
def test_postgres_that_may_come_back(server: Postgres, change: dict[str, Any], said: str) -> None:
    """Waited for."""
    found = trouble(sa.make_url(server.url("postgres")).set(**change).render_as_string(hide_password=False))
    assert said in str(found)
    assert not isinstance(found, StoreUnusable)


async def test_a_start_that_cannot_go_well_ends(tmp_path: Path) -> None:
    """With the sentence, as for every mistake in the configuration; nobody waits for ever."""
    path = tmp_path / "notes.db"
    path.write_bytes(b"no database at all; " * 400)
    config = Config(store=StoreSettings(url=Secret(f"sqlite://{path}")))
    persistence = Persistence(config, 1)
    with trio.fail_after(60), pytest.raises(ConfigFault, match="is no SQLite database; move it away"):
        await persistence.run()


def started(path: Path) -> SqlStore:
    """A store with a key and a node."""
    store = open_store(f"sqlite://{path}")
    store.migrate()
    add_key(store)
    store.join(NODE)
    return store


def test_a_damaged_file(tmp_path: Path) -> None:
    """Said as soon as it is read."""
    path = tmp_path / "r.db"
    started(path).close()
    damaged = bytearray(path.read_bytes())
    damaged[8192:] = os.urandom(len(damaged) - 8192)
    path.write_bytes(damaged)
    store = open_store(f"sqlite://{path}")
    with pytest.raises(StoreUnusable, match="damaged; stop the daemon and put a backup back"):
        store.join(Node("there", "1"))
    store.close()


@pytest.mark.parametrize("way", ["deleted", "replaced"])
def test_a_file_that_goes_away(tmp_path: Path, way: str) -> None:
    """Nothing is written where nobody finds it again, and no empty database is left in its place."""
    path = tmp_path / "r.db"
    store = started(path)
    for file in tmp_path.glob("r.db*"):
        file.unlink()
    if way == "replaced":
        started(path).close()
    before = sorted(tmp_path.iterdir())
    for call in (
        lambda: store.open(opening()),
        lambda: store.heartbeat(NODE),
        lambda: store.keys(),
        lambda: store.add_key(a_key("k2"), b"", act("k2")),
    ):
        with pytest.raises(StoreUnusable, match=f"was {way} while it was in use.*restart the daemon"):
            call()
    store.close()
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_may_not_be_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """May be a network disk that comes back: waited for."""
    store = started(tmp_path / "r.db")

    def stat(_path: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(StoreUnavailable, match="cannot be reached") as raised:
        store.heartbeat(NODE)
    assert not isinstance(raised.value, StoreUnusable)
    monkeypatch.undo()
    assert store.heartbeat(NODE)
    store.close()


def test_a_full_disk(tmp_path: Path) -> None:
    """Not for ever: somebody makes room."""
    store = started(tmp_path / "r.db")
    database = store._database
    assert isinstance(database, SQLite)
    with database._writer.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    def fill() -> None:
        for number in range(1000):
            add_key(store, f"key-{number}")

    with pytest.raises(StoreUnavailable, match="no room on its disk") as raised:
        fill()
    assert not isinstance(raised.value, StoreUnusable)
    store.close()


async def test_an_outage_is_told_again(autojump_clock: object) -> None:
    """Once a minute while it lasts, not with every attempt, and never once and then no more."""
    del autojump_clock
    outage = Outage(trio.current_time())
    with structlog.testing.capture_logs() as logged:
        for _ in range(10 * int(TELL_S)):
            await trio.sleep(1)
            outage.goes_on(StoreUnusable("the store was deleted"))
    assert [line["since_s"] for line in logged] == [TELL_S * (minute + 1) for minute in range(10)]
    assert {line["why"] for line in logged} == {"the store was deleted"}
