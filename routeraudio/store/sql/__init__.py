"""The store on SQLite or PostgreSQL: one set of statements (SQLAlchemy Core), one schema (Alembic)."""
