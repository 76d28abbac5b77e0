"""Provider models: reading them, and writing them, however many in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from service.domain.errors import PROVIDER_MODEL_TYPE, AlreadyExists, Reason, ResourceRef
from service.domain.etags import provider_model_etag
from service.domain.filters import Expression
from service.domain.ids import provider_model_name
from service.domain.lists import OrderBy
from service.domain.model import (
    ModelKind,
    ModelView,
    Provider,
    ProviderModel,
    ProviderModelKey,
    ProviderModelView,
)
from service.domain.routing import ActiveProviderModel
from service.store.mapping import Values, provider_model_from_row, provider_model_values
from service.store.rows import BackendRow, CredentialRow, ProviderModelRow, ProviderRow
from service.store.sql import ModelIdShaped, ProviderIdShaped, pair_among
from service.store.units import lists
from service.store.units.lists import PROVIDER_MODEL_ROUTABLE, Position, S, Slice, filtered
from service.store.units.loading import active_provider_models
from service.store.units.models import ModelWrites
from service.store.units.writing import FRESH, Writing, table
from service.store.unsound import Unsound, corrupt_provider_models

_PROVIDER_MODELS = table(ProviderModelRow)
_BACKENDS = table(BackendRow)

_NEVER_CHANGE = frozenset({"uid", "upstream_model_id", "kind", "create_time"})

_VIEWS = (
    select(ProviderModelRow, PROVIDER_MODEL_ROUTABLE)
    .join(ProviderRow, ProviderRow.provider_id == ProviderModelRow.provider_id)
    .outerjoin(CredentialRow, CredentialRow.provider_id == ProviderRow.provider_id)
)
_IDS = (
    select(ProviderModelRow.provider_id, ProviderModelRow.model_id)
    .join(ProviderRow, ProviderRow.provider_id == ProviderModelRow.provider_id)
    .outerjoin(CredentialRow, CredentialRow.provider_id == ProviderRow.provider_id)
)
_NAMED = and_(ProviderIdShaped(ProviderModelRow.provider_id), ModelIdShaped(ProviderModelRow.model_id))
_ROUTABLE = (
    select(ProviderModelRow.provider_id, ProviderModelRow.model_id)
    .join(ProviderRow, ProviderRow.provider_id == ProviderModelRow.provider_id)
    .outerjoin(CredentialRow, CredentialRow.provider_id == ProviderModelRow.provider_id)
    .where(PROVIDER_MODEL_ROUTABLE)
)


class ProviderModelReads:
    """Provider models, by provider id and model id. Those that cannot be read are in the state CORRUPT."""

    def __init__(self, session: Session, unsound: Unsound) -> None:
        self._session = session
        self._unsound = unsound

    def get(self, provider_id: str, model_id: str) -> ProviderModel | None:
        """Return one provider model, or None."""
        statement = select(ProviderModelRow).where(
            ProviderModelRow.provider_id == provider_id, ProviderModelRow.model_id == model_id
        )
        found = self._read(statement) or self._corrupt([(provider_id, model_id)])
        return found[0] if found else None

    def among(self, targets: Collection[ProviderModelKey]) -> dict[ProviderModelKey, ProviderModel]:
        """Return those of these provider models that exist."""
        if not targets:
            return {}
        found = self._read(select(ProviderModelRow).where(_is_among(targets))) + self._corrupt(targets)
        return {(model.provider_id, model.model_id): model for model in found}

    def of(self, provider_id: str) -> list[ProviderModel]:
        """Return all models of a provider, by model id."""
        return self.of_all([provider_id])

    def of_all(self, provider_ids: Collection[str]) -> list[ProviderModel]:
        """Return all models of these providers, by id."""
        if not provider_ids:
            return []
        found = self._read(
            select(ProviderModelRow)
            .where(ProviderModelRow.provider_id.in_(provider_ids))
            .order_by(ProviderModelRow.provider_id, ProviderModelRow.model_id)
        )
        corrupt = self._corrupt([key for key in self._unsound.provider_models if key[0] in provider_ids])
        return sorted(found + corrupt, key=lambda one: (one.provider_id, one.model_id)) if corrupt else found

    def active_entries(self, providers: Mapping[str, Provider]) -> Iterator[ActiveProviderModel]:
        """Yield what routers get of these providers' models, as `active_provider_models` does."""
        return active_provider_models(self._session, self._unsound, providers)

    def retiring(self, until: datetime) -> list[ProviderModelView]:
        """Return the provider models whose upstream retires them by then, or should have."""
        retiring = _VIEWS.where(ProviderModelRow.retire_time <= until, self._unsound.sound_provider_model())
        return [self._view(*row) for row in self._session.execute(retiring, execution_options=FRESH)]

    def page(
        self,
        *,
        provider_id: str | None,
        filter: Expression | None,  # noqa: A002 - the API's word
        order_by: OrderBy,
        after: Position | None,
        limit: int,
    ) -> Slice[ProviderModelView]:
        """Return at most ``limit`` models that match, of one provider or (None) of all, after ``after``."""
        if not self._unsound:
            rows, position = lists.read_page(
                self._session, _of(_VIEWS, provider_id), lists.PROVIDER_MODELS, filter, order_by, after, limit
            )
            return Slice([self._view(*row[:2]) for row in rows], position)
        shape = lists.guarded(lists.PROVIDER_MODELS, self._unsound)
        named = _of(_IDS, provider_id).where(_NAMED)
        rows, position = lists.read_page(self._session, named, shape, filter, order_by, after, limit)
        keys = [(row[0], row[1]) for row in rows]
        sound = _VIEWS.where(_is_among(keys), self._unsound.sound_provider_model())
        views = [self._view(*row) for row in self._session.execute(sound, execution_options=FRESH)]
        views += [ProviderModelView(model, False) for model in self._corrupt(keys)]
        by_key = {(view.model.provider_id, view.model.model_id): view for view in views}
        return Slice([by_key[key] for key in keys], position)

    def count(
        self,
        *,
        provider_id: str | None,
        filter: Expression | None,  # noqa: A002 - the API's word
    ) -> int:
        """Count the models that match, of one provider or (None) of all."""
        statement = select(func.count()).select_from(ProviderModelRow)
        if filter is not None:  # it may look at the provider
            statement = statement.join(
                ProviderRow, ProviderRow.provider_id == ProviderModelRow.provider_id
            ).outerjoin(CredentialRow, CredentialRow.provider_id == ProviderRow.provider_id)
        if self._unsound:
            statement = statement.where(_NAMED)
        shape = lists.guarded(lists.PROVIDER_MODELS, self._unsound)
        return self._session.execute(filtered(_of(statement, provider_id), shape, filter)).scalar_one()

    def upstream_ids(self, provider_id: str) -> dict[str, str]:
        """Return the provider's model ids by their upstream ids."""
        rows = self._session.execute(
            select(ProviderModelRow.upstream_model_id, ProviderModelRow.model_id).where(
                ProviderModelRow.provider_id == provider_id, self._unsound.sound_provider_model()
            )
        )
        return {row.upstream_model_id: row.model_id for row in rows} | {
            model.facts.upstream_model_id: model.model_id
            for model in self._corrupt(
                [key for key in self._unsound.provider_models if key[0] == provider_id]
            )
            if model.facts.upstream_model_id
        }

    def kinds(self, targets: Collection[ProviderModelKey]) -> dict[ProviderModelKey, ModelKind]:
        """Return the kinds of those of these provider models that exist and can be read."""
        if not targets:
            return {}
        rows = self._session.execute(
            select(ProviderModelRow.provider_id, ProviderModelRow.model_id, ProviderModelRow.kind).where(
                _is_among(targets), self._unsound.sound_provider_model()
            )
        )
        return {(row.provider_id, row.model_id): row.kind for row in rows}

    def routable(self, targets: Collection[ProviderModelKey]) -> frozenset[ProviderModelKey]:
        """Return those of these provider models that routing offers."""
        if not targets:
            return frozenset()
        rows = self._session.execute(_ROUTABLE.where(_is_among(targets)))
        return frozenset((row[0], row[1]) for row in rows if self._unsound.offers((row[0], row[1])))

    def _read(self, statement: Select[ProviderModelRow]) -> list[ProviderModel]:
        sound = statement.where(self._unsound.sound_provider_model())
        rows = self._session.scalars(sound, execution_options=FRESH)
        return [provider_model_from_row(row) for row in rows]

    def _corrupt(self, keys: Collection[ProviderModelKey]) -> list[ProviderModel]:
        return corrupt_provider_models(self._session, self._unsound.provider_models.keys() & keys)

    def _view(self, row: ProviderModelRow, routable: bool) -> ProviderModelView:
        model = provider_model_from_row(row)
        return ProviderModelView(
            model, bool(routable) and self._unsound.offers((model.provider_id, model.model_id))
        )


class ProviderModelWrites(ProviderModelReads):
    """Provider models, and changing them."""

    def __init__(self, session: Session, unsound: Unsound, writing: Writing, models: ModelWrites) -> None:
        super().__init__(session, unsound)
        self._writing = writing
        self._models = models

    def insert(self, models: Sequence[ProviderModel]) -> list[ProviderModel]:
        """Add provider models, however many, in one statement.

        Raises:
            AlreadyExists: an id or an upstream id is taken at its provider, by a stored model or an earlier
                one of these.
        """
        stored = [self._stamped(replace(model, create_time=self._writing.now)) for model in models]
        if not stored:
            return []
        with self._writing.unique(lambda: self._clash(stored)):
            self._writing.execute(
                insert(_PROVIDER_MODELS), [provider_model_values(model) for model in stored]
            )
        for model in stored:
            self._writing.touched.provider_model(None, model)
        return stored

    def update(self, before: ProviderModel, after: ProviderModel) -> ProviderModel:
        """Change a provider model, but neither its ids nor its kind.

        Nothing happens, and ``before`` is returned, when the two are equal but for their stamps.
        """
        [stored] = self.update_all([(before, after)])
        return stored

    def update_all(self, changes: Sequence[tuple[ProviderModel, ProviderModel]]) -> list[ProviderModel]:
        """Change provider models, however many, in one statement; each as `update` does."""
        stored = [self._changed(before, after) for before, after in changes]
        written = [
            (before, now) for (before, _), now in zip(changes, stored, strict=True) if now is not before
        ]
        if written:
            self._writing.execute(
                update(_PROVIDER_MODELS).where(
                    _PROVIDER_MODELS.c.provider_id == bindparam("of_provider"),
                    _PROVIDER_MODELS.c.model_id == bindparam("of_model"),
                ),
                [_changeable(provider_model_values(now)) for _, now in written],
            )
        for before, now in written:
            self._writing.touched.provider_model(before, now)
        return stored

    def delete(self, models: Sequence[ProviderModel], *, wired: Sequence[ModelView] | None = None) -> None:
        """Delete provider models and the backends to them, however many, in a fixed number of statements.

        ``wired`` is what `ModelReads.wired_to` returned of them in this unit; it is read here if left out.
        """
        if not models:
            return
        gone = {(model.provider_id, model.model_id) for model in models}
        wires = pair_among(_BACKENDS.c.provider_id, _BACKENDS.c.provider_model_id, gone)
        self._models.unwire(self._models.wired_to(gone) if wired is None else wired, wires, gone)
        self._writing.execute(
            delete(_PROVIDER_MODELS).where(
                pair_among(_PROVIDER_MODELS.c.provider_id, _PROVIDER_MODELS.c.model_id, gone)
            )
        )
        for model in models:
            self._writing.touched.provider_model(model, None)

    def _changed(self, before: ProviderModel, after: ProviderModel) -> ProviderModel:
        """Return ``after`` with new stamps, or ``before`` where the two differ in nothing else."""
        unstamped = replace(
            after,
            create_time=before.create_time,
            update_time=before.update_time,
            revision=before.revision,
            etag=before.etag,
        )
        return before if unstamped == before else self._stamped(unstamped)

    def _stamped(self, model: ProviderModel) -> ProviderModel:
        stamped = replace(model, revision=self._writing.revision, update_time=self._writing.now)
        return replace(stamped, etag=provider_model_etag(stamped))

    def _clash(self, models: Sequence[ProviderModel]) -> AlreadyExists | None:
        """Return the error for the first of these new models whose id or upstream id is taken, or None.

        An earlier one of them counts as a holder too.
        """
        by_upstream = {provider: self.upstream_ids(provider) for provider in {m.provider_id for m in models}}
        taken = {provider: set(upstream_ids.values()) for provider, upstream_ids in by_upstream.items()}
        for provider_id, model_id in self._unsound.provider_models:
            taken.setdefault(provider_id, set()).add(model_id)
        for model in models:
            if model.model_id in taken[model.provider_id]:
                return _taken(model.name, f"{model.name} already exists", reason=Reason.NAME_TAKEN)
            holder = by_upstream[model.provider_id].get(model.facts.upstream_model_id)
            if holder is not None:
                name = provider_model_name(model.provider_id, holder)
                text = f"{name} already has this upstream model id"
                return _taken(name, text, reason=Reason.UPSTREAM_MODEL_EXISTS)
            taken[model.provider_id].add(model.model_id)
            by_upstream[model.provider_id][model.facts.upstream_model_id] = model.model_id
        return None


def _of(statement: S, provider_id: str | None) -> S:
    return statement if provider_id is None else statement.where(ProviderModelRow.provider_id == provider_id)


def _is_among(targets: Collection[ProviderModelKey]) -> ColumnElement[bool]:
    return pair_among(ProviderModelRow.provider_id, ProviderModelRow.model_id, targets)


def _changeable(values: Values) -> Values:
    """Return a provider model's columns for an UPDATE; setting its ids would have backends looked for."""
    bound = {"of_provider": values.pop("provider_id"), "of_model": values.pop("model_id")}
    return bound | {name: value for name, value in values.items() if name not in _NEVER_CHANGE}


def _taken(name: str, message: str, *, reason: Reason) -> AlreadyExists:
    resource = ResourceRef(PROVIDER_MODEL_TYPE, name)
    return AlreadyExists(message, reason=reason, metadata={"name": name}, resource=resource)
