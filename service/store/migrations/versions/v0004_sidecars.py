"""Sidecars: a row for the audit of each, and a fingerprint of the secret that all replicas share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# Microseconds since 1970, UTC.
TIME = sa.BigInteger()


def upgrade() -> None:
    """Create the table. Which sidecar the one position recorded before belongs to is not known: drop it."""
    op.create_table(
        "sidecars",
        sa.Column("audit_public_key", sa.LargeBinary(), nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_head", sa.LargeBinary(), nullable=False),
        sa.Column("notice_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("audit_public_key", name="pk_sidecars"),
    )
    op.add_column("registry", sa.Column("secret_fingerprint", sa.LargeBinary(), nullable=True))
    op.drop_column("registry", "audit_seq")
    op.drop_column("registry", "audit_head")
