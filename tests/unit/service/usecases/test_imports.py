"""Imports from the bundled catalog: what is created, skipped and refreshed, and what stands in the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.calls import IdempotencyKey
from service.domain.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound, Reason
from service.domain.imports import Action, ExistingPolicy, ImportChoices
from service.domain.model import ModelSource, State
from service.usecases.context import Context, Written
from service.usecases.imports import ImportReport, import_provider_models
from service.usecases.provider_models import (
    create_provider_model,
    get_provider_model,
    update_provider_model,
)
from service.usecases.providers import create_provider
from tests.support.values.drafts import openai_draft, provider_draft, provider_model_draft
from tests.support.values.registry_values import A_CALL, DRY_RUN

NAME = "providers/openai"
OLD, NEW = "2026.01.15", "2026.04.15"
REFRESH = ImportChoices(existing_policy=ExistingPolicy.REFRESH)


@pytest.fixture(autouse=True)
def provider(ctx: Context) -> None:
    create_provider(ctx, A_CALL, openai_draft(), provider_id="openai")


def actions(report: Written[ImportReport]) -> dict[str, Action]:
    return {each.upstream_model_id: each.action for each in report.value.plan.models}


def head(ctx: Context) -> int:
    return ctx.store.read(lambda unit: unit.log.head().revision)


class TestImport:
    def test_creates_all_of_the_newest_release_in_one_revision(self, ctx: Context) -> None:
        before = head(ctx)
        report = import_provider_models(ctx, A_CALL, NAME, ImportChoices())
        assert (report.value.catalog_version, report.revision) == (NEW, before + 1)
        assert actions(report) == {"narrow-1": Action.CREATED, "wide-1": Action.CREATED}
        made = get_provider_model(ctx, f"{NAME}/models/wide-1").model
        assert (made.source, made.catalog_version, made.imported) == (ModelSource.CATALOG, NEW, made.facts)
        assert made.state is State.ACTIVE

    def test_a_selection_of_another_release_disabled(self, ctx: Context) -> None:
        choices = ImportChoices(upstream_model_ids=("wide-1",), start_disabled=True)
        report = import_provider_models(ctx, A_CALL, NAME, choices, catalog_version=OLD)
        assert (report.value.catalog_version, actions(report)) == (OLD, {"wide-1": Action.CREATED})
        assert get_provider_model(ctx, f"{NAME}/models/wide-1").model.state is State.DISABLED

    def test_what_is_there_is_skipped(self, ctx: Context) -> None:
        import_provider_models(ctx, A_CALL, NAME, ImportChoices(), catalog_version=OLD)
        report = import_provider_models(ctx, A_CALL, NAME, ImportChoices())
        assert actions(report)["wide-1"] is Action.SKIPPED_EXISTING
        assert get_provider_model(ctx, f"{NAME}/models/wide-1").model.catalog_version == OLD

    def test_a_dry_run_plans_the_same_and_creates_nothing(self, ctx: Context) -> None:
        before = head(ctx)
        plan = import_provider_models(ctx, DRY_RUN, NAME, ImportChoices()).value.plan
        assert head(ctx) == before
        done = import_provider_models(ctx, A_CALL, NAME, ImportChoices(), plan_digest=plan.digest)
        assert done.value.plan == plan

    def test_a_plan_that_has_changed_is_not_carried_out(self, ctx: Context) -> None:
        digest = import_provider_models(ctx, DRY_RUN, NAME, ImportChoices()).value.plan.digest
        create_provider_model(ctx, A_CALL, NAME, provider_model_draft(upstream_model_id="wide-1"))
        with pytest.raises(Aborted) as refused:
            import_provider_models(ctx, A_CALL, NAME, ImportChoices(), plan_digest=digest)
        assert refused.value.reason is Reason.PLAN_CHANGED

    def test_a_repeated_request_creates_nothing_again(self, ctx: Context) -> None:
        call = replace(A_CALL, key=IdempotencyKey("once", bytes(32)))
        import_provider_models(ctx, call, NAME, ImportChoices())
        before = head(ctx)
        import_provider_models(ctx, call, NAME, ImportChoices())
        assert head(ctx) == before


class TestRefresh:
    def test_takes_the_new_release_and_keeps_what_was_edited(self, ctx: Context) -> None:
        import_provider_models(ctx, A_CALL, NAME, ImportChoices(), catalog_version=OLD)
        name = f"{NAME}/models/wide-1"
        edited = provider_model_draft(name, upstream_model_id="wide-1", display_name="Ours")
        update_provider_model(ctx, A_CALL, edited, paths=["display_name"])
        report = import_provider_models(ctx, A_CALL, NAME, REFRESH)
        assert actions(report)["narrow-1"] is Action.CREATED
        after = get_provider_model(ctx, name).model
        assert (after.catalog_version, after.facts.display_name) == (NEW, "Ours")
        assert after.overridden_fields == ("display_name",)

    def test_leaves_a_custom_model_until_it_is_adopted(self, ctx: Context) -> None:
        create_provider_model(ctx, A_CALL, NAME, provider_model_draft(upstream_model_id="wide-1"))
        only = replace(REFRESH, existing_only=True)
        assert actions(import_provider_models(ctx, A_CALL, NAME, only)) == {"wide-1": Action.KEPT_CUSTOM}
        adopting = replace(REFRESH, adopt_custom=True, upstream_model_ids=("wide-1",))
        assert actions(import_provider_models(ctx, A_CALL, NAME, adopting)) == {"wide-1": Action.ADOPTED}
        assert get_provider_model(ctx, f"{NAME}/models/wide-1").model.source is ModelSource.CATALOG


class TestRefusals:
    def test_of_a_provider_that_is_not_there(self, ctx: Context) -> None:
        with pytest.raises(NotFound):
            import_provider_models(ctx, A_CALL, "providers/none", ImportChoices())

    def test_of_a_kind_without_a_catalog(self, ctx: Context) -> None:
        create_provider(ctx, A_CALL, provider_draft(display_name="Other"), provider_id="acme")
        with pytest.raises(FailedPrecondition) as refused:
            import_provider_models(ctx, A_CALL, "providers/acme", ImportChoices())
        assert refused.value.reason is Reason.CATALOG_UNAVAILABLE

    def test_of_a_release_that_is_not_bundled(self, ctx: Context) -> None:
        with pytest.raises(FailedPrecondition) as refused:
            import_provider_models(ctx, A_CALL, NAME, ImportChoices(), catalog_version="1999.01.01")
        assert refused.value.reason is Reason.CATALOG_VERSION_UNAVAILABLE

    @pytest.mark.parametrize(
        "choices",
        [
            pytest.param(ImportChoices(upstream_model_ids=("none",)), id="no such entry"),
            pytest.param(ImportChoices(adopt_custom=True), id="adopting without refreshing"),
            pytest.param(ImportChoices(existing_only=True), id="existing ones without refreshing"),
        ],
    )
    def test_of_choices(self, ctx: Context, choices: ImportChoices) -> None:
        with pytest.raises(InvalidArgument):
            import_provider_models(ctx, A_CALL, NAME, choices)
