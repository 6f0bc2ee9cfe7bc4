"""What the database knows of itself."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from routeraudio.store.sql import schema
from routeraudio.store.sql.database import Transaction

SECRET_NAME: Final = "server_secret"  # noqa: S105  (a row's name)
"""Fingerprints of the server secret's lines, the newest first, with spaces between."""


def adopt_secret(transaction: Transaction, fingerprints: Sequence[str]) -> bool:
    """See `Store.adopt_secret`."""
    table = schema.setting
    known = transaction.connection.execute(
        sa.select(table.c.value).where(table.c.name == SECRET_NAME)
    ).scalar()
    said = " ".join(fingerprints)
    if known == said:
        return True
    if known is not None and not set(known.split()) & set(fingerprints) and _has_keys(transaction):
        return False
    statement = transaction.insert(table).values(name=SECRET_NAME, value=said)
    transaction.connection.execute(
        statement.on_conflict_do_update(index_elements=[table.c.name], set_={"value": said})
    )
    return True


def _has_keys(transaction: Transaction) -> bool:
    return transaction.connection.execute(sa.select(schema.key.c.id).limit(1)).first() is not None
