"""Schema versions."""

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from routeraudio.store.contract import NewerSchema, StoreUnavailable
from routeraudio.store.sql import migrate, schema
from routeraudio.store.sql.store import SqlStore
from tests.store.conftest import Open
from tests.store.world import add_key, execute


def test_migrations_make_the_schema(store: SqlStore) -> None:
    """From nothing to exactly what the statements are built on."""
    with store._database.write() as transaction:
        context = MigrationContext.configure(transaction.connection)
        assert compare_metadata(context, schema.metadata) == []


def test_the_head_is_the_newest_version() -> None:
    """A version that is added is also migrated to."""
    scripts = ScriptDirectory(str(migrate._VERSIONS))
    assert scripts.get_heads() == [migrate.HEAD]


def test_migrating_again_changes_nothing(store: SqlStore) -> None:
    """Every start does it."""
    add_key(store)
    store.migrate()
    (key,) = store.keys()
    assert key.id == "k1"


def test_a_newer_database(store: SqlStore, another: Open) -> None:
    """Both versions are named, and nothing is touched."""
    execute(store, sa.text("UPDATE alembic_version SET version_num = '9876'"))
    with pytest.raises(NewerSchema, match=f"9876.*{migrate.HEAD}"):
        another().migrate()
    assert store.keys() == []


def test_a_migration_that_fails_leaves_nothing(another: Open) -> None:
    """All or nothing: the next start finds what there was."""
    store = another()
    execute(store, sa.text("CREATE TABLE audit (id INTEGER)"))
    with pytest.raises(StoreUnavailable, match="does not answer"):
        store.migrate()
    with store._database.read() as transaction:
        assert sa.inspect(transaction.connection).get_table_names() == ["audit"]


def test_migrations_are_packaged() -> None:
    """They are found beside the code, wherever it is installed."""
    config = Config()
    config.set_main_option("script_location", "routeraudio.store.sql:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]
