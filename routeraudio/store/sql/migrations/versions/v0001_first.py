"""Keys, accounts, nodes, the ledger, burnt tokens, the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "router_key",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("terms", sa.Text, nullable=False),
        sa.Column("created_at_s", sa.BigInteger, nullable=False),
        sa.Column("expires_at_s", sa.BigInteger),
        sa.Column("is_disabled", sa.Boolean, nullable=False),
        sa.Column("budget_units", sa.BigInteger),
        sa.Column("budget_period", sa.Text),
    )
    op.create_index("router_key_account", "router_key", ["account"])
    op.create_table(
        "account",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("total_units", sa.BigInteger, nullable=False),
        sa.Column("month_units", sa.BigInteger, nullable=False),
        sa.Column("day_units", sa.BigInteger, nullable=False),
        sa.Column("day", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "node",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Text, primary_key=True),
        sa.Column("seen_at_s", sa.Double, nullable=False),
    )
    _line()
    op.create_table(
        "burnt_token",
        sa.Column("jti", sa.Text, primary_key=True),
        sa.Column("expires_at_s", sa.BigInteger, nullable=False),
    )
    op.create_index("burnt_token_expires", "burnt_token", ["expires_at_s"])
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at_s", sa.Double, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )


def _line() -> None:
    op.create_table(
        "line",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("leg", sa.Integer, primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("dialect", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("micro_usd_per_hour", sa.BigInteger, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("began_at_s", sa.Double, nullable=False),
        sa.Column("began_day", sa.BigInteger, nullable=False),
        sa.Column("ended_at_s", sa.Double),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ending", sa.Text),
        sa.Column("cycles", sa.BigInteger, nullable=False),
        sa.Column("granted", sa.BigInteger, nullable=False),
        sa.Column("granted_day", sa.BigInteger, nullable=False),
        sa.Column("audio_ms", sa.BigInteger, nullable=False),
        sa.Column("connected_ms", sa.BigInteger, nullable=False),
        sa.Column("provider_ms", sa.BigInteger),
        sa.Column("is_leased", sa.Boolean, nullable=False),
        sa.Column("token_concurrent_max", sa.Integer),
    )
    is_open = sa.text("status = 'open'")
    op.create_index("line_open_account", "line", ["account"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_index(
        "line_open_node", "line", ["node", "epoch"], sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("line_account_began", "line", ["account", "began_at_s"])
    op.create_index("line_key_began", "line", ["key_id", "began_at_s"])
