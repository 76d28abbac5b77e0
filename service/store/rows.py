"""The tables, one class each. Rows never leave this room: `mapping` turns them into domain values."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, cast
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service.domain.ids import MODEL_ID, MODEL_ID_MAX_LENGTH, PROVIDER_ID, PROVIDER_ID_MAX_LENGTH
from service.domain.model import (
    STORED_STATES,
    CredentialType,
    ModelCapability,
    ModelKind,
    ModelSource,
    ProviderKind,
    State,
)
from service.store.columns import (
    INT32_MAX,
    Code,
    Count,
    FilledText,
    Flag,
    IdText,
    JsonCodes,
    JsonObject,
    JsonPairs,
    JsonTexts,
    Octets,
    PlainText,
    UtcMicros,
    UuidText,
    Word,
)

SINGLE_ROW = 1
"""The primary key of the tables that hold exactly one row."""

UUID_TEXT = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
HEX_DIGITS = "0123456789abcdef"
UUID_CHARACTERS = "-" + HEX_DIGITS
ID_CHARACTERS = "-0123456789abcdefghijklmnopqrstuvwxyz"
ProviderId = Annotated[
    str, mapped_column(IdText(PROVIDER_ID, ID_CHARACTERS, least=1, most=PROVIDER_ID_MAX_LENGTH))
]
ModelId = Annotated[
    str, mapped_column(IdText(MODEL_ID, "." + ID_CHARACTERS, least=1, most=MODEL_ID_MAX_LENGTH))
]
SessionHex = Annotated[str, mapped_column(IdText(r"(?:[0-9a-f]{2}){0,16}", HEX_DIGITS, least=0, most=32))]
PlainUuid = Annotated[str, mapped_column(IdText(UUID_TEXT, UUID_CHARACTERS, least=36, most=36))]
UuidOrEmpty = Annotated[str, mapped_column(IdText(rf"(?:{UUID_TEXT})?", UUID_CHARACTERS, least=0, most=36))]
Filled = Annotated[str, mapped_column(FilledText())]
Small = Annotated[int, mapped_column(Count(most=INT32_MAX))]
"""A number of the API's int32 fields."""
Object = Annotated[dict[str, Any], mapped_column(JsonObject())]
Pairs = Annotated[dict[str, str], mapped_column(JsonPairs())]
Texts = Annotated[list[str], mapped_column(JsonTexts())]
Capabilities = Annotated[list[ModelCapability], mapped_column(JsonCodes(ModelCapability))]

OnlyRow = Count(least=SINGLE_ROW, most=SINGLE_ROW)

_RETIRES = text("retire_time IS NOT NULL")
"""Of few provider models the end is announced."""

PUT = "put"
REMOVE = "remove"


class Base(DeclarativeBase):
    """Names every constraint, so that a migration can refer to it on both databases.

    Each column has a CHECK constraint of its own name with the condition of its type, unless a table is not
    ``checked``. None refuses what can be read: PostgreSQL checks a whole row when any of it is updated.
    """

    checked: ClassVar[bool] = True

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read by the declarative machinery, which wants a plain dict
        str: PlainText(),
        int: Count(),
        bool: Flag(),
        bytes: Octets(),
        datetime: UtcMicros(),
        UUID: UuidText(),
        ProviderKind: Code(ProviderKind),
        CredentialType: Code(CredentialType),
        State: Code(State, STORED_STATES),
        ModelKind: Code(ModelKind),
        ModelSource: Code(ModelSource),
    }

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        table = cast(Table, cls.__table__)
        for column in table.columns if cls.checked else ():
            for dialect in ("sqlite", "postgresql"):
                if condition := _condition(column, dialect):
                    check = CheckConstraint(condition, name=column.name)
                    table.append_constraint(check.ddl_if(dialect=dialect))


def _condition(column: Column[Any], dialect: str) -> str:
    """Return what holds for all that can be read of a column; SQLite also has to be told the types."""
    checked = cast(Any, column.type)
    condition: str = checked.condition(column.name, dialect)
    if dialect != "sqlite":
        return condition
    null = ", 'null'" if column.nullable else ""
    typed = f"typeof({column.name}) IN ('{checked.storage_class}'{null})"
    return f"{typed} AND {condition}" if condition else typed


class RevisionCounterRow(Base):
    """The hot row. Every write unit takes it first, which makes writes serial and revisions gapless.

    ``commit_id`` names the commit of ``revision``, ``parent_id`` the one before it, and ``compact_id`` is the
    content id (`service.domain.history`) at ``compact_revision``.
    """

    __tablename__ = "revision_counter"
    __table_args__ = (CheckConstraint("id = 1", name="single_row"),)

    id: Mapped[int] = mapped_column(OnlyRow, primary_key=True, autoincrement=False)
    revision: Mapped[int]
    compact_revision: Mapped[int]
    store_id: Mapped[UUID]
    commit_id: Mapped[UUID]
    parent_id: Mapped[UUID]
    compact_id: Mapped[UUID]


class ChangeLogRow(Base):
    """One routing entry that a revision put or removed. ``payload`` is canonical JSON, never sealed bytes."""

    __tablename__ = "change_log"

    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[Filled]
    name: Mapped[Filled]
    op: Mapped[str] = mapped_column(Word(PUT, REMOVE))
    payload: Mapped[bytes | None]
    commit_time: Mapped[datetime]
    commit_id: Mapped[UUID]


class RegistryInfoRow(Base):
    """What the registry knows of the KMS it seals with, and who sweeps. Recording it takes no revision."""

    __tablename__ = "registry"
    __table_args__ = (CheckConstraint("id = 1", name="single_row"),)

    id: Mapped[int] = mapped_column(OnlyRow, primary_key=True, autoincrement=False)
    deployment_id: Mapped[bytes | None] = mapped_column(Octets(16))
    primary_key_version: Mapped[str]
    key_names_seen: Mapped[Texts]
    keyring_seq: Mapped[int]
    notice_time: Mapped[datetime | None]
    sweep_holder: Mapped[str] = mapped_column(default="")
    sweep_expire_time: Mapped[datetime | None]
    secret_fingerprint: Mapped[bytes | None] = mapped_column(Octets(32))


class SidecarRow(Base):
    """A key sidecar, known by the key that signs its audit, and the newest line it reported."""

    __tablename__ = "sidecars"

    audit_public_key: Mapped[bytes] = mapped_column(primary_key=True)
    audit_seq: Mapped[int]
    audit_head: Mapped[bytes]
    notice_time: Mapped[datetime]


class RouterRow(Base):
    """A router: which revision it has applied, of which history, and who wrote of it last.

    ``session`` is hexadecimal, and empty for a client that sends none.
    """

    __tablename__ = "routers"

    principal: Mapped[str] = mapped_column(primary_key=True)
    watcher_id: Mapped[str] = mapped_column(primary_key=True)
    session: Mapped[SessionHex] = mapped_column(primary_key=True)
    store_id: Mapped[UuidOrEmpty]
    content_id: Mapped[UuidOrEmpty]
    applied_revision: Mapped[int]
    apply_time: Mapped[datetime | None]
    seen_time: Mapped[datetime]
    peer: Mapped[str]
    stopped: Mapped[int]
    writer_id: Mapped[str]
    writer_seq: Mapped[int]


class ReplicaRow(Base):
    """A replica: how often it has written what it heard, and the table that it had then."""

    __tablename__ = "replicas"

    replica_id: Mapped[str] = mapped_column(primary_key=True)
    flush_seq: Mapped[int]
    store_id: Mapped[PlainUuid]
    content_id: Mapped[PlainUuid]
    table_revision: Mapped[int]


class RouterWatchRow(Base):
    """A router that has a watch open at a replica."""

    __tablename__ = "watches"

    replica_id: Mapped[str] = mapped_column(primary_key=True)
    principal: Mapped[str] = mapped_column(primary_key=True)
    watcher_id: Mapped[str] = mapped_column(primary_key=True)
    session: Mapped[SessionHex] = mapped_column(primary_key=True)


class IdempotencyRow(Base):
    """A request_id that was used: whose, for what, the fingerprint of its body, and what it made."""

    __tablename__ = "idempotency"
    __table_args__ = (Index(None, "expire_time"),)

    principal: Mapped[str] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    resource: Mapped[str]
    expire_time: Mapped[datetime]


class ProviderRow(Base):
    """A provider. ``display_name_key`` is the folded display name: unique, searched and sorted by."""

    __tablename__ = "providers"
    __table_args__ = (
        Index(None, "create_time", "provider_id"),
        Index(None, "update_time", "provider_id"),
        Index(None, "kind", "provider_id"),
    )

    provider_id: Mapped[ProviderId] = mapped_column(primary_key=True)
    uid: Mapped[UUID] = mapped_column(unique=True)
    display_name: Mapped[Filled]
    display_name_key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[ProviderKind]
    state: Mapped[State]
    config: Mapped[Pairs]
    headers: Mapped[Pairs]
    labels: Mapped[Pairs]
    annotations: Mapped[Pairs]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    revision: Mapped[int]
    etag: Mapped[str]


class DataKeyRow(Base):
    """A wrapped DEK. Rewraps change ``wrapped`` and ``key_version`` here and nothing anywhere else.

    ``failed_count`` and ``fault`` describe the failed rewraps since the last successful one. SQLite keeps the
    rows in key order: a sweep, which goes by key, then writes a tenth of the pages. No CHECK constraints: a
    sweep writes to a row whatever else stands in it, and one refusal would stop it for all.
    """

    checked = False

    __tablename__ = "data_keys"
    __table_args__ = (Index(None, "key_version", "failed_count"), {"sqlite_with_rowid": False})

    dek_id: Mapped[UUID] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    key_version: Mapped[str]
    context: Mapped[bytes]
    commitment: Mapped[bytes]
    failed_count: Mapped[int] = mapped_column(default=0)
    fault: Mapped[str] = mapped_column(default="")


class CredentialRow(Base):
    """The credential of a provider: what is shown of it, and its envelope.

    The envelope is read only where it is asked for; a plain read of the row does not fetch it.
    """

    __tablename__ = "credentials"

    provider_id: Mapped[ProviderId] = mapped_column(ForeignKey("providers.provider_id"), primary_key=True)
    type: Mapped[CredentialType]
    prefix: Mapped[str]
    version: Mapped[int] = mapped_column(Count(least=1))
    update_time: Mapped[datetime]
    expire_time: Mapped[datetime | None]
    dek_id: Mapped[UUID] = mapped_column(ForeignKey("data_keys.dek_id"), unique=True)
    envelope: Mapped[bytes] = mapped_column(deferred=True, deferred_raiseload=True)
    destinations: Mapped[Texts]


class ProviderModelRow(Base):
    """A provider model. ``imported`` is the catalog's entry as imported, the base of later merges."""

    __tablename__ = "provider_models"
    __table_args__ = (
        UniqueConstraint("provider_id", "upstream_model_id"),
        Index(None, "provider_id", "display_name_key"),
        Index(None, "provider_id", "state"),
        Index(None, "upstream_model_id", "provider_id", "model_id"),
        Index(None, "display_name_key", "provider_id", "model_id"),
        Index(None, "create_time", "provider_id", "model_id"),
        Index(None, "update_time", "provider_id", "model_id"),
        Index(None, "kind", "provider_id", "model_id"),
        Index(None, "context_window", "provider_id", "model_id"),
        Index(None, "retire_time", postgresql_where=_RETIRES, sqlite_where=_RETIRES),
    )

    provider_id: Mapped[ProviderId] = mapped_column(ForeignKey("providers.provider_id"), primary_key=True)
    model_id: Mapped[ModelId] = mapped_column(primary_key=True)
    uid: Mapped[UUID]
    upstream_model_id: Mapped[Filled]
    display_name: Mapped[str]
    display_name_key: Mapped[str]
    kind: Mapped[ModelKind]
    state: Mapped[State]
    source: Mapped[ModelSource]
    catalog_version: Mapped[str]
    context_window: Mapped[Small]
    max_output_tokens: Mapped[Small]
    embedding_dimensions: Mapped[Small]
    pricing: Mapped[Object | None]
    capabilities: Mapped[Capabilities]
    retire_time: Mapped[datetime | None]
    needs_review: Mapped[bool]
    imported: Mapped[Object | None]
    overridden_fields: Mapped[Texts]
    labels: Mapped[Pairs]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    revision: Mapped[int]
    etag: Mapped[str]


class ModelRow(Base):
    """A model that users of the gateway know. What answers it is in `BackendRow`."""

    __tablename__ = "models"
    __table_args__ = (
        Index(None, "display_name_key", "model_id"),
        Index(None, "create_time", "model_id"),
        Index(None, "update_time", "model_id"),
        Index(None, "kind", "model_id"),
    )

    model_id: Mapped[ModelId] = mapped_column(primary_key=True)
    uid: Mapped[UUID] = mapped_column(unique=True)
    display_name: Mapped[str]
    display_name_key: Mapped[str]
    description: Mapped[str]
    kind: Mapped[ModelKind]
    state: Mapped[State]
    labels: Mapped[Pairs]
    annotations: Mapped[Pairs]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]
    revision: Mapped[int]
    etag: Mapped[str]


class BackendRow(Base):
    """The wire from a model to a provider model. Neither can go before it."""

    __tablename__ = "backends"
    __table_args__ = (
        ForeignKeyConstraint(
            ["provider_id", "provider_model_id"],
            ["provider_models.provider_id", "provider_models.model_id"],
        ),
        Index(None, "provider_id", "provider_model_id"),
    )

    model_id: Mapped[ModelId] = mapped_column(ForeignKey("models.model_id"), primary_key=True)
    provider_id: Mapped[ProviderId] = mapped_column(primary_key=True)
    provider_model_id: Mapped[ModelId] = mapped_column(primary_key=True)
    priority: Mapped[Small]
    weight: Mapped[Small]
    disabled: Mapped[bool]
