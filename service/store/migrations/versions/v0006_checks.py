"""CHECK constraints: what no column may hold, said to the databases too.

Rows that are there already are not checked, and stay as they are: one bad row must not keep the registry from
starting. PostgreSQL calls that NOT VALID. SQLite copies each table; `migrate` has its checks off meanwhile.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0006"
down_revision = "0005"

# What is true of each kind of column: SQLite's storage class, which PostgreSQL need not be told, and more.
TEXT = ("text", "")
OPERATION = ("text", "{0} IN ('put', 'remove')")
ONE = ("integer", "{0} BETWEEN 1 AND 1")
FILLED = ("text", "{0} <> ''")
PROVIDER_ID = (
    "text",
    "length({0}) BETWEEN 1 AND 63 AND rtrim({0}, '-0123456789abcdefghijklmnopqrstuvwxyz') = ''",
)
MODEL_ID = (
    "text",
    "length({0}) BETWEEN 1 AND 128 AND rtrim({0}, '.-0123456789abcdefghijklmnopqrstuvwxyz') = ''",
)
SESSION = ("text", "length({0}) BETWEEN 0 AND 32 AND rtrim({0}, '0123456789abcdef') = ''")
UUID = ("text", "length({0}) >= 32")
PLAIN_UUID = ("text", "length({0}) BETWEEN 36 AND 36 AND rtrim({0}, '-0123456789abcdef') = ''")
UUID_OR_EMPTY = ("text", "length({0}) BETWEEN 0 AND 36 AND rtrim({0}, '-0123456789abcdef') = ''")
OBJECT = ("text", "{0} LIKE '%{{%}}%'")
LIST = ("text", "{0} LIKE '%[%]%'")
COUNT = ("integer", "{0} BETWEEN 0 AND 9223372036854775807")
FROM_ONE = ("integer", "{0} BETWEEN 1 AND 9223372036854775807")
SMALL = ("integer", "{0} BETWEEN 0 AND 2147483647")
TIME = ("integer", "{0} BETWEEN -62135596800000000 AND 253402300799999999")
CODE = ("integer", "{0} > 0")
OCTETS = ("blob", "")
OCTETS_16 = ("blob", "length({0}) = 16")
OCTETS_32 = ("blob", "length({0}) = 32")
FLAG = ("integer", "{0} IN (0, 1)")

TABLES = {
    "revision_counter": {
        "id": ONE,
        "revision": COUNT,
        "compact_revision": COUNT,
        "store_id": UUID,
        "commit_id": UUID,
        "parent_id": UUID,
        "compact_id": UUID,
    },
    "change_log": {
        "revision": COUNT,
        "ordinal": COUNT,
        "kind": FILLED,
        "name": FILLED,
        "op": OPERATION,
        "payload": OCTETS,
        "commit_time": TIME,
        "commit_id": UUID,
    },
    "registry": {
        "id": ONE,
        "deployment_id": OCTETS_16,
        "primary_key_version": TEXT,
        "key_names_seen": LIST,
        "keyring_seq": COUNT,
        "notice_time": TIME,
        "sweep_holder": TEXT,
        "sweep_expire_time": TIME,
        "secret_fingerprint": OCTETS_32,
    },
    "sidecars": {
        "audit_public_key": OCTETS,
        "audit_seq": COUNT,
        "audit_head": OCTETS,
        "notice_time": TIME,
    },
    "routers": {
        "principal": TEXT,
        "watcher_id": TEXT,
        "session": SESSION,
        "store_id": UUID_OR_EMPTY,
        "content_id": UUID_OR_EMPTY,
        "applied_revision": COUNT,
        "apply_time": TIME,
        "seen_time": TIME,
        "peer": TEXT,
        "stopped": COUNT,
        "writer_id": TEXT,
        "writer_seq": COUNT,
    },
    "replicas": {
        "replica_id": TEXT,
        "flush_seq": COUNT,
        "store_id": PLAIN_UUID,
        "content_id": PLAIN_UUID,
        "table_revision": COUNT,
    },
    "watches": {"replica_id": TEXT, "principal": TEXT, "watcher_id": TEXT, "session": SESSION},
    "idempotency": {
        "principal": TEXT,
        "method": TEXT,
        "request_id": TEXT,
        "fingerprint": OCTETS,
        "resource": TEXT,
        "expire_time": TIME,
    },
    "providers": {
        "provider_id": PROVIDER_ID,
        "uid": UUID,
        "display_name": FILLED,
        "display_name_key": TEXT,
        "kind": CODE,
        "state": CODE,
        "config": OBJECT,
        "headers": OBJECT,
        "labels": OBJECT,
        "annotations": OBJECT,
        "create_time": TIME,
        "update_time": TIME,
        "revision": COUNT,
        "etag": TEXT,
    },
    "credentials": {
        "provider_id": PROVIDER_ID,
        "type": CODE,
        "prefix": TEXT,
        "version": FROM_ONE,
        "update_time": TIME,
        "expire_time": TIME,
        "dek_id": UUID,
        "envelope": OCTETS,
        "destinations": LIST,
    },
    "provider_models": {
        "provider_id": PROVIDER_ID,
        "model_id": MODEL_ID,
        "uid": UUID,
        "upstream_model_id": FILLED,
        "display_name": TEXT,
        "display_name_key": TEXT,
        "kind": CODE,
        "state": CODE,
        "source": CODE,
        "catalog_version": TEXT,
        "context_window": SMALL,
        "max_output_tokens": SMALL,
        "embedding_dimensions": SMALL,
        "pricing": OBJECT,
        "capabilities": LIST,
        "retire_time": TIME,
        "needs_review": FLAG,
        "imported": OBJECT,
        "overridden_fields": LIST,
        "labels": OBJECT,
        "create_time": TIME,
        "update_time": TIME,
        "revision": COUNT,
        "etag": TEXT,
    },
    "models": {
        "model_id": MODEL_ID,
        "uid": UUID,
        "display_name": TEXT,
        "display_name_key": TEXT,
        "description": TEXT,
        "kind": CODE,
        "state": CODE,
        "labels": OBJECT,
        "annotations": OBJECT,
        "create_time": TIME,
        "update_time": TIME,
        "revision": COUNT,
        "etag": TEXT,
    },
    "backends": {
        "model_id": MODEL_ID,
        "provider_id": PROVIDER_ID,
        "provider_model_id": MODEL_ID,
        "priority": SMALL,
        "weight": SMALL,
        "disabled": FLAG,
    },
}
NULLABLE = {
    ("change_log", "payload"),
    ("registry", "deployment_id"),
    ("registry", "notice_time"),
    ("registry", "sweep_expire_time"),
    ("registry", "secret_fingerprint"),
    ("routers", "apply_time"),
    ("credentials", "expire_time"),
    ("provider_models", "pricing"),
    ("provider_models", "retire_time"),
    ("provider_models", "imported"),
}


def upgrade() -> None:
    """Add one constraint for each column that has a condition."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table, columns in TABLES.items():
        with op.batch_alter_table(table) as batch:
            for column, kind in columns.items():
                if is_sqlite:
                    _add(batch, f"ck_{table}_{column}", _sqlite(table, column, *kind))
                elif kind[1] and kind is not FLAG:
                    _add(batch, f"ck_{table}_{column}", kind[1].format(column))


def _sqlite(table: str, column: str, storage_class: str, condition: str) -> str:
    null = ", 'null'" if (table, column) in NULLABLE else ""
    typed = f"typeof({column}) IN ('{storage_class}'{null})"
    return f"{typed} AND {condition.format(column)}" if condition else typed


def _add(batch: BatchOperations, name: str, condition: str) -> None:
    batch.create_check_constraint(op.f(name), sa.text(condition), postgresql_not_valid=True)
