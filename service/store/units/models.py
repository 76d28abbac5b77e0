"""Reading models with their backends, and which of those routing offers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from service.domain.filters import Expression
from service.domain.lists import OrderBy
from service.domain.model import Model, ModelKind, ModelView, ProviderModelKey, State
from service.store.mapping import model_from_rows
from service.store.rows import BackendRow, CredentialRow, ModelRow, ProviderModelRow, ProviderRow
from service.store.sql import among, pair_among
from service.store.units import lists
from service.store.units.lists import PROVIDER_MODEL_ROUTABLE, Position

_BACKENDS = (
    select(BackendRow, PROVIDER_MODEL_ROUTABLE)
    .join(
        ProviderModelRow,
        (ProviderModelRow.provider_id == BackendRow.provider_id)
        & (ProviderModelRow.model_id == BackendRow.provider_model_id),
    )
    .join(ProviderRow, ProviderRow.provider_id == BackendRow.provider_id)
    .outerjoin(CredentialRow, CredentialRow.provider_id == BackendRow.provider_id)
)
_ROUTABLE_TARGETS = (
    select(ProviderModelRow.provider_id, ProviderModelRow.model_id)
    .join(ProviderRow, ProviderRow.provider_id == ProviderModelRow.provider_id)
    .outerjoin(CredentialRow, CredentialRow.provider_id == ProviderModelRow.provider_id)
    .where(PROVIDER_MODEL_ROUTABLE)
)


class ModelReads:
    """The part of a read unit that knows models. Each call takes two statements at most."""

    _session: Session
    _fresh: Mapping[str, Any]

    def model(self, model_id: str) -> Model | None:
        """One model, or None."""
        view = self.model_view(model_id)
        return None if view is None else view.model

    def model_view(self, model_id: str) -> ModelView | None:
        """One model with what routing offers of it, or None."""
        views = self._models(ModelRow.model_id == model_id)
        return views[0] if views else None

    def models_wired_to(self, targets: Collection[ProviderModelKey]) -> list[ModelView]:
        """The models with a backend that leads to one of these provider models, with all their backends."""
        if not targets:
            return []
        wired = pair_among(BackendRow.provider_id, BackendRow.provider_model_id, targets)
        return self._models(ModelRow.model_id.in_(select(BackendRow.model_id).where(wired)))

    def models_wired_to_provider(self, provider_id: str) -> list[ModelView]:
        """The models with a backend that leads to a model of this provider, with all their backends."""
        wired = select(BackendRow.model_id).where(BackendRow.provider_id == provider_id)
        return self._models(ModelRow.model_id.in_(wired))

    def models_wired_to_retiring(self, until: datetime) -> list[ModelView]:
        """The models wired to one of `ReadUnit.retiring_provider_models`, with all their backends."""
        wired = (
            select(BackendRow.model_id)
            .join(
                ProviderModelRow,
                (ProviderModelRow.provider_id == BackendRow.provider_id)
                & (ProviderModelRow.model_id == BackendRow.provider_model_id),
            )
            .where(ProviderModelRow.retire_time <= until)
        )
        return self._models(ModelRow.model_id.in_(wired))

    def routable_targets(self, targets: Collection[ProviderModelKey]) -> frozenset[ProviderModelKey]:
        """Those of these provider models that routing offers."""
        if not targets:
            return frozenset()
        found = pair_among(ProviderModelRow.provider_id, ProviderModelRow.model_id, targets)
        return frozenset((row[0], row[1]) for row in self._session.execute(_ROUTABLE_TARGETS.where(found)))

    def provider_model_kinds(
        self, targets: Collection[ProviderModelKey]
    ) -> dict[ProviderModelKey, ModelKind]:
        """The kinds of those of these provider models that exist."""
        if not targets:
            return {}
        rows = self._session.execute(
            select(ProviderModelRow.provider_id, ProviderModelRow.model_id, ProviderModelRow.kind).where(
                pair_among(ProviderModelRow.provider_id, ProviderModelRow.model_id, targets)
            )
        )
        return {(row.provider_id, row.model_id): row.kind for row in rows}

    def list_models(
        self,
        *,
        filter: Expression | None,  # noqa: A002 - the API's word
        order_by: OrderBy,
        after: Position | None,
        limit: int,
    ) -> list[ModelView]:
        """At most ``limit`` models that match, after the position ``after``."""
        statement = lists.page(select(ModelRow), lists.MODELS, filter, order_by, after, limit)
        rows = list(self._session.scalars(statement, execution_options=self._fresh))
        return self._views(rows, among(BackendRow.model_id, [row.model_id for row in rows]))

    def count_models(self, *, filter: Expression | None) -> int:  # noqa: A002 - the API's word
        """How many models match."""
        statement = select(func.count()).select_from(ModelRow)
        return self._session.execute(lists.filtered(statement, lists.MODELS, filter)).scalar_one()

    def model_position(self, view: ModelView, order_by: OrderBy) -> Position:
        """Where a model stands in this order."""
        return lists.model_position(view, order_by)

    def _active_models(self) -> list[ModelView]:
        """The models that are not disabled, by id."""
        return self._models(ModelRow.state == State.ACTIVE)

    def _models(self, condition: ColumnElement[bool]) -> list[ModelView]:
        statement: Select[ModelRow] = select(ModelRow).where(condition).order_by(ModelRow.model_id)
        rows = list(self._session.scalars(statement, execution_options=self._fresh))
        return self._views(rows, BackendRow.model_id.in_(select(ModelRow.model_id).where(condition)))

    def _views(self, rows: Iterable[ModelRow], theirs: ColumnElement[bool]) -> list[ModelView]:
        """The models of these rows; ``theirs`` is true of their backends."""
        rows = list(rows)
        if not rows:
            return []
        backends: defaultdict[str, list[BackendRow]] = defaultdict(list)
        routable: set[ProviderModelKey] = set()
        for backend, offered in self._session.execute(_BACKENDS.where(theirs), execution_options=self._fresh):
            backends[backend.model_id].append(backend)
            if offered:
                routable.add((backend.provider_id, backend.provider_model_id))
        views = []
        for row in rows:
            model = model_from_rows(row, backends[row.model_id])
            targets = frozenset(each.target for each in model.backends)
            views.append(ModelView(model, targets & routable))
        return views
