"""An index for each order of a list, which ends in the ids, and one for what retires soon."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
oldest = "0007"
"""The programs before lose nothing but an index: one of these begins as the one that goes."""

ORDERS = {
    "providers": (("create_time", "update_time", "kind"), ("provider_id",)),
    "provider_models": (
        (
            "upstream_model_id",
            "display_name_key",
            "create_time",
            "update_time",
            "kind",
            "context_window",
        ),
        ("provider_id", "model_id"),
    ),
    "models": (("display_name_key", "create_time", "update_time", "kind"), ("model_id",)),
}


def upgrade() -> None:
    """Make them. The index of models' display names alone is the beginning of the new one."""
    for table, (fields, ids) in ORDERS.items():
        for field in fields:
            op.create_index(f"ix_{table}_{'_'.join((field, *ids))}", table, [field, *ids])
    op.drop_index("ix_models_display_name_key", "models")
    retires = sa.text("retire_time IS NOT NULL")
    op.create_index(
        "ix_provider_models_retire_time",
        "provider_models",
        ["retire_time"],
        postgresql_where=retires,
        sqlite_where=retires,
    )
