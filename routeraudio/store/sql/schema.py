"""The tables. What a migration once made of them stands in `migrations/versions`; a test compares the two.

Every time is Unix seconds by the store's clock, every amount whole units (`policy.pricing`), every day the number of
days since 1970 in UTC.
"""

from typing import Final

import sqlalchemy as sa

metadata: Final = sa.MetaData()

key: Final = sa.Table(
    "router_key",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("terms", sa.Text, nullable=False),  # JSON of policy.keys.Terms
    sa.Column("created_at_s", sa.BigInteger, nullable=False),
    sa.Column("expires_at_s", sa.BigInteger),
    sa.Column("is_disabled", sa.Boolean, nullable=False),
    # Copied out of the terms, because every settling asks for them.
    sa.Column("budget_units", sa.BigInteger),
    sa.Column("budget_period", sa.Text),
    sa.Index("router_key_account", "account"),
)
"""Router keys."""

account: Final = sa.Table(
    "account",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("total_units", sa.BigInteger, nullable=False),
    sa.Column("month_units", sa.BigInteger, nullable=False),
    sa.Column("day_units", sa.BigInteger, nullable=False),
    sa.Column("day", sa.BigInteger, nullable=False),
)
"""What accounts have spent, reservations included; `day` says which day and month the two sums are of. Its row lock is
the turn that openings and settlings of an account take."""

node: Final = sa.Table(
    "node",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Text, primary_key=True),
    sa.Column("seen_at_s", sa.Double, nullable=False),
)
"""Living daemon processes."""

line: Final = sa.Table(
    "line",
    metadata,
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
    sa.Column(
        "granted", sa.BigInteger, nullable=False
    ),  # what the account's sums hold; of a closed line: its cycles
    sa.Column("granted_day", sa.BigInteger, nullable=False),
    sa.Column("audio_ms", sa.BigInteger, nullable=False),
    sa.Column("connected_ms", sa.BigInteger, nullable=False),
    sa.Column("provider_ms", sa.BigInteger),
    sa.Column("replayed_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("is_leased", sa.Boolean, nullable=False),  # counted against a limit of concurrency
    sa.Column("token_concurrent_max", sa.Integer),
    # Few lines are open; only they are in these two, and marks change none of their columns.
    sa.Index(
        "line_open_account",
        "account",
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    ),
    sa.Index(
        "line_open_node",
        "node",
        "epoch",
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    ),
    sa.Index("line_account_began", "account", "began_at_s"),
    sa.Index("line_key_began", "key_id", "began_at_s"),
    sa.Index("line_began", "began_at_s"),
)
"""The ledger."""

usage_day: Final = sa.Table(
    "usage_day",
    metadata,
    sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),  # empty: the provider's default
    sa.Column("sessions", sa.BigInteger, nullable=False),
    sa.Column("cycles", sa.BigInteger, nullable=False),
    sa.Column("audio_ms", sa.BigInteger, nullable=False),
    sa.Column("connected_ms", sa.BigInteger, nullable=False),
    sa.Column("replayed_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Index("usage_day_account", "account", "day"),
)
"""Sums over the lines that are not open, by the day on which they began: see `store.sql.sums`."""

token: Final = sa.Table(
    "burnt_token",
    metadata,
    sa.Column("jti", sa.Text, primary_key=True),
    sa.Column("expires_at_s", sa.BigInteger, nullable=False),
    sa.Index("burnt_token_expires", "expires_at_s"),
)
"""Tokens that have opened their one stream."""

audit: Final = sa.Table(
    "audit",
    metadata,
    # SQLite counts up by itself only in a column that is called INTEGER.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("at_s", sa.Double, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),  # JSON
)
"""Acts of administration."""

setting: Final = sa.Table(
    "setting",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
"""What the database knows of itself: see `store.sql.settings`."""
