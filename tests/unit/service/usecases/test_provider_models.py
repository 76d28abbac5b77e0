"""Provider models: added by hand, changed field by field with what was edited remembered, and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from service.domain.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Reason,
)
from service.domain.impact import DeletionImpact
from service.domain.imports import ImportChoices
from service.domain.model import (
    ModelBackend,
    ModelCapability,
    ModelSource,
    Pricing,
    ProviderModel,
    State,
)
from service.usecases import provider_models
from service.usecases.context import Context
from service.usecases.imports import import_provider_models
from service.usecases.models import create_model, get_model
from service.usecases.providers import create_provider
from tests.support.values.drafts import model_draft, openai_draft, provider_draft, provider_model_draft
from tests.support.values.registry_values import A_CALL, DRY_RUN, START

NAME = "providers/acme/models/fast-1"
PRICING = Pricing(currency_code="USD", input="2.5", output="10")
CHANGES: Mapping[str, Any] = {
    "display_name": "Fast",
    "context_window": 4096,
    "max_output_tokens": 1024,
    "embedding_dimensions": 8,
    "pricing": PRICING,
    "capabilities": (ModelCapability.TOOLS,),
    "retire_time": START,
    "labels": {"team": "blue"},
}


@pytest.fixture(autouse=True)
def provider(ctx: Context) -> None:
    create_provider(ctx, A_CALL, provider_draft(), provider_id="acme")


@pytest.fixture
def fast(ctx: Context) -> ProviderModel:
    draft = provider_model_draft(upstream_model_id="Fast-1")
    return provider_models.create_provider_model(ctx, A_CALL, "providers/acme", draft).value.model


@pytest.fixture
def imported(ctx: Context) -> ProviderModel:
    create_provider(ctx, A_CALL, openai_draft(display_name="OpenAI"), provider_id="openai")
    import_provider_models(ctx, A_CALL, "providers/openai", ImportChoices())
    return stored(ctx, "providers/openai/models/wide-1")


def stored(ctx: Context, name: str = NAME) -> ProviderModel:
    return provider_models.get_provider_model(ctx, name).model


def value(model: ProviderModel, field: str) -> object:
    return model.labels if field == "labels" else getattr(model.facts, field)


class TestCreate:
    def test_is_there_afterwards_under_an_id_of_its_upstream_id(
        self, ctx: Context, fast: ProviderModel
    ) -> None:
        view = provider_models.get_provider_model(ctx, NAME)
        assert view.model == fast
        assert (fast.source, fast.state, view.routable) == (ModelSource.CUSTOM, State.ACTIVE, True)

    def test_an_id_that_is_taken_is_stepped_around(self, ctx: Context, fast: ProviderModel) -> None:
        other = provider_model_draft(upstream_model_id="fast 1")
        made = provider_models.create_provider_model(ctx, A_CALL, "providers/acme", other).value.model
        assert made.model_id == "fast-1-2"

    @pytest.mark.parametrize(
        ("upstream_model_id", "model_id", "reason"),
        [
            pytest.param("Fast-1", "other", Reason.UPSTREAM_MODEL_EXISTS, id="upstream id"),
            pytest.param("other", "fast-1", Reason.NAME_TAKEN, id="id"),
        ],
    )
    def test_refuses_what_is_there(
        self, ctx: Context, fast: ProviderModel, upstream_model_id: str, model_id: str, reason: Reason
    ) -> None:
        draft = provider_model_draft(upstream_model_id=upstream_model_id)
        with pytest.raises(AlreadyExists) as refused:
            provider_models.create_provider_model(ctx, A_CALL, "providers/acme", draft, model_id=model_id)
        assert refused.value.reason is reason

    def test_refuses_a_provider_that_is_not_there(self, ctx: Context) -> None:
        with pytest.raises(NotFound):
            provider_models.create_provider_model(ctx, A_CALL, "providers/none", provider_model_draft())

    def test_a_dry_run_leaves_nothing(self, ctx: Context) -> None:
        provider_models.create_provider_model(ctx, DRY_RUN, "providers/acme", provider_model_draft())
        with pytest.raises(NotFound):
            stored(ctx)


class TestUpdate:
    @pytest.mark.parametrize("field", CHANGES)
    def test_writes_the_masked_field_and_no_other(
        self, ctx: Context, fast: ProviderModel, field: str
    ) -> None:
        draft = provider_model_draft(NAME, **{**CHANGES, "upstream_model_id": "Fast-1"})
        provider_models.update_provider_model(ctx, A_CALL, draft, paths=[field])
        after = stored(ctx)
        for each, wanted in CHANGES.items():
            assert value(after, each) == (wanted if each == field else value(fast, each)), each
        assert (after.facts.kind, after.state, after.overridden_fields) == (fast.facts.kind, fast.state, ())

    def test_an_imported_one_remembers_what_was_edited(self, ctx: Context, imported: ProviderModel) -> None:
        draft = provider_model_draft(
            imported.name, upstream_model_id="wide-1", display_name="Ours", context_window=128_000
        )
        provider_models.update_provider_model(ctx, A_CALL, draft, paths=["display_name", "context_window"])
        after = stored(ctx, imported.name)
        assert (after.overridden_fields, after.imported) == (("display_name",), imported.imported)
        back = provider_model_draft(imported.name, upstream_model_id="wide-1", display_name="Wide-1")
        provider_models.update_provider_model(ctx, A_CALL, back, paths=["display_name"])
        assert stored(ctx, imported.name).overridden_fields == ()

    @pytest.mark.parametrize(
        ("changes", "paths", "error"),
        [
            pytest.param({"etag": "stale"}, ["labels"], Aborted, id="a stale etag"),
            pytest.param({"name": "providers/acme/models/none"}, ["labels"], NotFound, id="none"),
            pytest.param({}, ["upstream_model_id"], InvalidArgument, id="the upstream id"),
            pytest.param({"labels": {"team": "a\nb"}}, ["labels"], InvalidArgument, id="a bad label"),
        ],
    )
    def test_refuses(
        self,
        ctx: Context,
        fast: ProviderModel,
        changes: Mapping[str, Any],
        paths: list[str],
        error: type[Exception],
    ) -> None:
        draft = provider_model_draft(**{"name": NAME, "upstream_model_id": "other", **changes})
        with pytest.raises(error):
            provider_models.update_provider_model(ctx, A_CALL, draft, paths=paths)
        assert stored(ctx) == fast

    def test_a_dry_run_leaves_it(self, ctx: Context, fast: ProviderModel) -> None:
        draft = provider_model_draft(NAME, display_name="Fast")
        answer = provider_models.update_provider_model(ctx, DRY_RUN, draft, paths=["display_name"])
        assert answer.value.model.facts.display_name == "Fast"
        assert stored(ctx) == fast

    def test_allow_missing_creates(self, ctx: Context) -> None:
        provider_models.update_provider_model(
            ctx, A_CALL, provider_model_draft(NAME, upstream_model_id="Fast-1"), allow_missing=True
        )
        assert stored(ctx).facts.upstream_model_id == "Fast-1"


class TestState:
    def test_a_disabled_one_is_not_routable(self, ctx: Context, fast: ProviderModel) -> None:
        answer = provider_models.set_provider_model_state(ctx, A_CALL, NAME, State.DISABLED)
        assert (answer.value.model.state, answer.value.routable) == (State.DISABLED, False)
        assert provider_models.get_provider_model(ctx, NAME) == answer.value

    def test_a_stale_etag_is_refused(self, ctx: Context, fast: ProviderModel) -> None:
        with pytest.raises(Aborted):
            provider_models.set_provider_model_state(ctx, A_CALL, NAME, State.DISABLED, etag="stale")


class TestDelete:
    @pytest.fixture
    def wired(self, ctx: Context, fast: ProviderModel) -> str:
        draft = model_draft("", ModelBackend("acme", "fast-1"))
        return create_model(ctx, A_CALL, "smart", draft).value.model.name

    def test_one_that_nothing_leads_to_goes(self, ctx: Context, fast: ProviderModel) -> None:
        impact = provider_models.delete_provider_model(ctx, A_CALL, NAME).value
        assert (impact.provider_models, impact.backend_count) == ((NAME,), 0)
        with pytest.raises(NotFound):
            stored(ctx)

    def test_one_with_wires_is_kept_unless_forced(self, ctx: Context, wired: str) -> None:
        with pytest.raises(FailedPrecondition) as refused:
            provider_models.delete_provider_model(ctx, A_CALL, NAME)
        assert refused.value.reason is Reason.MODEL_HAS_BACKENDS
        impact = provider_models.delete_provider_model(ctx, A_CALL, NAME, force=True).value
        assert (impact.backend_count, impact.models_left_unroutable) == (1, (wired,))
        assert get_model(ctx, wired).model.backends == ()

    def test_the_preview_tells_the_same_and_holds_the_deletion_to_it(self, ctx: Context, wired: str) -> None:
        preview = provider_models.delete_provider_model(ctx, DRY_RUN, NAME).value
        assert preview.impact_token
        create_model(ctx, A_CALL, "other", model_draft("", ModelBackend("acme", "fast-1"), display_name="O"))
        with pytest.raises(Aborted) as refused:
            provider_models.delete_provider_model(
                ctx, A_CALL, NAME, force=True, impact_token=preview.impact_token
            )
        assert refused.value.reason is Reason.IMPACT_CHANGED
        again = provider_models.delete_provider_model(ctx, DRY_RUN, NAME).value
        done = provider_models.delete_provider_model(
            ctx, A_CALL, NAME, force=True, impact_token=again.impact_token
        )
        assert done.value == again

    def test_of_one_that_is_not_there(self, ctx: Context) -> None:
        with pytest.raises(NotFound):
            provider_models.delete_provider_model(ctx, A_CALL, NAME)
        done = provider_models.delete_provider_model(ctx, A_CALL, NAME, allow_missing=True)
        assert done.value == DeletionImpact()
