"""What can be done to the store inside one transaction, and the change set that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.domain.backends import in_order
from service.domain.calls import Call
from service.domain.errors import AlreadyExists
from service.domain.etags import model_etag, provider_etag, provider_model_etag
from service.domain.model import Model, ModelView, Provider, ProviderModel, ProviderModelKey, SealedCredential
from service.domain.routing import Change, ChangeSet, entry_to_json
from service.store.mapping import (
    Values,
    backend_values,
    credential_values,
    data_key_values,
    model_values,
    provider_model_values,
    provider_values,
)
from service.store.reads import ReadUnit, RegistryRow
from service.store.rows import (
    PUT,
    REMOVE,
    BackendRow,
    Base,
    ChangeLogRow,
    CredentialRow,
    DataKeyRow,
    IdempotencyRow,
    ModelRow,
    ProviderModelRow,
    ProviderRow,
    RegistryInfoRow,
    RevisionCounterRow,
)
from service.store.sql import pair_among
from service.store.uniqueness import model_clash, provider_clash, provider_models_clash
from service.store.units.changes import Touched, backend_targets, offer_changes, routing_changes

KEPT_FOR = timedelta(hours=24)
KEPT_REVISIONS = 10_000


def _table(row: type[Base]) -> Table:
    return cast(Table, row.__table__)


# Statements that write go past the ORM, straight to the tables.
_COUNTER = _table(RevisionCounterRow)
_CHANGE_LOG = _table(ChangeLogRow)
_REGISTRY = _table(RegistryInfoRow)
_IDEMPOTENCY = _table(IdempotencyRow)
_PROVIDERS = _table(ProviderRow)
_CREDENTIALS = _table(CredentialRow)
_DATA_KEYS = _table(DataKeyRow)
_PROVIDER_MODELS = _table(ProviderModelRow)
_MODELS = _table(ModelRow)
_BACKENDS = _table(BackendRow)

_NEVER_CHANGE = frozenset({"uid", "upstream_model_id", "kind", "create_time"})

# The parent is the id that this very statement replaces. A subquery on the log could not give it: under READ
# COMMITTED one that waited for the row lock answers from before the commit it waited for.
_TAKE_REVISION = (
    update(_COUNTER)
    .values(
        revision=_COUNTER.c.revision + 1, parent_id=_COUNTER.c.commit_id, commit_id=bindparam("new_commit_id")
    )
    .returning(_COUNTER.c.revision, _COUNTER.c.parent_id)
)


class Outcome(Enum):
    """What a write unit came to, and so how its transaction ends."""

    NOTHING = "nothing changed: roll back, the revision is not used"
    BOOKKEEPING = "only what takes no revision changed: commit without one"
    REVISION = "resources changed: commit the revision"


class WriteUnit(ReadUnit):
    """Reads and writes within one transaction that holds the counter row, so no other writer is in between.

    ``revision`` is what this unit's changes will carry, ``now`` their time, ``call`` who asked for them. A
    resource is changed by handing over what this unit read (``before``) and what it shall be (``after``).
    """

    def __init__(self, session: Session, clock: Callable[[], datetime], call: Call, commit_id: UUID) -> None:
        self._connection = session.connection()
        self._commit_id = commit_id
        taken = self._connection.execute(_TAKE_REVISION, {"new_commit_id": commit_id}).one()
        self.revision: int = taken.revision
        self._parent_id: UUID = taken.parent_id
        super().__init__(session, clock())
        self.call = call
        self._touched = Touched()
        self._bookkeeping = False
        self.change_set: ChangeSet | None = None
        """What the revision changed for routers, once the unit is finished; None where it uses none."""
        self.shredded = False
        """Whether a sealed credential was destroyed: its bytes may still stand in SQLite's log."""

    @property
    def visible_revision(self) -> int:
        """The revision at which everything that this unit has shown or done can be seen, once committed."""
        return self.revision if self._touched else self.revision - 1

    def insert_provider(self, provider: Provider, sealed: SealedCredential | None) -> Provider:
        """Add a provider, with the credential that ``provider.credential`` shows.

        Raises:
            AlreadyExists: its id or its folded display name is taken.
        """
        stored = self._stamped_provider(replace(provider, create_time=self.now))
        with self._unique(lambda: provider_clash(self, stored, is_new=True)):
            self._execute(insert(_PROVIDERS), provider_values(stored))
        if stored.credential is not None or sealed is not None:
            self._insert_credential(stored, sealed)
        self._touched.provider(None, stored)
        return stored

    def update_provider(
        self, before: Provider, after: Provider, sealed: SealedCredential | None = None
    ) -> Provider:
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
        stored = self._stamped_provider(stored)
        with self._unique(lambda: provider_clash(self, stored, is_new=False)):
            self._execute(
                update(_PROVIDERS).where(_PROVIDERS.c.provider_id == before.provider_id),
                provider_values(stored),
            )
        if sealed is not None:
            self._delete_credential(before)
            self._insert_credential(stored, sealed)
        self._touched.provider(before, stored)
        return stored

    def delete_provider(
        self,
        provider: Provider,
        *,
        models: Sequence[ProviderModel] | None = None,
        wired: Sequence[ModelView] | None = None,
    ) -> int:
        """Delete a provider with its models, the backends to them, its credential and its data key.

        Returns how many models it had. ``models`` and ``wired`` are what `provider_models_of` and
        `models_wired_to_provider` gave in this unit; they are read here where they are left out.
        """
        models = self.provider_models_of(provider.provider_id) if models is None else models
        self._unwire(
            self.models_wired_to_provider(provider.provider_id) if wired is None else wired,
            _BACKENDS.c.provider_id == provider.provider_id,
            {(model.provider_id, model.model_id) for model in models},
        )
        for model in models:
            self._touched.provider_model(model, None)
        self._execute(delete(_PROVIDER_MODELS).where(_PROVIDER_MODELS.c.provider_id == provider.provider_id))
        self._delete_credential(provider)
        self._execute(delete(_PROVIDERS).where(_PROVIDERS.c.provider_id == provider.provider_id))
        self._touched.provider(provider, None)
        return len(models)

    def insert_provider_models(self, models: Sequence[ProviderModel]) -> list[ProviderModel]:
        """Add provider models, however many, in one statement.

        Raises:
            AlreadyExists: an id or an upstream id is taken at its provider, by a stored model or an earlier
                one of these.
        """
        stored = [self._stamped_provider_model(replace(model, create_time=self.now)) for model in models]
        if not stored:
            return []
        with self._unique(lambda: provider_models_clash(self, stored)):
            self._execute(insert(_PROVIDER_MODELS), [provider_model_values(model) for model in stored])
        for model in stored:
            self._touched.provider_model(None, model)
        return stored

    def update_provider_model(self, before: ProviderModel, after: ProviderModel) -> ProviderModel:
        """Change a provider model, but neither its ids nor its kind.

        Nothing happens, and ``before`` is returned, when the two are equal but for their stamps.
        """
        [stored] = self.update_provider_models([(before, after)])
        return stored

    def update_provider_models(
        self, changes: Sequence[tuple[ProviderModel, ProviderModel]]
    ) -> list[ProviderModel]:
        """Change provider models, however many, in one statement; each as `update_provider_model` does."""
        stored = [self._changed_provider_model(before, after) for before, after in changes]
        written = [
            (before, now) for (before, _), now in zip(changes, stored, strict=True) if now is not before
        ]
        if written:
            self._execute(
                update(_PROVIDER_MODELS).where(
                    _PROVIDER_MODELS.c.provider_id == bindparam("of_provider"),
                    _PROVIDER_MODELS.c.model_id == bindparam("of_model"),
                ),
                [_changeable(provider_model_values(now)) for _, now in written],
            )
        for before, now in written:
            self._touched.provider_model(before, now)
        return stored

    def delete_provider_models(
        self, models: Sequence[ProviderModel], *, wired: Sequence[ModelView] | None = None
    ) -> None:
        """Delete provider models and the backends to them, however many, in a fixed number of statements.

        ``wired`` is what `models_wired_to` gave of them in this unit; it is read here where it is left out.
        """
        if not models:
            return
        gone = {(model.provider_id, model.model_id) for model in models}
        wires = pair_among(_BACKENDS.c.provider_id, _BACKENDS.c.provider_model_id, gone)
        self._unwire(self.models_wired_to(gone) if wired is None else wired, wires, gone)
        self._execute(
            delete(_PROVIDER_MODELS).where(
                pair_among(_PROVIDER_MODELS.c.provider_id, _PROVIDER_MODELS.c.model_id, gone)
            )
        )
        for model in models:
            self._touched.provider_model(model, None)

    def insert_model(self, model: Model) -> Model:
        """Add a model with its backends, each of which leads to a stored provider model.

        Raises:
            AlreadyExists: its id is taken.
        """
        stored = self._stamped_model(replace(model, create_time=self.now))
        with self._unique(lambda: model_clash(self, stored)):
            self._execute(insert(_MODELS), model_values(stored))
        self._insert_backends(stored)
        self._touched.model(None, stored)
        return stored

    def update_model(self, before: Model, after: Model) -> Model:
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
        stored = self._stamped_model(stored)
        self._execute(update(_MODELS).where(_MODELS.c.model_id == before.model_id), model_values(stored))
        if stored.backends != before.backends:
            self._execute(delete(_BACKENDS).where(_BACKENDS.c.model_id == before.model_id))
            self._insert_backends(stored)
        self._touched.model(before, stored)
        return stored

    def delete_model(self, model: Model) -> None:
        """Delete a model and its backends."""
        self._execute(delete(_BACKENDS).where(_BACKENDS.c.model_id == model.model_id))
        self._execute(delete(_MODELS).where(_MODELS.c.model_id == model.model_id))
        self._touched.model(model, None)

    def remember_request(
        self,
        principal: str,
        method: str,
        request_id: str,
        fingerprint: bytes,
        resource: str,
        *,
        ttl: timedelta,
    ) -> None:
        """Remember what a request_id was used for, and forget all that has expired. Takes no revision."""
        self._execute(delete(_IDEMPOTENCY).where(_IDEMPOTENCY.c.expire_time <= self.now))
        self._execute(
            insert(_IDEMPOTENCY),
            {
                "principal": principal,
                "method": method,
                "request_id": request_id,
                "fingerprint": fingerprint,
                "resource": resource,
                "expire_time": self.now + ttl,
            },
        )
        self._bookkeeping = True

    def record_registry(self, row: RegistryRow) -> None:
        """Record what is known of the KMS. Takes no revision; recording the same again changes nothing."""
        if row == self.registry():
            return
        self._execute(
            update(_REGISTRY),
            {
                "deployment_id": row.deployment_id,
                "primary_key_version": row.primary_key_version,
                "key_names_seen": list(row.key_names_seen),
                "keyring_seq": row.keyring_seq,
                "audit_seq": row.audit_seq,
                "audit_head": row.audit_head,
                "notice_time": row.notice_time,
            },
        )
        self._bookkeeping = True

    def compact(self, *, kept_for: timedelta = KEPT_FOR, kept_revisions: int = KEPT_REVISIONS) -> int:
        """Forget change sets that are older than ``kept_for`` and not among the last ``kept_revisions``.

        Returns the head's ``compact_revision``, which never goes back. Takes no revision.
        """
        compacted = self.head().compact_revision
        newest = self.revision - 1
        last = self._connection.execute(
            select(_CHANGE_LOG.c.revision, _CHANGE_LOG.c.commit_id)
            .where(
                _CHANGE_LOG.c.commit_time < self.now - kept_for,
                _CHANGE_LOG.c.revision <= newest - kept_revisions,
            )
            .order_by(_CHANGE_LOG.c.revision.desc())
            .limit(1)
        ).first()
        if last is None:
            return compacted
        forgotten: int = last.revision
        self._execute(delete(_CHANGE_LOG).where(_CHANGE_LOG.c.revision <= forgotten))
        self._execute(update(_COUNTER), {"compact_revision": forgotten, "compact_id": last.commit_id})
        self._bookkeeping = True
        return forgotten

    def finish(self) -> Outcome:
        """Log what changed for routers, or give the revision back. The last thing before the commit."""
        if self._touched:
            changes = self._routing_changes()
            self._log(changes)
            self.change_set = ChangeSet(
                self.revision, tuple(changes), self.now, self._commit_id, self._parent_id
            )
            return Outcome.REVISION
        if not self._bookkeeping:
            return Outcome.NOTHING
        self._execute(update(_COUNTER), {"revision": self.revision - 1, "commit_id": self._parent_id})
        return Outcome.BOOKKEEPING

    def _routing_changes(self) -> list[Change]:
        flipped = self._touched.flipped()
        untouched = self._touched.untouched_providers()
        offers = offer_changes(
            self._touched,
            untouched_providers=self.providers(untouched) if untouched else {},
            provider_models_of_flipped=self._provider_models_of(flipped) if flipped else [],
        )
        others = [view.model for view in self.models_wired_to(offers.turned())]
        return routing_changes(
            self._touched,
            offers,
            others=others,
            routable=self.routable_targets(backend_targets(self._touched, others)),
        )

    def _log(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        self._execute(
            insert(_CHANGE_LOG),
            [
                {
                    "revision": self.revision,
                    "ordinal": ordinal,
                    "kind": change.kind.value,
                    "name": change.name,
                    "op": REMOVE if change.entry is None else PUT,
                    "payload": None if change.entry is None else entry_to_json(change.entry),
                    "commit_time": self.now,
                    "commit_id": self._commit_id,
                }
                for ordinal, change in enumerate(changes)
            ],
        )

    def _insert_credential(self, provider: Provider, sealed: SealedCredential | None) -> None:
        view = provider.credential
        if view is None or sealed is None or (view.type, view.version) != (sealed.type, sealed.version):
            raise ValueError("what is shown of a credential is not what was sealed")
        self._execute(insert(_DATA_KEYS), data_key_values(sealed))
        self._execute(insert(_CREDENTIALS), credential_values(provider.provider_id, view, sealed))

    def _delete_credential(self, provider: Provider) -> None:
        if provider.credential is None:
            return
        held = _CREDENTIALS.c.provider_id == provider.provider_id
        dek_id = self._connection.scalar(select(_CREDENTIALS.c.dek_id).where(held))
        self._execute(delete(_CREDENTIALS).where(held))
        self._execute(delete(_DATA_KEYS).where(_DATA_KEYS.c.dek_id == dek_id))
        self.shredded = True

    def _insert_backends(self, model: Model) -> None:
        if model.backends:
            self._execute(insert(_BACKENDS), backend_values(model))

    def _unwire(
        self, wired: Sequence[ModelView], wires: ColumnElement[bool], gone: Collection[ProviderModelKey]
    ) -> None:
        """Take out the backends that lead to what is about to be deleted, as a change of their models."""
        if not wired:
            return
        self._execute(delete(_BACKENDS).where(wires))
        stamps = []
        for view in wired:
            kept = tuple(backend for backend in view.model.backends if backend.target not in gone)
            stored = self._stamped_model(replace(view.model, backends=kept))
            self._touched.model(view.model, stored)
            stamps.append(
                {
                    "of": stored.model_id,
                    "update_time": stored.update_time,
                    "revision": stored.revision,
                    "etag": stored.etag,
                }
            )
        self._execute(update(_MODELS).where(_MODELS.c.model_id == bindparam("of")), stamps)

    def _stamped_model(self, model: Model) -> Model:
        stamped = replace(
            model, backends=in_order(model.backends), revision=self.revision, update_time=self.now
        )
        return replace(stamped, etag=model_etag(stamped))

    def _stamped_provider(self, provider: Provider) -> Provider:
        stamped = replace(provider, revision=self.revision, update_time=self.now)
        return replace(stamped, etag=provider_etag(stamped))

    def _changed_provider_model(self, before: ProviderModel, after: ProviderModel) -> ProviderModel:
        """``after`` with new stamps, or ``before`` where the two differ in nothing else."""
        unstamped = replace(
            after,
            create_time=before.create_time,
            update_time=before.update_time,
            revision=before.revision,
            etag=before.etag,
        )
        return before if unstamped == before else self._stamped_provider_model(unstamped)

    def _stamped_provider_model(self, model: ProviderModel) -> ProviderModel:
        stamped = replace(model, revision=self.revision, update_time=self.now)
        return replace(stamped, etag=provider_model_etag(stamped))

    @contextmanager
    def _unique(self, clash: Callable[[], AlreadyExists | None]) -> Iterator[None]:
        """Turn a refused row into the error that names the holder.

        The savepoint keeps the transaction usable on PostgreSQL, where a refused statement spoils it
        otherwise.
        """
        try:
            with self._connection.begin_nested():
                yield
        except IntegrityError:
            taken = clash()
            if taken is None:
                raise
            raise taken from None

    def _execute(self, statement: Executable, values: Values | list[Values] | None = None) -> None:
        self._connection.execute(statement, values)


def _changeable(values: Values) -> Values:
    """A provider model's columns for an UPDATE; setting its ids would make the database look for backends."""
    bound = {"of_provider": values.pop("provider_id"), "of_model": values.pop("model_id")}
    return bound | {name: value for name, value in values.items() if name not in _NEVER_CHANGE}
