"""${message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
oldest = down_revision
"""The oldest schema whose programs work beside this one: CONTRIBUTING.md, "Change the schema"."""


def upgrade() -> None:
    """Expand: the version before this one goes on working beside it."""
    ${upgrades if upgrades else "pass"}
