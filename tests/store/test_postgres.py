"""What is particular to a server."""

import signal
from collections.abc import Iterator
from uuid import uuid4

import pytest
import sqlalchemy as sa

from routeraudio.store.connect import open_store
from routeraudio.store.contract import Opened, StoreUnavailable, UsageQuery
from routeraudio.store.sql.store import SqlStore
from tests.store.postgres import Postgres
from tests.store.world import NODE, add_key, execute, mark, opening


@pytest.fixture
def store(postgres: Postgres) -> Iterator[SqlStore]:
    """A store on the server, impatient, but not while the test is being prepared."""
    url = postgres.create(f"test-{uuid4().hex}")
    patient = open_store(url)
    patient.migrate()
    add_key(patient)
    patient.close()
    store = open_store(url, statement_s=0.5)
    store.join(NODE)
    yield store
    store.close()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("synchronous_commit", "on"),
        ("statement_timeout", "500ms"),
        ("idle_in_transaction_session_timeout", "500ms"),
        ("transaction_isolation", "read committed"),
        ("application_name", "routeraudio"),
    ],
)
def test_settings_of_a_connection(store: SqlStore, setting: str, value: str) -> None:
    """Set by ourselves, whatever the server's defaults are."""
    execute(store, sa.text(f'ALTER DATABASE "{store.name.rsplit("/", 1)[1]}" SET synchronous_commit = off'))
    store._database.close()
    assert execute(store, sa.text(f"SHOW {setting}")).scalar_one() == value


def test_the_clock_is_the_servers(store: SqlStore) -> None:
    """Times of a line are those of the database."""
    store.open(opening())
    seconds = execute(store, sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    assert 0 <= float(seconds) - store.lines("s1")[0].began_at_s < 60


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_it_goes_on_after_a_restart(store: SqlStore, postgres: Postgres, how: signal.Signals) -> None:
    """Every pooled connection is dead, and the first statement works all the same; what was committed is there."""
    store.open(opening())
    store.settle(NODE, [mark(cycles=3)])
    postgres.stop(how)
    with pytest.raises(StoreUnavailable, match="does not answer") as caught:
        store.settle(NODE, [mark(cycles=4)])
    assert "tests@" in str(caught.value)
    postgres.start()
    store.settle(NODE, [mark(cycles=4)])
    assert store.total(UsageQuery()).cycles == 4
    assert store.open(opening("s2")) == Opened(1)


def test_a_statement_does_not_wait_for_ever(store: SqlStore) -> None:
    """Whoever holds an account's lock too long holds nobody else up for longer than a statement may take."""
    patient = open_store(store.name)
    with patient._database.write() as transaction:
        transaction.connection.execute(sa.text("SELECT * FROM account FOR UPDATE"))
        with pytest.raises(StoreUnavailable, match="57014"):
            store.open(opening())
    patient.close()
    assert store.open(opening()) == Opened(1)


def test_no_password_in_messages() -> None:
    """A server that is not there is named without it."""
    store = open_store("postgresql://router:secret@127.0.0.1:1/routeraudio", statement_s=0.5)
    with pytest.raises(StoreUnavailable, match="router:") as caught:
        store.migrate()
    assert "secret" not in str(caught.value)
    assert "secret" not in store.name
    assert caught.value.__cause__ is None
    store.close()
