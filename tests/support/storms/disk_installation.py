"""An installation on disk, in one process, that can lose its memory at any moment.

Store, keyrings, sealing and use cases are the real ones; only the wire between registry and sidecar is left
out. A power cut copies the files as they are at that moment, throws everything else away, and goes on with
the copy: as with a killed process nothing is cleaned up, finished or rolled back.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from codevector_providers.model import CredentialType as SdkType
from codevector_providers.model import ProviderKind as SdkKind
from codevector_providers.opening import Expected, open_sealed
from codevector_providers.opening import SealedCredential as SdkSealed
from sqlalchemy import text

from kms.combined import combine
from kms.files.generations import KeyringFile
from kms.installation import initialise
from kms.keyring import (
    DataKey,
    Keyring,
    KeyVersion,
    KeyVersions,
    OpenKeyring,
    VersionState,
)
from kms.keyring import WrappedDataKey as KmsWrapped
from kms.local.document import DOCUMENT_LIMIT
from kms.local.opening import open_local
from kms.local.unlock import UnlockKind, UnlockSource, unlock
from service.domain.calls import Call
from service.domain.catalog import Catalogs
from service.domain.credentials import parse_material
from service.domain.model import CredentialType, ProviderConfig, ProviderKind, SealedCredential, State
from service.domain.pages import PageTokens
from service.sealing.sealer import Sealer
from service.store import migrate
from service.usecases import data_key_verification, providers, rotation
from service.usecases.context import Context
from service.usecases.kms_state import refresh_kms_state
from service.usecases.sealed_writes import CredentialChange
from tests.support.doubles.power_cuts import (
    InProcessKms,
    Moment,
    MovableDatabase,
    PowerCut,
    WatchedDisk,
    WatchedStore,
    WithoutSequence,
)
from upstreams.addresses import AddressPolicy

DEPLOYMENT_ID = bytes.fromhex("0123456789abcdef0123456789abcdef")
START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
FILE, OTHER = RINGS = ("a", "b")
"""A keyring in a file, and one that stands for a keyring elsewhere; only one file can be configured."""
KIND = ProviderKind.OPENAI
_FIELDS_OF_A_DRAFT = frozenset({"display_name", "kind"})


def make_template(directory: Path) -> None:
    """An installation that holds nothing: a migrated database and two keyrings."""
    migrate(f"sqlite:///{directory / 'registry.db'}")
    for ring in RINGS:
        home = directory / ring
        initialise(
            keyring=home / "keyring.json",
            deployment_id_file=home / "deployment-id",
            declared_deployment_id=DEPLOYMENT_ID,
            unlock_source=UnlockSource(UnlockKind.KEY_FILE, home / "unlock.key"),
            clock=lambda: START,
            random=os.urandom,
        )


@dataclass
class Backup:
    """A copy of all files, and what they were configured to be."""

    directory: Path
    order: tuple[str, ...]


@dataclass
class Installation:
    """One installation; `order` names the keyrings that are configured, the one that wraps first."""

    root: Path
    database: MovableDatabase
    new_uuid: Callable[[], UUID] = uuid.uuid4
    order: tuple[str, ...] = RINGS[:1]
    now: datetime = START
    cuts: int = 0
    _copies: int = 0
    seen: list[Moment] = field(default_factory=list)
    """Every moment that was come to."""
    _fault: tuple[Moment, int, Exception | None] | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def directory(self) -> Path:
        """Where the files are now."""
        return self.root / str(self._copies)

    @classmethod
    def of(
        cls,
        template: Path,
        root: Path,
        database: MovableDatabase,
        new_uuid: Callable[[], UUID] = uuid.uuid4,
    ) -> Installation:
        """A new one, started."""
        made = cls(root, database, new_uuid)
        shutil.copytree(template, made.directory)
        made.start()
        return made

    def start(self) -> None:
        """Everything into memory, from disk alone."""
        stack = self._stack = ExitStack()
        self.rings = {ring: self._open_ring(stack, ring) for ring in self.order}
        members = list(self.rings.values())
        self.keyring: Keyring = members[0].keyring if len(members) == 1 else combine(members).keyring
        self.database.move(self.directory / "registry.db")
        engine = self.database.engine
        self.store = WatchedStore(
            engine, clock=lambda: self.now, close=engine.dispose, jitter=lambda low, _: low
        )
        self.store.at = self.at
        stack.callback(engine.dispose)
        kms: Any = InProcessKms(self.keyring, self.at)
        self.ctx = Context(
            store=self.store,
            kms=kms,
            sealer=Sealer(kms, os.urandom),
            catalogs=Catalogs(()),
            url_policy=AddressPolicy(),
            page_tokens=PageTokens(bytes(32)),
            impact_key=bytes(32),
            new_uuid=self.new_uuid,
        )

    def stop(self) -> None:
        """An orderly end."""
        self.store.close()
        self._stack.close()

    def at(self, moment: Moment) -> None:
        """The power goes, or something fails, at the moment that was chosen."""
        self.seen.append(moment)
        if self._fault is None or self._fault[0] != moment:
            return
        _, left, error = self._fault
        self._fault = (moment, left - 1, error) if left > 1 else None
        if left > 1:
            return
        if error is not None:
            raise error
        self.copy_files(self.root / str(self._copies + 1))
        raise PowerCut

    def cut(self) -> None:
        """The power goes while nothing is going on."""
        self.copy_files(self.root / str(self._copies + 1))
        self._go_on_with_copy()

    @contextmanager
    def power_cut(self, moment: Moment, count: int = 1) -> Iterator[None]:
        """The power goes when the block comes to the moment for the ``count``-th time, if it does."""
        self._fault = (moment, count, None)
        try:
            yield
        except PowerCut:
            self._go_on_with_copy()
        finally:
            self._fault = None

    @contextmanager
    def failing(self, error: Exception, moment: Moment, count: int = 1) -> Iterator[None]:
        """The error is raised where the block comes to the moment for the ``count``-th time."""
        self._fault = (moment, count, error)
        try:
            yield
        finally:
            self._fault = None

    def backup(self, number: int) -> Backup:
        """A copy that could be put back."""
        directory = self.root / f"backup-{number}"
        shutil.rmtree(directory, ignore_errors=True)
        self.copy_files(directory)
        return Backup(directory, self.order)

    def restore(self, backup: Backup) -> None:
        """Stop, put the whole set back, start."""
        self._begin_anew()
        shutil.copytree(backup.directory, self.directory)
        self.order = backup.order
        self.start()

    def put_ring(self, ring: str, backup: Path) -> None:
        """While stopped: one keyring's files as they were."""
        shutil.rmtree(self.directory / ring)
        shutil.copytree(backup / ring, self.directory / ring)

    def restart(self, order: tuple[str, ...]) -> None:
        """Stop and start with other keyrings configured."""
        self.stop()
        self.order = order
        self.start()

    def copy_files(self, directory: Path) -> None:
        """All but what SQLite makes anew from them, and locks, which nobody holds on a copy."""
        shutil.copytree(self.directory, directory, ignore=shutil.ignore_patterns("*-shm", "*.lock"))

    def _go_on_with_copy(self) -> None:
        self._stack.close()
        shutil.rmtree(self.directory)
        self._copies += 1
        self.cuts += 1
        self.start()

    def _begin_anew(self) -> None:
        self.stop()
        shutil.rmtree(self.directory)
        self._copies += 1

    def _open_ring(self, stack: ExitStack, ring: str) -> OpenKeyring:
        home = self.directory / ring
        source = UnlockSource(UnlockKind.KEY_FILE, home / "unlock.key")
        file = KeyringFile(home / "keyring.json", limit=DOCUMENT_LIMIT, disk=WatchedDisk(self.at))
        stack.enter_context(closing(file))
        opened = open_local(
            file,
            unlock=partial(unlock, source),
            deployment_id=DEPLOYMENT_ID,
            clock=lambda: self.now,
            monotonic=lambda: self.now.timestamp(),
            random=os.urandom,
        )
        if ring == FILE:
            return opened
        elsewhere: Any = WithoutSequence(opened.keyring)
        return replace(opened, keyring=elsewhere)

    # What administrators and the registry do.

    def create(self, name: str, key: str) -> None:
        draft = _draft(name, name, _FIELDS_OF_A_DRAFT)
        provider_id = name.partition("/")[2]
        providers.create_provider(self.ctx, a_call(), draft, provider_id=provider_id, credential=_change(key))

    def replace(self, name: str, key: str) -> None:
        providers.set_provider_credential(self.ctx, a_call(), name, _change(key))

    def update(self, name: str, display_name: str, key: str | None) -> None:
        """Another name, and with it another credential if there is a key."""
        draft = _draft(name, display_name, frozenset({"display_name"}))
        credential = None if key is None else _change(key)
        providers.update_provider(self.ctx, a_call(), draft, paths=["display_name"], credential=credential)

    def set_state(self, name: str, state: State) -> None:
        providers.set_provider_state(self.ctx, a_call(), name, state)

    def delete(self, name: str) -> None:
        providers.delete_provider(self.ctx, a_call(), name, force=True)

    def notice(self) -> None:
        refresh_kms_state(self.ctx)

    @property
    def first_versions(self) -> KeyVersions:
        return self.rings[self.order[0]].versions

    def create_version(self) -> None:
        self.first_versions.create_version(uuid.uuid4(), self.first_versions.list_versions()[-1].name)

    def activate(self) -> None:
        """The newest version, if it is pending."""
        newest = self.first_versions.list_versions()[-1]
        if newest.state is VersionState.PENDING:
            self.first_versions.activate_version(newest.name)

    def rewrap(self, count: int) -> int:
        """Move some; how many are left."""
        answer = rotation.rewrap_data_keys(self.ctx, a_call(), batch_size=count, release_quarantined=False)
        assert answer.failures == []
        return answer.backlog.stale

    def sweep(self) -> None:
        """As the background task does."""
        rotation.sweep_step(self.ctx, str(uuid.uuid4()), "")

    def later(self, time: timedelta) -> None:
        self.now += time

    def usage(self) -> dict[str, int]:
        """How many wrappers are under which version; all of them sound."""
        verified = data_key_verification.verify_data_keys(self.ctx, a_call(), page_size=1000, page_token="")
        assert verified.failures == []
        return verified.usage

    def retire(self) -> list[KeyVersion]:
        """Disable what nothing is under: the administrator's act after a rotation."""
        used = set(self.usage())
        return [
            ring.versions.disable_version(version.name, confirmed_unreferenced=True)
            for ring in self.rings.values()
            for version in ring.versions.list_versions()
            if version.state is VersionState.DECRYPT_ONLY and version.name not in used
        ]

    def destroy(self) -> list[KeyVersion]:
        """Schedule the disabled, wait, and have them destroyed."""
        for ring in self.rings.values():
            ring.versions.destroy_due()  # a look at the clocks, as upkeep has every ten seconds
        self.later(timedelta(days=8))
        for ring in self.rings.values():
            for version in ring.versions.list_versions():
                if version.state is VersionState.DISABLED:
                    ring.versions.schedule_destruction(version.name, timedelta(days=7))
        self.later(timedelta(days=8))
        return [version for ring in self.rings.values() for version in ring.versions.destroy_due()]

    # What routers see.

    def open_all(self) -> dict[str, tuple[str, State]]:
        """Each provider's credential, opened with the keyring and the SDK's code, and its state."""
        with self.database.engine.connect() as connection:
            ids = list(connection.scalars(text("SELECT provider_id FROM providers ORDER BY provider_id")))
        rows = self.store.read(lambda unit: unit.providers.among(ids))
        sealed = self.store.read(lambda unit: unit.providers.sealed_credentials(ids))
        assert sealed.keys() == set(ids)
        items = [
            KmsWrapped(each.wrapped_data_key, each.key_version, each.commitment, each.context)
            for each in (sealed[one] for one in ids)
        ]
        opened: dict[str, tuple[str, State]] = {}
        for one, result in zip(ids, self.keyring.unwrap(items) if items else [], strict=True):
            assert isinstance(result, DataKey), (one, result)
            row = rows[one]
            key = open_as_router(row.uid, sealed[one], bytes(result.octets))
            opened[row.name] = (key, row.state)
        return opened


def open_as_router(uid: UUID, sealed: SealedCredential, key: bytes) -> str:
    """The API key inside."""
    expected = Expected(
        deployment_id=DEPLOYMENT_ID,
        provider_uid=uid,
        kind=SdkKind(KIND),
        type=SdkType(sealed.type),
        credential_version=sealed.version,
        destinations=("api https://api.openai.com",),
    )
    claims = SdkSealed(
        provider_uid=str(uid),
        kind=KIND,
        type=sealed.type,
        credential_version=sealed.version,
        envelope=sealed.envelope,
        wrapped_data_key=sealed.wrapped_data_key,
        key_version=sealed.key_version,
        commitment=sealed.commitment,
        context=sealed.context,
        destinations=tuple(sealed.destinations),
    )
    return open_sealed(claims, expected, key)["api_key"]


def a_call() -> Call:
    return Call("dev:loopback", "Test", time.monotonic() + 30)


def _change(key: str) -> CredentialChange:
    material = parse_material(CredentialType.API_KEY, {"api_key": key}, field="credential")
    return CredentialChange(material, None)


def _draft(name: str, display_name: str, populated: frozenset[str]) -> providers.ProviderDraft:
    return providers.ProviderDraft(
        name=name,
        display_name=display_name,
        kind=KIND,
        config=ProviderConfig({}, {}),
        config_kind=None,
        labels={},
        annotations={},
        etag="",
        populated=populated,
    )
