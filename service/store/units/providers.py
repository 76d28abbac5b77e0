"""Providers with their credentials: reading them, and writing them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.orm import Session, undefer

from service.domain.errors import PROVIDER_TYPE, AlreadyExists, Reason, ResourceRef
from service.domain.etags import provider_etag
from service.domain.filters import Expression
from service.domain.ids import display_name_key, provider_name
from service.domain.lists import OrderBy
from service.domain.model import ModelView, Provider, ProviderModel, ProviderView, SealedCredential, State
from service.store.mapping import credential_values, data_key_values, provider_from_rows, provider_values
from service.store.rows import BackendRow, CredentialRow, DataKeyRow, ProviderModelRow, ProviderRow
from service.store.sql import ProviderIdShaped
from service.store.units import lists
from service.store.units.lists import Position, Slice, filtered
from service.store.units.models import ModelWrites
from service.store.units.provider_models import ProviderModelWrites
from service.store.units.writing import FRESH, Writing, table
from service.store.unsound import Unsound, corrupt_providers

_PROVIDERS = table(ProviderRow)
_CREDENTIALS = table(CredentialRow)
_DATA_KEYS = table(DataKeyRow)
_PROVIDER_MODELS = table(ProviderModelRow)
_BACKENDS = table(BackendRow)

_ROWS = select(ProviderRow, CredentialRow).outerjoin(
    CredentialRow, CredentialRow.provider_id == ProviderRow.provider_id
)
_MODEL_COUNT = (
    select(func.count())
    .where(ProviderModelRow.provider_id == ProviderRow.provider_id)
    .correlate(ProviderRow)
    .scalar_subquery()
)
_ACTIVE_MODEL_COUNT = (
    select(func.count())
    .where(ProviderModelRow.provider_id == ProviderRow.provider_id, ProviderModelRow.state == State.ACTIVE)
    .correlate(ProviderRow)
)
_VIEWS = _ROWS.add_columns(_MODEL_COUNT, _ACTIVE_MODEL_COUNT.scalar_subquery())
_IDS = select(ProviderRow.provider_id).outerjoin(
    CredentialRow, CredentialRow.provider_id == ProviderRow.provider_id
)


class ProviderReads:
    """Providers, and their sealed credentials. Those that cannot be read are in the state CORRUPT."""

    def __init__(self, session: Session, unsound: Unsound) -> None:
        self._session = session
        self._unsound = unsound

    def get(self, provider_id: str) -> Provider | None:
        """Return one provider, or None."""
        return self.among([provider_id]).get(provider_id)

    def among(self, provider_ids: Collection[str]) -> dict[str, Provider]:
        """Return those of these providers that exist, by id."""
        if not provider_ids:
            return {}
        found = self._read(_ROWS.where(ProviderRow.provider_id.in_(provider_ids)))
        found += self._corrupt(provider_ids)
        return {provider.provider_id: provider for provider in found}

    def without_credential(self, provider: Provider) -> Provider:
        """Return a provider whose credential alone cannot be read as it is without one."""
        row = self._session.scalars(
            select(ProviderRow).where(ProviderRow.provider_id == provider.provider_id),
            execution_options=FRESH,
        ).one()
        return provider_from_rows(row, None)

    def active(self) -> list[Provider]:
        """Return the providers that are not disabled and can be read, by id."""
        return self._read(_ROWS.where(ProviderRow.state == State.ACTIVE).order_by(ProviderRow.provider_id))

    def view(self, provider_id: str) -> ProviderView | None:
        """Return one provider with its counts, or None."""
        return self._views([provider_id]).get(provider_id)

    def page(
        self,
        *,
        filter: Expression | None,  # noqa: A002 - the API's word
        order_by: OrderBy,
        after: Position | None,
        limit: int,
    ) -> Slice[ProviderView]:
        """Return at most ``limit`` providers that match, after the position ``after``."""
        if not self._unsound:
            rows, position = lists.read_page(
                self._session, _VIEWS, lists.PROVIDERS, filter, order_by, after, limit
            )
            return Slice([_view(*row[:4]) for row in rows], position)
        shape = lists.guarded(lists.PROVIDERS, self._unsound)
        named = _IDS.where(ProviderIdShaped(ProviderRow.provider_id))
        rows, position = lists.read_page(self._session, named, shape, filter, order_by, after, limit)
        views = self._views([row[0] for row in rows])
        return Slice([views[row[0]] for row in rows], position)

    def count(self, *, filter: Expression | None) -> int:  # noqa: A002 - the API's word
        """Count the providers that match."""
        statement = (
            select(func.count())
            .select_from(ProviderRow)
            .outerjoin(CredentialRow, CredentialRow.provider_id == ProviderRow.provider_id)
        )
        if self._unsound:
            statement = statement.where(ProviderIdShaped(ProviderRow.provider_id))
        shape = lists.guarded(lists.PROVIDERS, self._unsound)
        return self._session.execute(filtered(statement, shape, filter)).scalar_one()

    def by_display_name_key(self, key: str) -> str | None:
        """Return the id of the provider whose folded display name this is, or None."""
        return self._session.scalar(
            select(ProviderRow.provider_id).where(ProviderRow.display_name_key == key)
        )

    def sealed_credentials(self, provider_ids: Sequence[str]) -> dict[str, SealedCredential]:
        """Return the sealed credentials of these providers, by provider id.

        Without those that have none, and those that cannot be read.
        """
        statement = (
            select(CredentialRow, DataKeyRow)
            .join(DataKeyRow, DataKeyRow.dek_id == CredentialRow.dek_id)
            .where(
                CredentialRow.provider_id.in_(provider_ids),
                self._unsound.sound_provider(CredentialRow.provider_id),
            )
            .options(undefer(CredentialRow.envelope))
        )
        rows = self._session.execute(statement, execution_options=FRESH)
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

    def _read(self, statement: Select[ProviderRow, CredentialRow]) -> list[Provider]:
        sound = statement.where(self._unsound.sound_provider())
        rows = self._session.execute(sound, execution_options=FRESH)
        return [provider_from_rows(row, credential) for row, credential in rows]

    def _corrupt(self, provider_ids: Collection[str]) -> list[Provider]:
        return corrupt_providers(self._session, self._unsound.providers.keys() & provider_ids)

    def _views(self, provider_ids: Sequence[str]) -> dict[str, ProviderView]:
        statement = _VIEWS
        if self._unsound:
            active = _ACTIVE_MODEL_COUNT.where(self._unsound.sound_provider_model())
            statement = _ROWS.add_columns(_MODEL_COUNT, active.scalar_subquery())
        found = ProviderRow.provider_id.in_(provider_ids)
        sound = statement.where(found, self._unsound.sound_provider())
        rows = self._session.execute(sound, execution_options=FRESH)
        views = {row[0].provider_id: _view(*row) for row in rows}
        corrupt = self._corrupt(provider_ids)
        if corrupt:
            counts = self._session.execute(
                select(ProviderRow.provider_id, *statement.selected_columns[-2:]).where(found)
            )
            count_of = {row[0]: (row[1], row[2]) for row in counts}
            views |= {one.provider_id: ProviderView(one, *count_of[one.provider_id]) for one in corrupt}
        return views


class ProviderWrites(ProviderReads):
    """Providers, and changing them with their credentials."""

    def __init__(
        self,
        session: Session,
        unsound: Unsound,
        writing: Writing,
        provider_models: ProviderModelWrites,
        models: ModelWrites,
    ) -> None:
        super().__init__(session, unsound)
        self._writing = writing
        self._provider_models = provider_models
        self._models = models

    def insert(self, provider: Provider, sealed: SealedCredential | None) -> Provider:
        """Add a provider, with the credential that ``provider.credential`` shows.

        Raises:
            AlreadyExists: its id or its folded display name is taken.
        """
        stored = self._stamped(replace(provider, create_time=self._writing.now))
        with self._writing.unique(lambda: self._clash(stored, is_new=True)):
            self._writing.execute(insert(_PROVIDERS), provider_values(stored))
        if stored.credential is not None or sealed is not None:
            self._insert_credential(stored, sealed)
        self._writing.touched.provider(None, stored)
        return stored

    def update(self, before: Provider, after: Provider, sealed: SealedCredential | None = None) -> Provider:
        """Change a provider; ``sealed`` replaces its credential and shreds the data key of the old one.

        Nothing happens, and ``before`` is returned, when the two are equal but for their stamps.

        Raises:
            AlreadyExists: the new folded display name is taken.
        """
        stored = replace(
            after,
            create_time=before.create_time,
            update_time=before.update_time,
            revision=before.revision,
            etag=before.etag,
        )
        if sealed is None and stored == before:
            return before
        if sealed is None and after.credential != before.credential:
            raise ValueError("a credential changes only together with its sealed form")
        stored = self._stamped(stored)
        with self._writing.unique(lambda: self._clash(stored, is_new=False)):
            self._writing.execute(
                update(_PROVIDERS).where(_PROVIDERS.c.provider_id == before.provider_id),
                provider_values(stored),
            )
        if sealed is not None:
            self._delete_credential(before)
            self._insert_credential(stored, sealed)
            self._unsound.mend(before.provider_id)
        self._writing.touched.provider(before, stored)
        return stored

    def delete(
        self,
        provider: Provider,
        *,
        models: Sequence[ProviderModel] | None = None,
        wired: Sequence[ModelView] | None = None,
    ) -> int:
        """Delete a provider with its models, the backends to them, its credential and its data key.

        Returns how many models it had. ``models`` and ``wired`` are what `ProviderModelReads.of` and
        `ModelReads.wired_to_provider` returned in this unit; they are read here if left out.
        """
        models = self._provider_models.of(provider.provider_id) if models is None else models
        self._models.unwire(
            self._models.wired_to_provider(provider.provider_id) if wired is None else wired,
            _BACKENDS.c.provider_id == provider.provider_id,
            {(model.provider_id, model.model_id) for model in models},
        )
        for model in models:
            self._writing.touched.provider_model(model, None)
        self._writing.execute(
            delete(_PROVIDER_MODELS).where(_PROVIDER_MODELS.c.provider_id == provider.provider_id)
        )
        self._delete_credential(provider)
        self._writing.execute(delete(_PROVIDERS).where(_PROVIDERS.c.provider_id == provider.provider_id))
        self._writing.touched.provider(provider, None)
        return len(models)

    def _insert_credential(self, provider: Provider, sealed: SealedCredential | None) -> None:
        view = provider.credential
        if view is None or sealed is None or (view.type, view.version) != (sealed.type, sealed.version):
            raise ValueError("what is shown of a credential is not what was sealed")
        self._writing.execute(insert(_DATA_KEYS), data_key_values(sealed))
        self._writing.execute(insert(_CREDENTIALS), credential_values(provider.provider_id, view, sealed))

    def _delete_credential(self, provider: Provider) -> None:
        if provider.credential is None:
            return
        held = _CREDENTIALS.c.provider_id == provider.provider_id
        if "credentials.dek_id" in provider.unreadable:  # it leads to no data key
            self._writing.execute(delete(_CREDENTIALS).where(held))
        else:
            dek_id = self._writing.connection.scalar(select(_CREDENTIALS.c.dek_id).where(held))
            self._writing.execute(delete(_CREDENTIALS).where(held))
            self._writing.execute(delete(_DATA_KEYS).where(_DATA_KEYS.c.dek_id == dek_id))
        self._writing.shredded = True

    def _stamped(self, provider: Provider) -> Provider:
        stamped = replace(provider, revision=self._writing.revision, update_time=self._writing.now)
        return replace(stamped, etag=provider_etag(stamped))

    def _clash(self, provider: Provider, *, is_new: bool) -> AlreadyExists | None:
        """Return the error that names the holder of this provider's id or display name, or None if free."""
        if is_new and self.get(provider.provider_id) is not None:
            return _taken(provider.name, f"{provider.name} already exists", Reason.NAME_TAKEN)
        holder = self.by_display_name_key(display_name_key(provider.display_name))
        if holder is None or (holder == provider.provider_id and not is_new):
            return None
        name = provider_name(holder)
        return _taken(
            name,
            f"{name} already has this display name (letter case and the like do not count)",
            Reason.DISPLAY_NAME_TAKEN,
        )


def _view(row: ProviderRow, credential: CredentialRow | None, models: int, active: int) -> ProviderView:
    return ProviderView(provider_from_rows(row, credential), models, active)


def _taken(name: str, message: str, reason: Reason) -> AlreadyExists:
    resource = ResourceRef(PROVIDER_TYPE, name)
    return AlreadyExists(message, reason=reason, metadata={"name": name}, resource=resource)
