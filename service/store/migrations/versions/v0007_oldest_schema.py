"""The oldest schema whose programs may use the database, beside the number of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
oldest = "0007"
"""Programs before this one know no such rule, and refuse any schema but their own."""


def upgrade() -> None:
    """Add the column to Alembic's own table. What it holds is written after the last migration of a run."""
    op.add_column("alembic_version", sa.Column("oldest_schema", sa.Text(), nullable=True))
