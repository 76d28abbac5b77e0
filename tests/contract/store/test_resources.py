"""Providers, provider models and credentials: what goes in comes out, to the last digit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.errors import AlreadyExists, Reason, ResourceRef
from service.domain.ids import display_name_key
from service.domain.model import (
    ModelSource,
    Pricing,
    PricingTier,
    Provider,
    ProviderConfig,
    ProviderKind,
    ProviderModel,
    SealedCredential,
    State,
)
from service.store import KmsRecord, Store, WriteUnit
from tests.support.values.registry_values import (
    DRY_RUN,
    START,
    ManualClock,
    a_credential,
    a_provider,
    a_provider_model,
)


def with_credential(provider_id: str = "acme", version: int = 1) -> tuple[Provider, SealedCredential]:
    view, sealed = a_credential(version, expire_time=START + timedelta(days=90))
    return a_provider(provider_id, kind=ProviderKind.OPENAI, credential=view), sealed


def created(store: Store, provider: Provider, sealed: SealedCredential | None = None) -> Provider:
    return store.write(lambda unit: unit.providers.insert(provider, sealed))


class TestProviders:
    def test_come_back_as_they_were_stored(self, store: Store) -> None:
        provider, sealed = with_credential()
        provider = replace(
            provider,
            display_name="Ünïcode 例 🎉",
            labels={"team": "blau", "env": ""},
            annotations={"example.org/Note": 'quotes " and \\ and \n lines'},
        )
        stored = created(store, provider, sealed)
        assert store.read(lambda unit: unit.providers.get("acme")) == stored
        assert stored == replace(provider, revision=1, etag=stored.etag, create_time=START, update_time=START)

    def test_are_not_there_unless_created(self, store: Store) -> None:
        assert store.read(lambda unit: (unit.providers.get("acme"), unit.providers.view("acme"))) == (
            None,
            None,
        )

    def test_views_count_models(self, store: Store) -> None:
        created(store, a_provider("acme"))
        created(store, a_provider("other"))
        models = [a_provider_model("a"), a_provider_model("b"), a_provider_model("c", state=State.DISABLED)]
        store.write(
            lambda unit: unit.provider_models.insert([*models, a_provider_model("a", provider_id="other")])
        )
        view = store.read(lambda unit: unit.providers.view("acme"))
        assert view is not None
        assert (view.model_count, view.active_model_count) == (3, 2)

    def test_are_found_by_folded_display_name(self, store: Store) -> None:
        created(store, a_provider("acme", display_name="Straße ﬁx"))
        key = display_name_key("STRASSE FIX")
        assert store.read(lambda unit: unit.providers.by_display_name_key(key)) == "acme"
        assert store.read(lambda unit: unit.providers.by_display_name_key("other")) is None

    def test_deleting_takes_models_credential_and_data_key(self, store: Store) -> None:
        provider, sealed = with_credential()
        stored = created(store, provider, sealed)
        created(store, a_provider("other"))
        store.write(
            lambda unit: unit.provider_models.insert(
                [a_provider_model("a"), a_provider_model("a", provider_id="other")]
            )
        )
        assert store.write(lambda unit: unit.providers.delete(stored)) == 1
        assert store.read(lambda unit: unit.providers.get("acme")) is None
        assert store.read(lambda unit: unit.provider_models.of("acme")) == []
        assert len(store.read(lambda unit: unit.provider_models.of("other"))) == 1
        assert store.read(lambda unit: unit.providers.sealed_credentials(["acme"])) == {}
        # The same data key may be stored again only because its row is gone.
        assert created(store, replace(provider, provider_id="again"), sealed).revision == 5


class TestUniqueness:
    def test_provider_id(self, store: Store) -> None:
        created(store, a_provider("acme"))
        with pytest.raises(AlreadyExists) as taken:
            created(store, a_provider("acme", display_name="Another"))
        assert taken.value.reason is Reason.NAME_TAKEN
        assert taken.value.resource == ResourceRef("codevector/Provider", "providers/acme")

    def test_display_name_whatever_its_case(self, store: Store) -> None:
        created(store, a_provider("acme", display_name="Acme"))
        with pytest.raises(AlreadyExists) as taken:
            created(store, a_provider("other", display_name="\uff21CME"))
        assert taken.value.reason is Reason.DISPLAY_NAME_TAKEN
        assert taken.value.resource == ResourceRef("codevector/Provider", "providers/acme")
        assert "CME" not in taken.value.message

    def test_display_name_on_rename(self, store: Store) -> None:
        created(store, a_provider("acme", display_name="Acme"))
        other = created(store, a_provider("other", display_name="Other"))
        with pytest.raises(AlreadyExists) as taken:
            store.write(lambda unit: unit.providers.update(other, replace(other, display_name="acme")))
        assert taken.value.reason is Reason.DISPLAY_NAME_TAKEN
        assert store.read(lambda unit: unit.log.head()).revision == 2

    def test_a_provider_may_change_the_case_of_its_own_name(self, store: Store) -> None:
        acme = created(store, a_provider("acme", display_name="Acme"))
        assert (
            store.write(
                lambda unit: unit.providers.update(acme, replace(acme, display_name="ACME"))
            ).display_name
            == "ACME"
        )

    @pytest.mark.parametrize(
        ("second", "reason", "holder"),
        [
            pytest.param(
                a_provider_model("a", upstream_model_id="other"), Reason.NAME_TAKEN, "a", id="model id"
            ),
            pytest.param(
                a_provider_model("b", upstream_model_id="up"),
                Reason.UPSTREAM_MODEL_EXISTS,
                "a",
                id="upstream id",
            ),
        ],
    )
    @pytest.mark.parametrize("together", [False, True], ids=["later", "in one call"])
    def test_model_ids(
        self, store: Store, second: ProviderModel, reason: Reason, holder: str, together: bool
    ) -> None:
        created(store, a_provider("acme"))
        first = a_provider_model("a", upstream_model_id="up")

        def work(unit: WriteUnit) -> None:
            if together:
                unit.provider_models.insert([first, second])
            else:
                unit.provider_models.insert([first])
                unit.provider_models.insert([second])

        with pytest.raises(AlreadyExists) as taken:
            store.write(work)
        assert taken.value.reason is reason
        assert taken.value.resource == ResourceRef(
            "codevector/ProviderModel", f"providers/acme/models/{holder}"
        )
        assert store.read(lambda unit: unit.provider_models.of("acme")) == []

    def test_upstream_ids_of_other_providers_do_not_matter(self, store: Store) -> None:
        for provider_id in ("acme", "other"):
            created(store, a_provider(provider_id))
        models = [a_provider_model("a"), a_provider_model("a", provider_id="other")]
        assert len(store.write(lambda unit: unit.provider_models.insert(models))) == 2

    def test_a_unit_may_go_on_after_a_refusal(self, store: Store) -> None:
        created(store, a_provider("acme"))

        def work(unit: WriteUnit) -> Provider:
            try:
                return unit.providers.insert(a_provider("acme", display_name="B"), None)
            except AlreadyExists:
                return unit.providers.insert(a_provider("acme-2", display_name="B"), None)

        assert store.write(work).revision == 2


class TestProviderModels:
    @pytest.mark.parametrize("source", list(ModelSource), ids=lambda source: source.name.lower())
    def test_come_back_as_they_were_stored(self, store: Store, source: ModelSource) -> None:
        created(store, a_provider("acme"))
        model = a_provider_model("fast-1", source=source, labels={"tier": "gold"})
        [stored] = store.write(lambda unit: unit.provider_models.insert([model]))
        assert store.read(lambda unit: unit.provider_models.get("acme", "fast-1")) == stored
        assert stored == replace(model, revision=2, etag=stored.etag)

    def test_are_listed_by_id(self, store: Store) -> None:
        created(store, a_provider("acme"))
        store.write(
            lambda unit: unit.provider_models.insert(
                [a_provider_model(name) for name in ("b", "a.1", "a-1", "10", "9")]
            )
        )
        names = [model.model_id for model in store.read(lambda unit: unit.provider_models.of("acme"))]
        assert names == ["10", "9", "a-1", "a.1", "b"]

    def test_are_found_by_upstream_id(self, store: Store) -> None:
        created(store, a_provider("acme"))
        store.write(lambda unit: unit.provider_models.insert([a_provider_model("a"), a_provider_model("b")]))
        assert store.read(lambda unit: unit.provider_models.upstream_ids("acme")) == {
            "vendor/a:0": "a",
            "vendor/b:0": "b",
        }

    def test_inserting_none_is_nothing(self, store: Store) -> None:
        assert store.write(lambda unit: unit.provider_models.insert([])) == []
        assert store.read(lambda unit: unit.log.head()).revision == 0

    def test_changing_one_into_itself_is_nothing(self, store: Store, clock: ManualClock) -> None:
        created(store, a_provider("acme"))
        [model] = store.write(lambda unit: unit.provider_models.insert([a_provider_model()]))
        clock.advance(days=1)
        assert (
            store.write(lambda unit: unit.provider_models.update(model, replace(model, revision=0))) == model
        )
        assert store.read(lambda unit: unit.log.head()).revision == 2

    def test_prices_keep_every_digit(self, store: Store) -> None:
        prices = st.none() | st.from_regex(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?", fullmatch=True)
        tiers = st.builds(
            PricingTier,
            above_input_tokens=st.integers(1, 10**8),
            input=prices,
            output=prices,
            cached_input=prices,
            cache_write=prices,
        )
        pricings = st.none() | st.builds(
            Pricing,
            currency_code=st.just("USD"),
            input=prices,
            output=prices,
            cached_input=prices,
            cache_write=prices,
            tiers=st.lists(tiers, max_size=3).map(tuple),
        )
        created(store, a_provider("acme"))
        store.write(lambda unit: unit.provider_models.insert([a_provider_model("m")]))

        @settings(max_examples=25, deadline=None)
        @given(pricings)
        def check(pricing: Pricing | None) -> None:
            def work(unit: WriteUnit) -> None:
                before = unit.provider_models.get("acme", "m")
                assert before is not None
                unit.provider_models.update(
                    before, replace(before, facts=replace(before.facts, pricing=pricing))
                )

            store.write(work)
            after = store.read(lambda unit: unit.provider_models.get("acme", "m"))
            assert after is not None
            assert after.facts.pricing == pricing

        check()


class TestCredentials:
    def test_come_back_as_they_were_sealed(self, store: Store) -> None:
        provider, sealed = with_credential()
        created(store, provider, sealed)
        created(store, a_provider("bare"))
        assert store.read(lambda unit: unit.providers.sealed_credentials(["bare", "acme", "nobody"])) == {
            "acme": sealed
        }
        assert store.read(lambda unit: unit.providers.sealed_credentials([])) == {}

    def test_replacing_keeps_one(self, store: Store) -> None:
        provider, first = with_credential()
        before = created(store, provider, first)
        view, second = a_credential(version=2)
        after = store.write(
            lambda unit: unit.providers.update(before, replace(before, credential=view), second)
        )
        assert (after.credential, after.revision) == (view, 2)
        assert store.read(lambda unit: unit.providers.sealed_credentials(["acme"])) == {"acme": second}
        # The old data key's row is gone: storing it again is no clash.
        assert created(store, *with_data_key_of(first)).revision == 3

    def test_a_first_one_may_come_later(self, store: Store) -> None:
        before = created(store, a_provider("acme", kind=ProviderKind.GROQ))
        view, sealed = a_credential()
        store.write(lambda unit: unit.providers.update(before, replace(before, credential=view), sealed))
        assert store.read(lambda unit: unit.providers.sealed_credentials(["acme"])) == {"acme": sealed}

    def test_never_change_without_being_sealed(self, store: Store) -> None:
        provider, sealed = with_credential()
        before = created(store, provider, sealed)
        with pytest.raises(ValueError, match="sealed form"):
            store.write(lambda unit: unit.providers.update(before, replace(before, credential=None)))

    def test_are_not_shown_as_another_than_was_sealed(self, store: Store) -> None:
        provider, _ = with_credential()
        _, other = a_credential(version=9)
        for sealed in (None, other):
            with pytest.raises(ValueError, match="not what was sealed"):
                created(store, provider, sealed)
        assert store.read(lambda unit: unit.log.head()).revision == 0

    def test_renaming_leaves_them_alone(self, store: Store) -> None:
        provider, sealed = with_credential()
        before = created(store, provider, sealed)
        after = replace(before, display_name="New", config=ProviderConfig())
        store.write(lambda unit: unit.providers.update(before, after))
        assert store.read(lambda unit: unit.providers.sealed_credentials(["acme"])) == {"acme": sealed}


def with_data_key_of(sealed: SealedCredential) -> tuple[Provider, SealedCredential]:
    view, fresh = a_credential()
    return a_provider("again", credential=view), replace(fresh, dek_id=sealed.dek_id)


class TestRegistry:
    def test_is_empty_at_first(self, store: Store) -> None:
        assert store.read(lambda unit: unit.kms.get()) == KmsRecord(None, "", (), 0)

    def test_remembers_the_last_record(self, store: Store) -> None:
        first = KmsRecord(b"\x00" * 16, "keyVersions/a", ("keyVersions/a",), 1)
        second = KmsRecord(b"\xff" * 16, "keyVersions/b", ("keyVersions/a", "keyVersions/b"), 2**40)
        for row in (first, second, second):
            store.write(lambda unit, row=row: unit.kms.record(row))  # type: ignore[misc]
            assert store.read(lambda unit: unit.kms.get()) == row


class TestRememberedRequests:
    def remember(self, store: Store, request_id: str, resource: str) -> None:
        store.write(
            lambda unit: unit.requests.remember(
                "alice", "CreateProvider", request_id, b"\x00fingerprint", resource, ttl=timedelta(hours=24)
            )
        )

    def test_are_those_of_the_caller_and_method(self, store: Store) -> None:
        self.remember(store, "id-1", "providers/acme")

        def asked(principal: str, method: str, request_id: str) -> str | None:
            found = store.read(lambda unit: unit.requests.get(principal, method, request_id))
            return found.resource if found else None

        assert asked("alice", "CreateProvider", "id-1") == "providers/acme"
        assert asked("bob", "CreateProvider", "id-1") is None
        assert asked("alice", "DeleteProvider", "id-1") is None
        assert asked("alice", "CreateProvider", "id-2") is None

    def test_expire(self, store: Store, clock: ManualClock) -> None:
        self.remember(store, "id-1", "providers/acme")
        clock.advance(hours=24, microseconds=-1)
        assert store.read(lambda unit: unit.requests.get("alice", "CreateProvider", "id-1"))
        clock.advance(microseconds=1)
        assert store.read(lambda unit: unit.requests.get("alice", "CreateProvider", "id-1")) is None
        self.remember(store, "id-1", "providers/other")
        found = store.read(lambda unit: unit.requests.get("alice", "CreateProvider", "id-1"))
        assert found is not None
        assert (found.resource, found.fingerprint) == ("providers/other", b"\x00fingerprint")

    def test_go_with_a_unit_that_is_rolled_back(self, store: Store) -> None:
        def work(unit: WriteUnit) -> None:
            unit.providers.insert(a_provider(), None)
            unit.requests.remember("a", "m", "r", b"f", "providers/acme", ttl=timedelta(hours=24))

        store.write(work, DRY_RUN)
        assert store.read(lambda unit: unit.requests.get("a", "m", "r")) is None
