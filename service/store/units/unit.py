"""The two units of work: what can be read, and what can be written, inside one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from uuid import UUID

from sqlalchemy.orm import Session

from service.domain.calls import Call
from service.domain.routing import (
    Change,
    ChangeSet,
    Entry,
    active_model,
    routing_provider,
)
from service.store.units.bookkeeping import KmsReads, KmsWrites, RequestReads, RequestWrites
from service.store.units.changes import backend_targets, offer_changes, routing_changes
from service.store.units.data_keys import DataKeyReads
from service.store.units.log import TAKE_REVISION, LogReads, LogWrites
from service.store.units.models import ModelReads, ModelWrites
from service.store.units.provider_models import ProviderModelReads, ProviderModelWrites
from service.store.units.providers import ProviderReads, ProviderWrites
from service.store.units.writing import Savepoints, Writing
from service.store.unsound import Unsound


class Outcome(Enum):
    """What a write unit came to, and so how its transaction ends."""

    NOTHING = "nothing changed: roll back, the revision is not used"
    BOOKKEEPING = "only what takes no revision changed: commit without one"
    REVISION = "resources changed: commit the revision"


class ReadUnit:
    """Reads within one transaction, all of one revision. What they return holds no tie to the database."""

    def __init__(self, session: Session, now: datetime, unsound: Unsound) -> None:
        self.now = now
        self.unsound = unsound
        self.providers = ProviderReads(session, unsound)
        self.provider_models = ProviderModelReads(session, unsound)
        self.models = ModelReads(session, unsound)
        self.data_keys = DataKeyReads(session)
        self.log = LogReads(session, now)
        self.kms = KmsReads(session)
        self.requests = RequestReads(session, now)

    def commit_at(self, _revision: int) -> UUID | None:
        """Return the id of this unit's commit, if that is what takes the revision."""
        return None

    def routing_entries(self) -> list[Entry]:
        """Return all that routers see at the head: providers, their models, and models, each by id."""
        providers = {provider.provider_id: provider for provider in self.providers.active()}
        entries: list[Entry | None] = [routing_provider(provider) for provider in providers.values()]
        entries += self.provider_models.active_entries(providers)
        entries += [active_model(view) for view in self.models.active()]
        return [entry for entry in entries if entry is not None]


class WriteUnit(ReadUnit):
    """Reads and writes within one transaction that holds the counter row: no other writer is in between.

    ``revision`` is what this unit's changes will carry, ``now`` their time, ``call`` who asked for them. A
    resource is changed by passing what this unit read (``before``) and what it shall be (``after``).
    """

    def __init__(
        self,
        session: Session,
        clock: Callable[[], datetime],
        call: Call,
        commit_id: UUID,
        unsound: Unsound,
        savepoints: Savepoints,
    ) -> None:
        connection = session.connection()
        unsound = unsound.copy()
        taken = connection.execute(TAKE_REVISION, {"new_commit_id": commit_id}).one()
        self.call = call
        self.revision: int = taken.revision
        super().__init__(session, clock(), unsound)
        self._commit_id = commit_id
        self._parent_id: UUID = taken.parent_id
        self._writing = writing = Writing(connection, self.revision, self.now, savepoints)
        self.models: ModelWrites = ModelWrites(session, unsound, writing)
        self.provider_models: ProviderModelWrites = ProviderModelWrites(
            session, unsound, writing, self.models
        )
        self.providers: ProviderWrites = ProviderWrites(
            session, unsound, writing, self.provider_models, self.models
        )
        self.log: LogWrites = LogWrites(session, writing)
        self.kms: KmsWrites = KmsWrites(session, writing)
        self.requests: RequestWrites = RequestWrites(session, writing)
        self.change_set: ChangeSet | None = None
        """What the revision changed for routers, once the unit is finished; None where it uses none."""

    def commit_at(self, revision: int) -> UUID | None:
        """Return the id of this unit's commit, if that is what takes the revision."""
        return self._commit_id if revision == self.revision else None

    @property
    def visible_revision(self) -> int:
        """The revision at which everything that this unit has shown or done can be seen, once committed."""
        return self.revision if self._writing.touched else self.revision - 1

    @property
    def shredded(self) -> bool:
        """Whether a sealed credential was destroyed: SQLite's log may still hold its bytes."""
        return self._writing.shredded

    def withdraw(self) -> None:
        """Have routers drop what cannot be read, unless they were told to already."""
        names = self.log.known(self.unsound.findings())
        for provider in self.providers.among(list(self.unsound.providers)).values():
            if provider.name in names:
                self._writing.touched.provider(provider, provider)
        for model in self.provider_models.among(list(self.unsound.provider_models)).values():
            if model.name in names:
                self._writing.touched.provider_model(model, model)
        for view in self.models.among(list(self.unsound.models)):
            if view.model.name in names:
                self._writing.touched.model(view.model, view.model)

    def finish(self) -> Outcome:
        """Log what changed for routers, or give the revision back. The last thing before the commit."""
        if self._writing.touched:
            changes = self._routing_changes()
            self.log.append(changes, self._commit_id)
            self.change_set = ChangeSet(
                self.revision, tuple(changes), self.now, self._commit_id, self._parent_id
            )
            return Outcome.REVISION
        if not self._writing.bookkeeping:
            return Outcome.NOTHING
        self.log.give_back(self._parent_id)
        return Outcome.BOOKKEEPING

    def _routing_changes(self) -> list[Change]:
        touched = self._writing.touched
        offers = offer_changes(
            touched,
            untouched_providers=self.providers.among(touched.untouched_providers()),
            provider_models_of_flipped=self.provider_models.of_all(touched.flipped()),
        )
        others = [view.model for view in self.models.wired_to(offers.turned())]
        return routing_changes(
            touched,
            offers,
            others=others,
            routable=self.provider_models.routable(backend_targets(touched, others)),
        )
