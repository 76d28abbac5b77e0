"""Models with their backends: reading them, and writing them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from service.domain.backends import in_order
from service.domain.errors import MODEL_TYPE, AlreadyExists, Reason, ResourceRef
from service.domain.etags import model_etag
from service.domain.filters import Expression
from service.domain.lists import OrderBy
from service.domain.model import Model, ModelView, ProviderModelKey, State
from service.store.mapping import backend_values, model_from_rows, model_values
from service.store.rows import BackendRow, CredentialRow, ModelRow, ProviderModelRow, ProviderRow
from service.store.sql import ModelIdShaped, among, pair_among
from service.store.units import lists
from service.store.units.lists import PROVIDER_MODEL_ROUTABLE, Position, Slice
from service.store.units.writing import FRESH, Writing, table
from service.store.unsound import Unsound, corrupt_models

_MODELS = table(ModelRow)
_BACKENDS = table(BackendRow)
_BACKEND_ROWS = (
    select(BackendRow, PROVIDER_MODEL_ROUTABLE)
    .join(
        ProviderModelRow,
        (ProviderModelRow.provider_id == BackendRow.provider_id)
        & (ProviderModelRow.model_id == BackendRow.provider_model_id),
    )
    .join(ProviderRow, ProviderRow.provider_id == BackendRow.provider_id)
    .outerjoin(CredentialRow, CredentialRow.provider_id == BackendRow.provider_id)
)


class ModelReads:
    """Models with their backends. Each call takes two statements at most.

    Those that cannot be read are in the state CORRUPT, with the backends that can be.
    """

    def __init__(self, session: Session, unsound: Unsound) -> None:
        self._session = session
        self._unsound = unsound

    def get(self, model_id: str) -> Model | None:
        """Return one model, or None."""
        view = self.view(model_id)
        return None if view is None else view.model

    def view(self, model_id: str) -> ModelView | None:
        """Return one model with what routing offers of it, or None."""
        views = self._where(ModelRow.model_id == model_id)
        return views[0] if views else None

    def among(self, model_ids: Collection[str]) -> list[ModelView]:
        """Return those of these models that exist, by id."""
        return self._where(among(ModelRow.model_id, model_ids)) if model_ids else []

    def wired_to(self, targets: Collection[ProviderModelKey]) -> list[ModelView]:
        """Return the models with a backend to one of these provider models, with all their backends."""
        if not targets:
            return []
        wired = pair_among(BackendRow.provider_id, BackendRow.provider_model_id, targets)
        return self._where(ModelRow.model_id.in_(select(BackendRow.model_id).where(wired)))

    def wired_to_provider(self, provider_id: str) -> list[ModelView]:
        """Return the models with a backend to a model of this provider, with all their backends."""
        wired = select(BackendRow.model_id).where(BackendRow.provider_id == provider_id)
        return self._where(ModelRow.model_id.in_(wired))

    def wired_to_retiring(self, until: datetime) -> list[ModelView]:
        """Return the models wired to one of `ProviderModelReads.retiring`, with all their backends."""
        wired = (
            select(BackendRow.model_id)
            .join(
                ProviderModelRow,
                (ProviderModelRow.provider_id == BackendRow.provider_id)
                & (ProviderModelRow.model_id == BackendRow.provider_model_id),
            )
            .where(ProviderModelRow.retire_time <= until)
        )
        return self._where(ModelRow.model_id.in_(wired))

    def page(
        self,
        *,
        filter: Expression | None,  # noqa: A002 - the API's word
        order_by: OrderBy,
        after: Position | None,
        limit: int,
    ) -> Slice[ModelView]:
        """Return at most ``limit`` models that match, after the position ``after``."""
        if not self._unsound:
            found, position = lists.read_page(
                self._session, select(ModelRow), lists.MODELS, filter, order_by, after, limit
            )
            rows = [row[0] for row in found]
            views = self._views(rows, among(BackendRow.model_id, [row.model_id for row in rows]))
            return Slice(views, position)
        shape = lists.guarded(lists.MODELS, self._unsound)
        named = select(ModelRow.model_id).where(ModelIdShaped(ModelRow.model_id))
        found, position = lists.read_page(self._session, named, shape, filter, order_by, after, limit)
        ids = [row[0] for row in found]
        by_id = {view.model.model_id: view for view in self._where(among(ModelRow.model_id, ids))}
        return Slice([by_id[model_id] for model_id in ids], position)

    def count(self, *, filter: Expression | None) -> int:  # noqa: A002 - the API's word
        """Count the models that match."""
        statement = select(func.count()).select_from(ModelRow)
        if self._unsound:
            statement = statement.where(ModelIdShaped(ModelRow.model_id))
        shape = lists.guarded(lists.MODELS, self._unsound)
        return self._session.execute(lists.filtered(statement, shape, filter)).scalar_one()

    def active(self) -> list[ModelView]:
        """Return the models that are not disabled and can be read, by id."""
        return self._sound(ModelRow.state == State.ACTIVE)

    def _where(self, condition: ColumnElement[bool]) -> list[ModelView]:
        """Return the models of which the condition, which looks at ids alone, is true; by id."""
        found = self._sound(condition)
        if not self._unsound.models:
            return found
        among_them = among(ModelRow.model_id, self._unsound.models)
        corrupt = self._session.scalars(select(ModelRow.model_id).where(condition, among_them))
        found += [ModelView(model, frozenset()) for model in corrupt_models(self._session, list(corrupt))]
        return sorted(found, key=lambda view: view.model.model_id)

    def _sound(self, condition: ColumnElement[bool]) -> list[ModelView]:
        condition = and_(condition, self._unsound.sound_model())
        statement: Select[ModelRow] = select(ModelRow).where(condition).order_by(ModelRow.model_id)
        rows = list(self._session.scalars(statement, execution_options=FRESH))
        return self._views(rows, BackendRow.model_id.in_(select(ModelRow.model_id).where(condition)))

    def _views(self, rows: Iterable[ModelRow], theirs: ColumnElement[bool]) -> list[ModelView]:
        """Return the models of these rows; ``theirs`` is true of their backends."""
        rows = list(rows)
        if not rows:
            return []
        backends: defaultdict[str, list[BackendRow]] = defaultdict(list)
        routable: set[ProviderModelKey] = set()
        for backend, offered in self._session.execute(_BACKEND_ROWS.where(theirs), execution_options=FRESH):
            backends[backend.model_id].append(backend)
            target = (backend.provider_id, backend.provider_model_id)
            if offered and self._unsound.offers(target):
                routable.add(target)
        views = []
        for row in rows:
            model = model_from_rows(row, backends[row.model_id])
            targets = frozenset(each.target for each in model.backends)
            views.append(ModelView(model, targets & routable))
        return views


class ModelWrites(ModelReads):
    """Models with their backends, and changing them."""

    def __init__(self, session: Session, unsound: Unsound, writing: Writing) -> None:
        super().__init__(session, unsound)
        self._writing = writing

    def insert(self, model: Model) -> Model:
        """Add a model with its backends, each of which leads to a stored provider model.

        Raises:
            AlreadyExists: its id is taken.
        """
        stored = self._stamped(replace(model, create_time=self._writing.now))
        with self._writing.unique(lambda: self._clash(stored)):
            self._writing.execute(insert(_MODELS), model_values(stored))
        self._insert_backends(stored)
        self._writing.touched.model(None, stored)
        return stored

    def update(self, before: Model, after: Model) -> Model:
        """Change a model, and its backends where they differ; each leads to a stored provider model.

        Nothing happens, and ``before`` is returned, when the two are equal but for their stamps.
        """
        stored = replace(
            after,
            backends=in_order(after.backends),
            create_time=before.create_time,
            update_time=before.update_time,
            revision=before.revision,
            etag=before.etag,
        )
        if stored == before:
            return before
        stored = self._stamped(stored)
        self._writing.execute(
            update(_MODELS).where(_MODELS.c.model_id == before.model_id), model_values(stored)
        )
        if stored.backends != before.backends:
            self._writing.execute(delete(_BACKENDS).where(_BACKENDS.c.model_id == before.model_id))
            self._insert_backends(stored)
        self._writing.touched.model(before, stored)
        return stored

    def delete(self, model: Model) -> None:
        """Delete a model and its backends."""
        self._writing.execute(delete(_BACKENDS).where(_BACKENDS.c.model_id == model.model_id))
        self._writing.execute(delete(_MODELS).where(_MODELS.c.model_id == model.model_id))
        self._writing.touched.model(model, None)

    def unwire(
        self, wired: Sequence[ModelView], wires: ColumnElement[bool], gone: Collection[ProviderModelKey]
    ) -> None:
        """Remove the backends to provider models that are about to be deleted, as a change of their models.

        ``wired`` are those models, ``wires`` is true of the backends, ``gone`` are what they lead to.
        """
        if not wired:
            return
        self._writing.execute(delete(_BACKENDS).where(wires))
        stamps = []
        for view in wired:
            if view.model.state is State.CORRUPT:  # its stamps may be what cannot be read
                self._writing.touched.model(view.model, view.model)
                continue
            kept = tuple(backend for backend in view.model.backends if backend.target not in gone)
            stored = self._stamped(replace(view.model, backends=kept))
            self._writing.touched.model(view.model, stored)
            stamps.append(
                {
                    "of": stored.model_id,
                    "update_time": stored.update_time,
                    "revision": stored.revision,
                    "etag": stored.etag,
                }
            )
        if stamps:
            self._writing.execute(update(_MODELS).where(_MODELS.c.model_id == bindparam("of")), stamps)

    def _insert_backends(self, model: Model) -> None:
        if model.backends:
            self._writing.execute(insert(_BACKENDS), backend_values(model))

    def _stamped(self, model: Model) -> Model:
        stamped = replace(
            model,
            backends=in_order(model.backends),
            revision=self._writing.revision,
            update_time=self._writing.now,
        )
        return replace(stamped, etag=model_etag(stamped))

    def _clash(self, model: Model) -> AlreadyExists | None:
        """Return the error that names the holder of this new model's id, or None if it is free."""
        if self.get(model.model_id) is None:
            return None
        return AlreadyExists(
            f"{model.name} already exists",
            reason=Reason.NAME_TAKEN,
            metadata={"name": model.name},
            resource=ResourceRef(MODEL_TYPE, model.name),
        )
