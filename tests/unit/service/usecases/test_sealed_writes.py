"""Writing a credential while others write: what was sealed is stored only where it was sealed for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from service.domain.calls import Call, IdempotencyKey
from service.domain.catalog import Catalogs
from service.domain.credentials import CredentialMaterial, Secret
from service.domain.errors import Aborted, Reason
from service.domain.model import CredentialType, ProviderConfig, ProviderKind, SealedCredential
from service.domain.pages import PageTokens
from service.sealing.kms_client import KmsClient
from service.sealing.sealer import Sealer
from service.store import Store, migrate, open_store
from service.usecases.context import Context
from service.usecases.providers import (
    ProviderDraft,
    create_provider,
    delete_provider,
    set_provider_credential,
    update_provider,
)
from service.usecases.sealed_writes import TRIES, CredentialChange
from tests.support.doubles import kms_double
from tests.support.values.registry_values import ManualClock, new_uuid
from upstreams.addresses import AddressPolicy

KEY = CredentialChange(
    CredentialMaterial(CredentialType.API_KEY, (("api_key", Secret("sk-0123456789abcdefghij")),)), None
)


@dataclass
class InterruptedSealer:
    """Seals as the real one, but first lets something else happen, once per entry of ``meanwhile``."""

    sealer: Sealer
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    count: int = 0

    def seal(self, *bound: Any, **arguments: Any) -> SealedCredential:
        self.count += 1
        sealed = self.sealer.seal(*bound, **arguments)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return sealed


@dataclass
class Registry:
    """The use cases on a real store, with a sealer that can be interrupted."""

    ctx: Context
    sealer: InterruptedSealer
    store: Store

    def call(self, method: str = "Try", **how: Any) -> Call:
        return Call("dev:tests", method, time.monotonic() + 30, **how)

    def create(
        self, *, validate_only: bool = False, key: IdempotencyKey | None = None, **arguments: Any
    ) -> Any:
        call = self.call(validate_only=validate_only, key=key)
        return create_provider(self.ctx, call, draft("Acme"), **arguments).value.provider

    def set_credential(self, *, key: IdempotencyKey | None = None, **arguments: Any) -> Any:
        call = self.call("Set", key=key)
        return set_provider_credential(self.ctx, call, "providers/acme", KEY, **arguments).value.provider

    def delete(self) -> None:
        delete_provider(self.ctx, self.call(), "providers/acme")

    def move(self, base_url: str) -> None:
        update_provider(self.ctx, self.call(), draft("Acme", base_url), paths=["config"])

    def sealed(self) -> SealedCredential:
        return self.store.read(lambda unit: unit.providers.sealed_credentials(["acme"]))["acme"]


def draft(display_name: str, base_url: str = "https://a.example.com/v1") -> ProviderDraft:
    return ProviderDraft(
        name="providers/acme",
        display_name=display_name,
        kind=ProviderKind.OPENAI_COMPATIBLE,
        config=ProviderConfig({"base_url": base_url}),
        config_kind=ProviderKind.OPENAI_COMPATIBLE,
        labels={},
        annotations={},
        etag="",
        populated=frozenset({"display_name", "kind", "config"}),
    )


def counting_bytes() -> Callable[[int], bytes]:
    made = 0

    def random_bytes(size: int) -> bytes:
        nonlocal made
        made += 1
        return made.to_bytes(size, "big")

    return random_bytes


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    migrate(url)
    with (
        kms_double.serving(kms_double.KmsDouble(), tmp_path / "kms.sock") as socket,
        KmsClient(socket) as kms,
        closing(open_store(url, clock=ManualClock())) as store,
    ):
        sealer = InterruptedSealer(Sealer(kms, counting_bytes()))
        ctx = Context(
            store=store,
            kms=kms,
            sealer=cast(Sealer, sealer),
            catalogs=Catalogs(()),
            url_policy=AddressPolicy(),
            page_tokens=PageTokens(b"p" * 32),
            impact_key=b"i" * 32,
            new_uuid=new_uuid,
        )
        yield Registry(ctx, sealer, store)


class TestLostRaces:
    def test_a_provider_that_moved_gets_the_credential_sealed_for_where_it_is(
        self, registry: Registry
    ) -> None:
        registry.create()
        registry.sealer.meanwhile.append(lambda: registry.move("https://b.example.com/v1"))
        after = registry.set_credential()
        assert after.credential.version == 1
        assert registry.sealed().destinations == ("api https://b.example.com/v1",)
        assert registry.sealer.count == 2

    def test_a_credential_that_came_first_counts(self, registry: Registry) -> None:
        registry.create()
        registry.sealer.meanwhile.append(registry.set_credential)
        assert registry.set_credential().credential.version == 2
        assert registry.sealed().version == 2

    def test_an_expected_version_that_is_gone_is_told(self, registry: Registry) -> None:
        registry.create(credential=KEY)
        registry.sealer.meanwhile.append(registry.set_credential)
        with pytest.raises(Aborted) as caught:
            registry.set_credential(expected_version=1)
        assert caught.value.reason is Reason.CREDENTIAL_VERSION_MISMATCH

    def test_an_identical_request_that_came_first_is_answered(self, registry: Registry) -> None:
        registry.create(credential=KEY)
        key = IdempotencyKey("c0ffee00-0000-4000-8000-000000000000", b"f" * 32)
        same: dict[str, Any] = {"expected_version": 1, "key": key}
        registry.sealer.meanwhile.append(lambda: registry.set_credential(**same))
        assert registry.set_credential(**same).credential.version == 2

    def test_an_identical_create_that_came_first_is_answered(self, registry: Registry) -> None:
        key = IdempotencyKey("c0ffee00-0000-4000-8000-000000000000", b"f" * 32)
        uids: list[UUID] = []
        registry.sealer.meanwhile.append(lambda: uids.append(registry.create(credential=KEY, key=key).uid))
        assert registry.create(credential=KEY, key=key).uid == uids[0]

    def test_a_provider_deleted_meanwhile_stays_deleted(self, registry: Registry) -> None:
        registry.create()
        registry.sealer.meanwhile.append(
            lambda: delete_provider(registry.ctx, registry.call(), "providers/acme")
        )
        with pytest.raises(Exception, match="does not exist"):
            registry.set_credential()

    def test_one_made_anew_under_its_name_gets_a_credential_of_its_own(self, registry: Registry) -> None:
        registry.create()

        def replace_it() -> None:
            registry.delete()
            registry.create()

        registry.sealer.meanwhile.append(replace_it)
        after = registry.set_credential()
        assert registry.sealer.count == 2
        assert registry.sealed().context.find(after.uid.bytes) >= 0

    def test_too_many_end_in_a_conflict_and_write_nothing(self, registry: Registry) -> None:
        registry.create()
        registry.sealer.meanwhile.extend(
            partial(registry.move, f"https://h{number}.example.com/v1") for number in range(TRIES)
        )
        with pytest.raises(Aborted) as caught:
            registry.set_credential()
        assert caught.value.reason is Reason.CONFLICT
        provider = registry.store.read(lambda unit: unit.providers.get("acme"))
        assert provider is not None
        assert provider.credential is None

    def test_a_moved_provider_with_a_credential_never_follows_without_it(self, registry: Registry) -> None:
        """The guard and the credential's replacement meet: whichever commits first, nothing is retargeted."""
        registry.create(credential=KEY)
        before = registry.sealed().destinations
        with pytest.raises(Exception, match="send the credential again"):
            registry.move("https://b.example.com/v1")
        assert registry.sealed().destinations == before


class TestPrimary:
    def test_is_recorded_when_first_needed(self, registry: Registry) -> None:
        assert registry.store.read(lambda unit: unit.kms.get()).primary_key_version == ""
        registry.create(credential=KEY)
        row = registry.store.read(lambda unit: unit.kms.get())
        assert row.primary_key_version == registry.sealed().key_version == kms_double.KEY_VERSION

    def test_a_preview_records_and_seals_nothing(self, registry: Registry) -> None:
        registry.create(credential=KEY, validate_only=True)
        assert registry.sealer.count == 0
        assert registry.store.read(lambda unit: unit.kms.get()).primary_key_version == ""
        assert registry.store.read(lambda unit: unit.log.head()).revision == 0
