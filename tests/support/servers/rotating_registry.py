"""A registry's rooms below the wire, with a real sidecar, for tests of what rotates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from service.domain.calls import Call
from service.domain.credentials import parse_material, shown_prefix
from service.domain.model import (
    CredentialBinding,
    CredentialType,
    CredentialView,
    ProviderKind,
    SealedCredential,
)
from service.store import Store, WriteUnit
from service.usecases import rotation
from service.usecases.context import Context
from service.usecases.kms_state import refresh_kms_state
from service.usecases.rotation import Sweeping
from tests.support.servers.contexts import a_context
from tests.support.servers.key_sidecar import DEPLOYMENT_ID, KeySidecar, key_sidecar
from tests.support.servers.migrated import copy_migrated
from tests.support.values.registry_values import START, ManualClock, a_provider

KIND = ProviderKind.OPENAI
MATERIAL = parse_material(CredentialType.API_KEY, {"api_key": "sk-" + "a" * 40}, field="credential")


def a_call(seconds: float = 30.0, *, validate_only: bool = False) -> Call:
    return Call("dev:loopback", "Test", time.monotonic() + seconds, validate_only=validate_only)


@dataclass
class Rotating:
    """The rooms, and what tests do with them."""

    ctx: Context
    sidecar: KeySidecar
    clock: ManualClock
    database: Path
    woken: list[None] = field(default_factory=list)
    added: list[str] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return self.ctx.store

    def add(self, *provider_ids: str) -> None:
        """Providers with a credential each, sealed as the service seals."""
        refresh_kms_state(self.ctx)
        self.added += provider_ids
        made = []
        for provider_id in provider_ids:
            provider = a_provider(provider_id, kind=KIND)
            view = CredentialView(
                type=MATERIAL.type,
                prefix=shown_prefix(KIND, MATERIAL),
                version=1,
                update_time=START,
                expire_time=None,
            )
            sealed = self.ctx.sealer.seal(
                CredentialBinding(provider.uid, KIND, 1, ("api https://api.openai.com",)),
                MATERIAL,
                deployment_id=DEPLOYMENT_ID,
            )
            made.append((replace(provider, credential=view), sealed))

        def work(unit: WriteUnit) -> None:
            for provider, sealed in made:
                unit.providers.insert(provider, sealed)

        self.store.write(work)

    def sealed(self) -> dict[str, SealedCredential]:
        """Every stored credential by provider id."""
        return self.store.read(lambda unit: unit.providers.sealed_credentials(self.added))

    def all_open(self) -> bool:
        """Whether a router can open every stored credential now."""
        return all(map(self.sidecar.opens, self.sealed().values()))

    def versions(self) -> set[str]:
        """The versions that data keys are under."""
        return {sealed.key_version for sealed in self.sealed().values()}

    def sweep(self, holder: str = "here") -> int:
        """Pass over the table as the background task does, until a pass moves nothing. Returns how many."""
        moved = passed = 0
        after = ""
        while True:
            step = rotation.sweep_step(self.ctx, holder, after)
            if step.found is Sweeping.HELD:
                return moved
            after, passed = step.after, passed + step.moved
            if step.found is Sweeping.PASSED:
                moved += passed
                if not passed or not rotation.backlog(self.ctx).remaining:
                    rotation.end_sweep(self.ctx, holder)
                    return moved
                passed = 0

    def later(self, **parts: float) -> None:
        self.clock.now += timedelta(**parts)


@contextmanager
def rotating_registry(directory: Path) -> Iterator[Rotating]:
    """An empty registry with a sidecar of its own."""
    database = copy_migrated(directory / "registry.db")
    clock = ManualClock()
    woken: list[None] = []
    with (
        key_sidecar() as sidecar,
        a_context(
            database,
            sidecar.registry_socket,
            clock=clock,
            new_uuid=lambda: UUID(int=0),  # where a batch that is driven begins: before every key
            primary_changed=lambda: woken.append(None),
        ) as ctx,
    ):
        yield Rotating(ctx, sidecar, clock, database, woken)
