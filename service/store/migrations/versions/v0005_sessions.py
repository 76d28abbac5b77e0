"""Sessions of routers, and which replica each of them watches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# Microseconds since 1970, UTC.
TIME = sa.BigInteger()

KEPT = ("watcher_id", "store_id", "content_id", "applied_revision", "apply_time", "seen_time", "peer")


def upgrade() -> None:
    """Make the tables. Routers that are known by an id alone keep counting, with the empty session."""
    connection = op.get_bind()
    old = sa.table("routers", *(sa.column(name) for name in KEPT))
    kept = [dict(row) for row in connection.execute(sa.select(old)).mappings()]
    op.drop_table("routers")
    routers = op.create_table(
        "routers",
        sa.Column("principal", BYTEWISE, nullable=False),
        sa.Column("watcher_id", BYTEWISE, nullable=False),
        # Hexadecimal; empty for a client that sends none.
        sa.Column("session", BYTEWISE, nullable=False),
        sa.Column("store_id", BYTEWISE, nullable=False),
        sa.Column("content_id", BYTEWISE, nullable=False),
        sa.Column("applied_revision", sa.BigInteger(), nullable=False),
        sa.Column("apply_time", TIME, nullable=True),
        sa.Column("seen_time", TIME, nullable=False),
        sa.Column("peer", BYTEWISE, nullable=False),
        sa.Column("stopped", sa.BigInteger(), nullable=False),
        sa.Column("writer_id", BYTEWISE, nullable=False),
        sa.Column("writer_seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "watcher_id", "session", name="pk_routers"),
    )
    if kept:
        new = {"principal": "dev:loopback", "session": "", "stopped": 0, "writer_id": "", "writer_seq": 0}
        connection.execute(sa.insert(routers), [{**row, **new} for row in kept])
    op.create_table(
        "replicas",
        sa.Column("replica_id", BYTEWISE, nullable=False),
        sa.Column("flush_seq", sa.BigInteger(), nullable=False),
        sa.Column("store_id", BYTEWISE, nullable=False),
        sa.Column("content_id", BYTEWISE, nullable=False),
        sa.Column("table_revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("replica_id", name="pk_replicas"),
    )
    op.create_table(
        "watches",
        sa.Column("replica_id", BYTEWISE, nullable=False),
        sa.Column("principal", BYTEWISE, nullable=False),
        sa.Column("watcher_id", BYTEWISE, nullable=False),
        sa.Column("session", BYTEWISE, nullable=False),
        sa.PrimaryKeyConstraint("replica_id", "principal", "watcher_id", "session", name="pk_watches"),
    )
