"""The first schema: registry, change log, providers, credentials, data keys, provider models, models.

Types are spelled out here and not imported from the program, so that this file means the same for ever.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Compared by UTF-8 bytes on both databases.
BYTEWISE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
# Microseconds since 1970, UTC.
TIME = sa.BigInteger()
# Canonical JSON.
JSON = sa.Text()
# A number of one of the API's enums.
CODE = sa.Integer()


def upgrade() -> None:
    """Create every table."""
    _create_bookkeeping()
    _create_providers()
    _create_provider_models()
    _create_models()


def _create_bookkeeping() -> None:
    op.create_table(
        "revision_counter",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("compact_revision", sa.BigInteger(), nullable=False),
        sa.Column("store_id", BYTEWISE, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revision_counter"),
        sa.CheckConstraint("id = 1", name=op.f("ck_revision_counter_single_row")),
    )
    op.create_table(
        "change_log",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", BYTEWISE, nullable=False),
        sa.Column("name", BYTEWISE, nullable=False),
        sa.Column("op", BYTEWISE, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("commit_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("revision", "ordinal", name="pk_change_log"),
    )
    op.create_table(
        "registry",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("deployment_id", sa.LargeBinary(), nullable=True),
        sa.Column("primary_key_version", BYTEWISE, nullable=False),
        sa.Column("key_names_seen", JSON, nullable=False),
        sa.Column("keyring_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_head", sa.LargeBinary(), nullable=False),
        sa.Column("notice_time", TIME, nullable=True),
        sa.Column("sweep_holder", BYTEWISE, nullable=False),
        sa.Column("sweep_expire_time", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_registry"),
        sa.CheckConstraint("id = 1", name=op.f("ck_registry_single_row")),
    )
    op.create_table(
        "idempotency",
        sa.Column("principal", BYTEWISE, nullable=False),
        sa.Column("method", BYTEWISE, nullable=False),
        sa.Column("request_id", BYTEWISE, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("resource", BYTEWISE, nullable=False),
        sa.Column("expire_time", TIME, nullable=False),
        sa.PrimaryKeyConstraint("principal", "method", "request_id", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_expire_time", "idempotency", ["expire_time"])


def _create_providers() -> None:
    op.create_table(
        "providers",
        sa.Column("provider_id", BYTEWISE, nullable=False),
        sa.Column("uid", BYTEWISE, nullable=False),
        sa.Column("display_name", BYTEWISE, nullable=False),
        sa.Column("display_name_key", BYTEWISE, nullable=False),
        sa.Column("kind", CODE, nullable=False),
        sa.Column("state", CODE, nullable=False),
        sa.Column("config", JSON, nullable=False),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("annotations", JSON, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("etag", BYTEWISE, nullable=False),
        sa.PrimaryKeyConstraint("provider_id", name="pk_providers"),
        sa.UniqueConstraint("uid", name="uq_providers_uid"),
        sa.UniqueConstraint("display_name_key", name="uq_providers_display_name_key"),
    )
    op.create_table(
        "data_keys",
        sa.Column("dek_id", BYTEWISE, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("key_version", BYTEWISE, nullable=False),
        sa.Column("context", sa.LargeBinary(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("failed_count", sa.BigInteger(), nullable=False),
        sa.Column("fault", BYTEWISE, nullable=False),
        sa.PrimaryKeyConstraint("dek_id", name="pk_data_keys"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_data_keys_key_version_failed_count", "data_keys", ["key_version", "failed_count"])
    op.create_table(
        "credentials",
        sa.Column("provider_id", BYTEWISE, nullable=False),
        sa.Column("type", CODE, nullable=False),
        sa.Column("prefix", BYTEWISE, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.Column("expire_time", TIME, nullable=True),
        sa.Column("dek_id", BYTEWISE, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("destinations", JSON, nullable=False),
        sa.PrimaryKeyConstraint("provider_id", name="pk_credentials"),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["providers.provider_id"], name="fk_credentials_provider_id"
        ),
        sa.ForeignKeyConstraint(["dek_id"], ["data_keys.dek_id"], name="fk_credentials_dek_id"),
        sa.UniqueConstraint("dek_id", name="uq_credentials_dek_id"),
    )


def _create_provider_models() -> None:
    op.create_table(
        "provider_models",
        sa.Column("provider_id", BYTEWISE, nullable=False),
        sa.Column("model_id", BYTEWISE, nullable=False),
        sa.Column("uid", BYTEWISE, nullable=False),
        sa.Column("upstream_model_id", BYTEWISE, nullable=False),
        sa.Column("display_name", BYTEWISE, nullable=False),
        sa.Column("display_name_key", BYTEWISE, nullable=False),
        sa.Column("kind", CODE, nullable=False),
        sa.Column("state", CODE, nullable=False),
        sa.Column("source", CODE, nullable=False),
        sa.Column("catalog_version", BYTEWISE, nullable=False),
        sa.Column("context_window", sa.BigInteger(), nullable=False),
        sa.Column("max_output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("embedding_dimensions", sa.BigInteger(), nullable=False),
        sa.Column("pricing", JSON, nullable=True),
        sa.Column("capabilities", JSON, nullable=False),
        sa.Column("retire_time", TIME, nullable=True),
        sa.Column("needs_review", sa.Boolean(), nullable=False),
        sa.Column("imported", JSON, nullable=True),
        sa.Column("overridden_fields", JSON, nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("etag", BYTEWISE, nullable=False),
        sa.PrimaryKeyConstraint("provider_id", "model_id", name="pk_provider_models"),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["providers.provider_id"], name="fk_provider_models_provider_id"
        ),
        sa.UniqueConstraint(
            "provider_id", "upstream_model_id", name="uq_provider_models_provider_id_upstream_model_id"
        ),
    )
    op.create_index(
        "ix_provider_models_provider_id_display_name_key",
        "provider_models",
        ["provider_id", "display_name_key"],
    )
    op.create_index("ix_provider_models_provider_id_state", "provider_models", ["provider_id", "state"])


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("model_id", BYTEWISE, nullable=False),
        sa.Column("uid", BYTEWISE, nullable=False),
        sa.Column("display_name", BYTEWISE, nullable=False),
        sa.Column("display_name_key", BYTEWISE, nullable=False),
        sa.Column("description", BYTEWISE, nullable=False),
        sa.Column("kind", CODE, nullable=False),
        sa.Column("state", CODE, nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("annotations", JSON, nullable=False),
        sa.Column("create_time", TIME, nullable=False),
        sa.Column("update_time", TIME, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("etag", BYTEWISE, nullable=False),
        sa.PrimaryKeyConstraint("model_id", name="pk_models"),
        sa.UniqueConstraint("uid", name="uq_models_uid"),
    )
    op.create_index("ix_models_display_name_key", "models", ["display_name_key"])
    op.create_table(
        "backends",
        sa.Column("model_id", BYTEWISE, nullable=False),
        sa.Column("provider_id", BYTEWISE, nullable=False),
        sa.Column("provider_model_id", BYTEWISE, nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "provider_id", "provider_model_id", name="pk_backends"),
        sa.ForeignKeyConstraint(["model_id"], ["models.model_id"], name="fk_backends_model_id"),
        sa.ForeignKeyConstraint(
            ["provider_id", "provider_model_id"],
            ["provider_models.provider_id", "provider_models.model_id"],
            name="fk_backends_provider_id",
        ),
    )
    op.create_index(
        "ix_backends_provider_id_provider_model_id", "backends", ["provider_id", "provider_model_id"]
    )
