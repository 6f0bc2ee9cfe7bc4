"""Schema versions: forward only, by Alembic, inside one transaction."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from routeraudio.store.contract import NewerSchema

HEAD: Final = "0004"
"""The version that this code works with. Known here too: a start with nothing to do needs no Alembic (0.1 s)."""

_VERSIONS: Final = Path(__file__).with_name("migrations")

_VERSION: Final = sa.table("alembic_version", sa.column("version_num", sa.Text))


def migrate(connection: sa.Connection, name: str) -> None:
    """Bring the schema to `HEAD` within the transaction of ``connection``; nobody else migrates meanwhile.

    Raises:
        NewerSchema: the database ``name`` is ahead of this version.
    """
    version = _version(connection)
    if version != HEAD:
        _upgrade(connection, version, name)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar()


def _upgrade(connection: sa.Connection, version: str | None, name: str) -> None:
    # Imported here: see HEAD.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_VERSIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise NewerSchema(
            f"the store {name} has schema version {version}, this routeraudio knows up to {HEAD}; "
            f"start the version that made it, or a newer one"
        )
    command.upgrade(config, HEAD)
