"""What a provider was sent that another one had been sent before: of lines, and of their sums."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; nothing was counted until now."""
    for table in ("line", "usage_day"):
        op.add_column(table, sa.Column("replayed_ms", sa.BigInteger, nullable=False, server_default="0"))
