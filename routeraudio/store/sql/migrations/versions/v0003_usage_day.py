"""Sums of closed lines by day, and an index for what begins or ends within a day."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table and fill it: seconds for a million lines."""
    sums = op.create_table(
        "usage_day",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("sessions", sa.BigInteger, nullable=False),
        sa.Column("cycles", sa.BigInteger, nullable=False),
        sa.Column("audio_ms", sa.BigInteger, nullable=False),
        sa.Column("connected_ms", sa.BigInteger, nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
    )
    op.create_index("usage_day_account", "usage_day", ["account", "day"])
    op.create_index("line_began", "line", ["began_at_s"])
    line = sa.table(
        "line",
        *map(sa.column, ("began_day", "key_id", "account", "provider", "model", "leg", "status")),
        *map(sa.column, ("cycles", "audio_ms", "connected_ms", "micro_usd_per_hour")),
    )
    groups = (
        line.c.began_day,
        line.c.key_id,
        line.c.account,
        line.c.provider,
        sa.func.coalesce(line.c.model, ""),
    )
    added = (
        sa.case((line.c.leg == 1, 1), else_=0),
        line.c.cycles,
        line.c.audio_ms,
        line.c.connected_ms,
        line.c.cycles * line.c.micro_usd_per_hour,
    )
    closed = sa.select(*groups, *map(sa.func.sum, added)).where(line.c.status != "open").group_by(*groups)
    op.execute(sa.insert(sums).from_select(list(sums.c.keys()), closed))
