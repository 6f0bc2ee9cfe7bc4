"""Schema versions, for Alembic."""
