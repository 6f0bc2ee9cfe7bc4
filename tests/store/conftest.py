"""Stores of both kinds, each empty; the server behind one kind is started once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from routeraudio.store.connect import open_store
from routeraudio.store.sql.store import SqlStore
from tests.store.postgres import Postgres

Open = Callable[[], SqlStore]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running server."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/routeraudio.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create(f"test-{uuid4().hex}")


@pytest.fixture
def another(url: str) -> Iterator[Open]:
    """Opens the same database again, as another process would."""
    stores: list[SqlStore] = []

    def open_another() -> SqlStore:
        stores.append(open_store(url))
        return stores[-1]

    yield open_another
    for store in stores:
        store.close()


@pytest.fixture
def store(another: Open) -> SqlStore:
    """A store with its tables."""
    store = another()
    store.migrate()
    return store
