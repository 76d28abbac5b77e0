"""What can be asked of the store inside one transaction: every answer belongs to one revision."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, undefer

from service.domain.filters import Expression
from service.domain.lists import OrderBy
from service.domain.model import (
    Provider,
    ProviderModel,
    ProviderModelKey,
    ProviderModelView,
    ProviderView,
    SealedCredential,
    State,
)
from service.domain.routing import (
    Change,
    ChangeSet,
    Entry,
    EntryKind,
    active_model,
    active_provider_model,
    entry_from_json,
    routing_provider,
)
from service.store.mapping import provider_from_rows, provider_model_from_row
from service.store.rows import (
    ChangeLogRow,
    CredentialRow,
    DataKeyRow,
    IdempotencyRow,
    ProviderModelRow,
    ProviderRow,
    RegistryInfoRow,
    RevisionCounterRow,
)
from service.store.sql import pair_among
from service.store.units import lists
from service.store.units.data_keys import DataKeyReads
from service.store.units.lists import PROVIDER_MODEL_ROUTABLE, Position, S, filtered, page
from service.store.units.models import ModelReads

_PROVIDERS = select(ProviderRow, CredentialRow).outerjoin(
    CredentialRow, CredentialRow.provider_id == ProviderRow.provider_id
)
_PROVIDER_MODEL_COUNT = (
    select(func.count())
    .where(ProviderModelRow.provider_id == ProviderRow.provider_id)
    .correlate(ProviderRow)
    .scalar_subquery()
)
_ACTIVE_PROVIDER_MODEL_COUNT = (
    select(func.count())
    .where(ProviderModelRow.provider_id == ProviderRow.provider_id, ProviderModelRow.state == State.ACTIVE)
    .correlate(ProviderRow)
    .scalar_subquery()
)
_PROVIDER_VIEWS = _PROVIDERS.add_columns(_PROVIDER_MODEL_COUNT, _ACTIVE_PROVIDER_MODEL_COUNT)
_PROVIDER_MODEL_VIEWS = (
    select(ProviderModelRow, PROVIDER_MODEL_ROUTABLE)
    .join(ProviderRow, ProviderRow.provider_id == ProviderModelRow.provider_id)
    .outerjoin(CredentialRow, CredentialRow.provider_id == ProviderRow.provider_id)
)


@dataclass(frozen=True, slots=True)
class Head:
    """Where the store is. Change sets up to and including ``compact_revision`` are no longer kept.

    ``commit_id`` is that of ``revision``, ``compact_id`` the content id at ``compact_revision``.
    """

    revision: int
    compact_revision: int
    store_id: UUID
    commit_id: UUID
    compact_id: UUID


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """What the registry has recorded of its KMS; ``deployment_id`` is None before the first time."""

    deployment_id: bytes | None
    primary_key_version: str
    key_names_seen: tuple[str, ...]
    keyring_seq: int
    audit_seq: int = 0
    audit_head: bytes = b""
    notice_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class RememberedRequest:
    """A request_id that was used: the keyed fingerprint of its body, and the name of what it made."""

    fingerprint: bytes
    resource: str


class ReadUnit(ModelReads, DataKeyReads):
    """Reads within one transaction. Values only: nothing returned refers to the database any more."""

    def __init__(self, session: Session, now: datetime) -> None:
        super().__init__(session)
        # Statements of a write unit go past the session, so what it has loaded before may be stale.
        self._fresh = {"populate_existing": True}
        self.now = now

    def head(self) -> Head:
        """The newest revision that this unit sees."""
        row = self._session.execute(
            select(
                RevisionCounterRow.revision,
                RevisionCounterRow.compact_revision,
                RevisionCounterRow.store_id,
                RevisionCounterRow.commit_id,
                RevisionCounterRow.compact_id,
            )
        ).one()
        return Head(*row)

    def content_id(self, revision: int) -> UUID | None:
        """The content id at ``revision``, which may be newer than the head; None where it is compacted."""
        found = self._session.scalar(
            select(ChangeLogRow.commit_id)
            .where(ChangeLogRow.revision <= revision)
            .order_by(ChangeLogRow.revision.desc())
            .limit(1)
        )
        if found is not None:
            return found
        head = self.head()
        return head.compact_id if revision >= head.compact_revision else None

    def registry(self) -> RegistryRow:
        """What is recorded of the KMS."""
        row = self._session.scalars(select(RegistryInfoRow), execution_options=self._fresh).one()
        return RegistryRow(
            deployment_id=row.deployment_id,
            primary_key_version=row.primary_key_version,
            key_names_seen=tuple(row.key_names_seen),
            keyring_seq=row.keyring_seq,
            audit_seq=row.audit_seq,
            audit_head=row.audit_head,
            notice_time=row.notice_time,
        )

    def provider(self, provider_id: str) -> Provider | None:
        """One provider, or None."""
        found = self._provider_rows(_PROVIDERS.where(ProviderRow.provider_id == provider_id))
        return found[0] if found else None

    def providers(self, provider_ids: Sequence[str]) -> dict[str, Provider]:
        """Those of the providers that exist, by id."""
        found = self._provider_rows(_PROVIDERS.where(ProviderRow.provider_id.in_(provider_ids)))
        return {provider.provider_id: provider for provider in found}

    def provider_view(self, provider_id: str) -> ProviderView | None:
        """One provider with its counts, or None."""
        views = self._provider_views(_PROVIDER_VIEWS.where(ProviderRow.provider_id == provider_id))
        return views[0] if views else None

    def list_providers(
        self,
        *,
        filter: Expression | None,  # noqa: A002 - the API's word
        order_by: OrderBy,
        after: Position | None,
        limit: int,
    ) -> list[ProviderView]:
        """At most ``limit`` providers that match, after the position ``after``."""
        statement = page(_PROVIDER_VIEWS, lists.PROVIDERS, filter, order_by, after, limit)
        return self._provider_views(statement)

    def count_providers(self, *, filter: Expression | None) -> int:  # noqa: A002 - the API's word
        """How many providers match."""
        statement = (
            select(func.count())
            .select_from(ProviderRow)
            .outerjoin(CredentialRow, CredentialRow.provider_id == ProviderRow.provider_id)
        )
        return self._session.execute(filtered(statement, lists.PROVIDERS, filter)).scalar_one()

    def provider_position(self, view: ProviderView, order_by: OrderBy) -> Position:
        """Where a provider stands in this order."""
        return lists.provider_position(view, order_by)

    def provider_by_display_name_key(self, key: str) -> str | None:
        """The id of the provider whose folded display name this is."""
        return self._session.scalar(
            select(ProviderRow.provider_id).where(ProviderRow.display_name_key == key)
        )

    def provider_model(self, provider_id: str, model_id: str) -> ProviderModel | None:
        """One provider model, or None."""
        statement = select(ProviderModelRow).where(
            ProviderModelRow.provider_id == provider_id, ProviderModelRow.model_id == model_id
        )
        found = self._provider_models(statement)
        return found[0] if found else None

    def provider_models(self, targets: Collection[ProviderModelKey]) -> dict[ProviderModelKey, ProviderModel]:
        """Those of these provider models that exist, by provider id and model id."""
        if not targets:
            return {}
        found = self._provider_models(
            select(ProviderModelRow).where(
                pair_among(ProviderModelRow.provider_id, ProviderModelRow.model_id, targets)
            )
        )
        return {(model.provider_id, model.model_id): model for model in found}

    def retiring_provider_models(self, until: datetime) -> list[ProviderModelView]:
        """The provider models whose upstream retires them by then, or should have."""
        statement = _PROVIDER_MODEL_VIEWS.where(ProviderModelRow.retire_time <= until)
        rows = self._session.execute(statement, execution_options=self._fresh)
        return [ProviderModelView(provider_model_from_row(row), bool(routable)) for row, routable in rows]

    def provider_models_of(self, provider_id: str) -> list[ProviderModel]:
        """All models of a provider, by model id."""
        return self._provider_models_of([provider_id])

    def list_provider_models(
        self,
        *,
        provider_id: str | None,
        filter: Expression | None,  # noqa: A002 - the API's word
        order_by: OrderBy,
        after: Position | None,
        limit: int,
    ) -> list[ProviderModelView]:
        """At most ``limit`` provider models of one provider, or (None) of all, after ``after``."""
        statement = page(
            _of(_PROVIDER_MODEL_VIEWS, provider_id), lists.PROVIDER_MODELS, filter, order_by, after, limit
        )
        rows = self._session.execute(statement, execution_options=self._fresh)
        return [ProviderModelView(provider_model_from_row(row), bool(routable)) for row, routable in rows]

    def count_provider_models(
        self,
        *,
        provider_id: str | None,
        filter: Expression | None,  # noqa: A002 - the API's word
    ) -> int:
        """How many models match, of one provider or (None) of all."""
        statement = (
            select(func.count())
            .select_from(ProviderModelRow)
            .join(ProviderRow, ProviderRow.provider_id == ProviderModelRow.provider_id)
            .outerjoin(CredentialRow, CredentialRow.provider_id == ProviderRow.provider_id)
        )
        return self._session.execute(
            filtered(_of(statement, provider_id), lists.PROVIDER_MODELS, filter)
        ).scalar_one()

    def provider_model_position(self, view: ProviderModelView, order_by: OrderBy) -> Position:
        """Where a provider model stands in this order."""
        return lists.provider_model_position(view, order_by)

    def upstream_ids(self, provider_id: str) -> dict[str, str]:
        """The provider's model ids by their upstream ids."""
        rows = self._session.execute(
            select(ProviderModelRow.upstream_model_id, ProviderModelRow.model_id).where(
                ProviderModelRow.provider_id == provider_id
            )
        )
        return {row.upstream_model_id: row.model_id for row in rows}

    def sealed_credentials(self, provider_ids: Sequence[str]) -> dict[str, SealedCredential]:
        """The sealed credentials of these providers, by provider id; those without one are left out."""
        statement = (
            select(CredentialRow, DataKeyRow)
            .join(DataKeyRow, DataKeyRow.dek_id == CredentialRow.dek_id)
            .where(CredentialRow.provider_id.in_(provider_ids))
            .options(undefer(CredentialRow.envelope))
        )
        rows = self._session.execute(statement, execution_options=self._fresh)
        return {
            credential.provider_id: SealedCredential(
                type=credential.type,
                version=credential.version,
                dek_id=data_key.dek_id,
                envelope=credential.envelope,
                wrapped_data_key=data_key.wrapped,
                key_version=data_key.key_version,
                commitment=data_key.commitment,
                context=data_key.context,
                destinations=tuple(credential.destinations),
            )
            for credential, data_key in rows
        }

    def routing_entries(self) -> list[Entry]:
        """Everything that routers see at `head`: providers, their models, and models, each by id."""
        providers = {
            provider.provider_id: provider
            for provider in self._provider_rows(
                _PROVIDERS.where(ProviderRow.state == State.ACTIVE).order_by(ProviderRow.provider_id)
            )
        }
        models = self._provider_models(
            select(ProviderModelRow)
            .join(ProviderRow, ProviderRow.provider_id == ProviderModelRow.provider_id)
            .where(ProviderModelRow.state == State.ACTIVE, ProviderRow.state == State.ACTIVE)
            .order_by(ProviderModelRow.provider_id, ProviderModelRow.model_id)
        )
        entries: list[Entry | None] = [routing_provider(provider) for provider in providers.values()]
        entries += [active_provider_model(providers[model.provider_id], model) for model in models]
        entries += [active_model(view) for view in self._active_models()]
        return [entry for entry in entries if entry is not None]

    def changes_since(self, revision: int) -> list[ChangeSet]:
        """The change sets after ``revision``, in order. Revisions that changed nothing for routers have none.

        Complete only if ``revision`` is at least the head's ``compact_revision``.
        """
        rows = self._session.execute(
            select(
                ChangeLogRow.revision.label("revision"),
                ChangeLogRow.kind,
                ChangeLogRow.name,
                ChangeLogRow.payload,
                ChangeLogRow.commit_time,
                ChangeLogRow.commit_id,
            )
            .where(ChangeLogRow.revision > revision)
            .order_by(ChangeLogRow.revision, ChangeLogRow.ordinal)
        )
        return [
            ChangeSet(
                of,
                tuple(_change(row.kind, row.name, row.payload) for row in (first, *rest)),
                first.commit_time,
                first.commit_id,
            )
            for of, (first, *rest) in groupby(rows, key=attrgetter("revision"))
        ]

    def change_set_count(self, revision: int) -> int:
        """How many change sets ``changes_since`` would give."""
        return (
            self._session.scalar(
                select(func.count(ChangeLogRow.revision.distinct())).where(ChangeLogRow.revision > revision)
            )
            or 0
        )

    def remembered_request(self, principal: str, method: str, request_id: str) -> RememberedRequest | None:
        """What this caller used this request_id for, unless that has expired."""
        row = self._session.execute(
            select(IdempotencyRow.fingerprint, IdempotencyRow.resource).where(
                IdempotencyRow.principal == principal,
                IdempotencyRow.method == method,
                IdempotencyRow.request_id == request_id,
                IdempotencyRow.expire_time > self.now,
            )
        ).one_or_none()
        return None if row is None else RememberedRequest(*row)

    def _provider_rows(self, statement: Select[ProviderRow, CredentialRow]) -> list[Provider]:
        rows = self._session.execute(statement, execution_options=self._fresh)
        return [provider_from_rows(row, credential) for row, credential in rows]

    def _provider_views(self, statement: Select[Any]) -> list[ProviderView]:
        rows = self._session.execute(statement, execution_options=self._fresh)
        return [
            ProviderView(provider_from_rows(row, credential), count, active_count)
            for row, credential, count, active_count in rows
        ]

    def _provider_models_of(self, provider_ids: Sequence[str]) -> list[ProviderModel]:
        return self._provider_models(
            select(ProviderModelRow)
            .where(ProviderModelRow.provider_id.in_(provider_ids))
            .order_by(ProviderModelRow.provider_id, ProviderModelRow.model_id)
        )

    def _provider_models(self, statement: Select[ProviderModelRow]) -> list[ProviderModel]:
        return [
            provider_model_from_row(row)
            for row in self._session.scalars(statement, execution_options=self._fresh)
        ]


def _of(statement: S, provider_id: str | None) -> S:
    return statement if provider_id is None else statement.where(ProviderModelRow.provider_id == provider_id)


def _change(kind: str, name: str, payload: bytes | None) -> Change:
    entry_kind = EntryKind(kind)
    return Change(entry_kind, name, None if payload is None else entry_from_json(entry_kind, payload))
