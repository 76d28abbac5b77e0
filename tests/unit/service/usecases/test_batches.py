"""Many provider models at once: one transaction, one revision, an outcome for each name."""

from __future__ import annotations

import pytest

from service.domain.errors import (
    Aborted,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Reason,
    RegistryError,
)
from service.domain.model import ModelBackend, State
from service.usecases import batches
from service.usecases.batches import Action
from service.usecases.context import Context
from service.usecases.models import create_model
from service.usecases.provider_models import create_provider_model, get_provider_model
from service.usecases.providers import create_provider
from tests.support.values.drafts import model_draft, provider_draft, provider_model_draft
from tests.support.values.registry_values import A_CALL, DRY_RUN

ONE, TWO, NONE = (f"providers/acme/models/{each}" for each in ("one", "two", "none"))


@pytest.fixture(autouse=True)
def two_models(ctx: Context) -> None:
    create_provider(ctx, A_CALL, provider_draft(), provider_id="acme")
    for each in ("one", "two"):
        create_provider_model(ctx, A_CALL, "providers/acme", provider_model_draft(upstream_model_id=each))


def told(outcomes: tuple[Action | RegistryError, ...]) -> list[Action | Reason]:
    return [each.reason if isinstance(each, RegistryError) else each for each in outcomes]


def head(ctx: Context) -> int:
    return ctx.store.read(lambda unit: unit.log.head().revision)


class TestStates:
    def test_of_those_that_are_there_are_set_in_one_revision(self, ctx: Context) -> None:
        before = head(ctx)
        report = batches.set_states(ctx, A_CALL, [TWO, NONE, ONE], State.DISABLED).value
        assert told(report.outcomes) == [Action.DISABLED, Reason.RESOURCE_NOT_FOUND, Action.DISABLED]
        assert {get_provider_model(ctx, name).model.state for name in (ONE, TWO)} == {State.DISABLED}
        assert (report.revision, head(ctx)) == (before + 1, before + 1)

    def test_that_are_so_already_are_told_and_take_no_revision(self, ctx: Context) -> None:
        before = head(ctx)
        report = batches.set_states(ctx, A_CALL, [ONE, TWO], State.ACTIVE).value
        assert told(report.outcomes) == [Action.UNCHANGED, Action.UNCHANGED]
        assert head(ctx) == before

    def test_a_dry_run_tells_the_same_and_sets_none(self, ctx: Context) -> None:
        report = batches.set_states(ctx, DRY_RUN, [ONE], State.DISABLED).value
        assert told(report.outcomes) == [Action.DISABLED]
        assert get_provider_model(ctx, ONE).model.state is State.ACTIVE

    def test_a_name_of_another_form_is_refused_with_its_place(self, ctx: Context) -> None:
        with pytest.raises(InvalidArgument) as refused:
            batches.set_states(ctx, A_CALL, [ONE, "models/smart"], State.DISABLED)
        assert refused.value.violations[0].field == "names[1]"


class TestDeletions:
    @pytest.fixture
    def wired(self, ctx: Context) -> str:
        draft = model_draft("", ModelBackend("acme", "one"))
        return create_model(ctx, A_CALL, "smart", draft).value.model.name

    def test_those_with_wires_are_kept_each_by_itself(self, ctx: Context, wired: str) -> None:
        report = batches.delete_provider_models(ctx, A_CALL, [ONE, TWO, NONE]).value
        assert told(report.outcomes) == [
            Reason.MODEL_HAS_BACKENDS,
            Action.DELETED,
            Reason.RESOURCE_NOT_FOUND,
        ]
        assert get_provider_model(ctx, ONE).routable
        with pytest.raises(NotFound):
            get_provider_model(ctx, TWO)

    def test_the_preview_is_what_happens(self, ctx: Context, wired: str) -> None:
        preview = batches.delete_provider_models(ctx, DRY_RUN, [ONE, TWO]).value
        assert preview.impact is not None
        assert (preview.impact.backend_count, preview.impact.models_left_unroutable) == (1, (wired,))
        token = preview.impact.impact_token
        with pytest.raises(FailedPrecondition):
            batches.delete_provider_models(ctx, A_CALL, [ONE, TWO], impact_token=token)
        done = batches.delete_provider_models(ctx, A_CALL, [ONE, TWO], force=True, impact_token=token).value
        assert (done.outcomes, done.impact) == ((Action.DELETED, Action.DELETED), preview.impact)

    def test_nothing_goes_when_the_preview_is_no_longer_true(self, ctx: Context, wired: str) -> None:
        preview = batches.delete_provider_models(ctx, DRY_RUN, [ONE, TWO]).value
        assert preview.impact is not None
        draft = model_draft("", ModelBackend("acme", "two"), display_name="Other")
        create_model(ctx, A_CALL, "other", draft)
        with pytest.raises(Aborted) as refused:
            batches.delete_provider_models(
                ctx, A_CALL, [ONE, TWO], force=True, impact_token=preview.impact.impact_token
            )
        assert refused.value.reason is Reason.IMPACT_CHANGED
        assert get_provider_model(ctx, TWO).routable
