"""Commit ids: a revision is known by what was committed, since numbers repeat after a restore.

An older program must not write to the database any more, because it would advance the revision without an id.
"""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

NEW = {
    "revision_counter": ("commit_id", "parent_id", "compact_id"),
    "change_log": ("commit_id",),
    "routers": ("content_id",),
}
COUNTER = sa.table("revision_counter", *(sa.column(name) for name in NEW["revision_counter"]))
CHANGE_LOG = sa.table("change_log", sa.column("revision"), sa.column("commit_id"))
ROUTERS = sa.table("routers", sa.column("content_id"))


def upgrade() -> None:
    """Add the ids. Earlier commits get random ones: no watch resumes from there."""
    for table, names in NEW.items():
        for name in names:
            op.add_column(table, sa.Column(name, BYTEWISE, nullable=True))
    connection = op.get_bind()
    revisions = connection.scalars(sa.select(CHANGE_LOG.c.revision).distinct()).all()
    if revisions:
        connection.execute(
            sa.update(CHANGE_LOG)
            .where(CHANGE_LOG.c.revision == sa.bindparam("of"))
            .values(commit_id=sa.bindparam("id")),
            [{"of": revision, "id": str(uuid4())} for revision in revisions],
        )
    connection.execute(sa.update(COUNTER).values({name: str(uuid4()) for name in NEW["revision_counter"]}))
    connection.execute(sa.update(ROUTERS).values(content_id=""))
    for table, names in NEW.items():
        with op.batch_alter_table(table) as batch:
            for name in names:
                batch.alter_column(name, existing_type=BYTEWISE, nullable=False)
