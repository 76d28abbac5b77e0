"""Providers: created with and without a credential, changed, disabled, deleted with what hangs on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.domain.calls import IdempotencyKey
from service.domain.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Reason,
    Unavailable,
)
from service.domain.model import ModelBackend, Provider, ProviderConfig, ProviderKind, State
from service.usecases import providers
from service.usecases.context import Context
from service.usecases.models import create_model, get_model
from service.usecases.provider_models import create_provider_model
from tests.support.servers.key_sidecar import KeySidecar
from tests.support.values.drafts import (
    an_api_key,
    model_draft,
    openai_draft,
    provider_draft,
    provider_model_draft,
)
from tests.support.values.registry_values import A_CALL, DRY_RUN

NAME = "providers/acme"
WRITTEN = ("display_name", "config", "labels", "annotations")
EVERYTHING = provider_draft(
    NAME,
    base_url="https://other.example/v1",
    display_name="Other",
    labels={"team": "blue"},
    annotations={"note": "x"},
    populated=frozenset(WRITTEN),
)


@pytest.fixture
def acme(ctx: Context) -> Provider:
    return providers.create_provider(ctx, A_CALL, provider_draft()).value.provider


def stored(ctx: Context) -> Provider:
    return providers.get_provider(ctx, NAME).provider


class TestCreate:
    def test_is_there_afterwards_under_an_id_of_its_name(self, ctx: Context, acme: Provider) -> None:
        assert (acme.name, acme.state, acme.credential) == (NAME, State.ACTIVE, None)
        assert stored(ctx) == acme

    def test_an_id_that_is_taken_is_stepped_around_and_a_name_is_refused(
        self, ctx: Context, acme: Provider
    ) -> None:
        with pytest.raises(AlreadyExists):
            providers.create_provider(ctx, A_CALL, provider_draft(display_name="ACME"))
        made = providers.create_provider(ctx, A_CALL, provider_draft(display_name="acme!"))
        assert made.value.provider.provider_id == "acme-2"

    def test_may_start_disabled(self, ctx: Context) -> None:
        made = providers.create_provider(ctx, A_CALL, provider_draft(), start_disabled=True)
        assert made.value.provider.state is State.DISABLED

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"kind": None}, id="no kind"),
            pytest.param({"config": ProviderConfig()}, id="no base URL"),
            pytest.param(
                {"config": ProviderConfig({"base_url": "http://127.0.0.1/v1"})}, id="a loopback URL"
            ),
            pytest.param({"config_kind": ProviderKind.GROQ}, id="another kind's settings"),
            pytest.param({"display_name": ""}, id="no name"),
            pytest.param({"labels": {"team": "a\nb"}}, id="a bad label"),
        ],
    )
    def test_refuses(self, ctx: Context, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgument):
            providers.create_provider(ctx, A_CALL, provider_draft(**changes))
        assert ctx.store.read(lambda unit: unit.log.head().revision) == 0

    def test_a_dry_run_leaves_nothing(self, ctx: Context) -> None:
        assert providers.create_provider(ctx, DRY_RUN, provider_draft()).value.provider.name == NAME
        with pytest.raises(NotFound):
            stored(ctx)

    def test_a_repeated_request_returns_what_the_first_made(self, ctx: Context) -> None:
        call = replace(A_CALL, key=IdempotencyKey("once", bytes(32)))
        first = providers.create_provider(ctx, call, provider_draft()).value
        assert providers.create_provider(ctx, call, provider_draft()).value == first


class TestUpdate:
    @pytest.mark.parametrize("field", WRITTEN)
    def test_writes_the_masked_field_and_no_other(self, ctx: Context, acme: Provider, field: str) -> None:
        providers.update_provider(ctx, A_CALL, EVERYTHING, paths=[field])
        after = stored(ctx)
        for each in WRITTEN:
            assert getattr(after, each) == getattr(EVERYTHING if each == field else acme, each), each
        assert (after.uid, after.kind, after.state) == (acme.uid, acme.kind, acme.state)

    def test_a_dry_run_leaves_it(self, ctx: Context, acme: Provider) -> None:
        answer = providers.update_provider(ctx, DRY_RUN, EVERYTHING)
        assert answer.value.provider.display_name == "Other"
        assert stored(ctx) == acme

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            pytest.param({"etag": "stale"}, Aborted, id="a stale etag"),
            pytest.param({"name": "providers/none"}, NotFound, id="none"),
            pytest.param({"display_name": " x"}, InvalidArgument, id="a bad name"),
        ],
    )
    def test_refuses(
        self, ctx: Context, acme: Provider, changes: dict[str, Any], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            providers.update_provider(ctx, A_CALL, replace(EVERYTHING, **changes))
        assert stored(ctx) == acme

    def test_allow_missing_creates(self, ctx: Context) -> None:
        providers.update_provider(ctx, A_CALL, EVERYTHING, allow_missing=True)
        assert stored(ctx).display_name == "Other"


class TestCredential:
    def test_is_sealed_and_only_a_router_opens_it(self, sealing: Context, sidecar: KeySidecar) -> None:
        made = providers.create_provider(sealing, A_CALL, openai_draft(), credential=an_api_key())
        shown = made.value.provider.credential
        assert shown is not None
        assert (shown.version, shown.prefix) == (1, "sk-0123")
        [sealed] = sealing.store.read(lambda unit: unit.providers.sealed_credentials(["acme"])).values()
        assert sidecar.opens(sealed)
        assert b"0123456789abcdef" not in sealed.envelope

    def test_a_new_one_takes_the_next_version(self, sealing: Context, sidecar: KeySidecar) -> None:
        providers.create_provider(sealing, A_CALL, openai_draft(), credential=an_api_key())
        with pytest.raises(Aborted) as refused:
            providers.set_provider_credential(sealing, A_CALL, NAME, an_api_key(), expected_version=2)
        assert refused.value.reason is Reason.CREDENTIAL_VERSION_MISMATCH
        providers.set_provider_credential(
            sealing, A_CALL, NAME, an_api_key("sk-another-0123456789abcdef"), expected_version=1
        )
        shown = stored(sealing).credential
        assert shown is not None
        assert (shown.version, shown.prefix) == (2, "sk-anot")
        [sealed] = sealing.store.read(lambda unit: unit.providers.sealed_credentials(["acme"])).values()
        assert (sealed.version, sidecar.opens(sealed)) == (2, True)

    def test_a_dry_run_seals_nothing(self, ctx: Context) -> None:
        made = providers.create_provider(ctx, DRY_RUN, openai_draft(), credential=an_api_key())
        assert made.value.provider.credential is not None
        with pytest.raises(NotFound):
            stored(ctx)

    def test_without_a_sidecar_nothing_is_written(self, ctx: Context) -> None:
        with pytest.raises(Unavailable) as refused:
            providers.create_provider(ctx, A_CALL, openai_draft(), credential=an_api_key())
        assert refused.value.reason is Reason.KMS_UNAVAILABLE
        assert ctx.store.read(lambda unit: unit.log.head().revision) == 0

    def test_another_destination_asks_for_it_again(self, sealing: Context) -> None:
        providers.create_provider(sealing, A_CALL, provider_draft(), credential=an_api_key())
        with pytest.raises(FailedPrecondition) as refused:
            providers.update_provider(sealing, A_CALL, EVERYTHING)
        assert refused.value.reason is Reason.CREDENTIAL_REENTRY_REQUIRED
        providers.update_provider(sealing, A_CALL, EVERYTHING, credential=an_api_key())
        assert stored(sealing).config == EVERYTHING.config


class TestState:
    def test_is_what_was_asked_for_and_repeating_it_takes_no_revision(
        self, ctx: Context, acme: Provider
    ) -> None:
        first = providers.set_provider_state(ctx, A_CALL, NAME, State.DISABLED)
        assert stored(ctx).state is State.DISABLED
        assert providers.set_provider_state(ctx, A_CALL, NAME, State.DISABLED) == first

    def test_a_stale_etag_is_refused(self, ctx: Context, acme: Provider) -> None:
        with pytest.raises(Aborted):
            providers.set_provider_state(ctx, A_CALL, NAME, State.DISABLED, etag="stale")
        assert stored(ctx) == acme


class TestDelete:
    @pytest.fixture
    def wired(self, ctx: Context, acme: Provider) -> str:
        create_provider_model(ctx, A_CALL, NAME, provider_model_draft())
        draft = model_draft("", ModelBackend("acme", "fast-1"))
        return create_model(ctx, A_CALL, "smart", draft).value.model.name

    def test_one_with_models_is_kept_unless_forced(self, ctx: Context, wired: str) -> None:
        with pytest.raises(FailedPrecondition) as refused:
            providers.delete_provider(ctx, A_CALL, NAME)
        assert refused.value.reason is Reason.PROVIDER_HAS_MODELS
        preview = providers.delete_provider(ctx, DRY_RUN, NAME).value
        assert (preview.provider_model_count, preview.models_left_unroutable) == (1, (wired,))
        done = providers.delete_provider(ctx, A_CALL, NAME, force=True, impact_token=preview.impact_token)
        assert done.value == preview
        with pytest.raises(NotFound):
            stored(ctx)
        assert get_model(ctx, wired).model.backends == ()

    def test_does_not_outlive_its_preview(self, ctx: Context, wired: str) -> None:
        token = providers.delete_provider(ctx, DRY_RUN, NAME).value.impact_token
        create_provider_model(ctx, A_CALL, NAME, provider_model_draft(upstream_model_id="two"))
        with pytest.raises(Aborted) as refused:
            providers.delete_provider(ctx, A_CALL, NAME, force=True, impact_token=token)
        assert refused.value.reason is Reason.IMPACT_CHANGED

    def test_its_data_key_goes_with_it(self, sealing: Context) -> None:
        providers.create_provider(sealing, A_CALL, openai_draft(), credential=an_api_key())
        assert providers.delete_provider(sealing, A_CALL, NAME).value.credential_destroyed
        assert sealing.store.read(lambda unit: unit.providers.sealed_credentials(["acme"])) == {}

    def test_of_one_that_is_not_there(self, ctx: Context) -> None:
        with pytest.raises(NotFound):
            providers.delete_provider(ctx, A_CALL, NAME)
        done = providers.delete_provider(ctx, A_CALL, NAME, allow_missing=True)
        assert done.value == providers.NOTHING_DELETED
