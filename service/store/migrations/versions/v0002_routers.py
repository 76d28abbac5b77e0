"""Routers: who has applied which revision, kept over restarts of the registry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# Microseconds since 1970, UTC.
TIME = sa.BigInteger()


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "routers",
        sa.Column("watcher_id", BYTEWISE, nullable=False),
        sa.Column("store_id", BYTEWISE, nullable=False),
        sa.Column("applied_revision", sa.BigInteger(), nullable=False),
        sa.Column("apply_time", TIME, nullable=True),
        sa.Column("seen_time", TIME, nullable=False),
        sa.Column("peer", BYTEWISE, nullable=False),
        sa.PrimaryKeyConstraint("watcher_id", name="pk_routers"),
    )
