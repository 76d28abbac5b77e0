"""Models: created, read, changed field by field, wired, and deleted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.domain.calls import IdempotencyKey
from service.domain.errors import Aborted, AlreadyExists, InvalidArgument, NotFound, Reason
from service.domain.model import Model, ModelBackend, ModelKind, State
from service.usecases import models
from service.usecases.context import Context
from service.usecases.provider_models import create_provider_model
from service.usecases.providers import create_provider
from tests.support.values.drafts import model_draft, provider_draft, provider_model_draft
from tests.support.values.registry_values import A_CALL, DRY_RUN

ONE = ModelBackend("acme", "one")
TWO = ModelBackend("acme", "two")
VECTOR = ModelBackend("acme", "vector")
EVERYTHING = model_draft(
    "models/smart",
    TWO,
    display_name="Smarter",
    description="For all",
    labels={"team": "blue"},
    annotations={"note": "x"},
    populated=frozenset({"display_name", "description", "backends", "labels", "annotations"}),
)
WRITTEN = ("display_name", "description", "backends", "labels", "annotations")


@pytest.fixture(autouse=True)
def provider(ctx: Context) -> None:
    """A provider with two chat models and one that embeds."""
    create_provider(ctx, A_CALL, provider_draft(), provider_id="acme")
    for name, kind in (("one", ModelKind.CHAT), ("two", ModelKind.CHAT), ("vector", ModelKind.EMBEDDING)):
        draft = provider_model_draft(upstream_model_id=name, kind=kind)
        create_provider_model(ctx, A_CALL, "providers/acme", draft, model_id=name)


@pytest.fixture
def smart(ctx: Context) -> Model:
    return models.create_model(ctx, A_CALL, "smart", model_draft("", ONE)).value.model


def stored(ctx: Context) -> Model:
    return models.get_model(ctx, "models/smart").model


class TestCreate:
    def test_is_there_afterwards_as_it_was_answered(self, ctx: Context) -> None:
        made = models.create_model(ctx, A_CALL, "smart", model_draft("", ONE, TWO))
        view = models.get_model(ctx, "models/smart")
        assert view == made.value
        assert (view.model.state, view.is_routable) == (State.ACTIVE, True)
        assert [backend.target for backend in view.model.backends] == [ONE.target, TWO.target]
        assert made.revision == ctx.store.read(lambda unit: unit.log.head().revision)

    @pytest.mark.parametrize(
        ("draft", "error", "reason"),
        [
            pytest.param(model_draft("", kind=None), InvalidArgument, Reason.INVALID_FIELD, id="no kind"),
            pytest.param(
                model_draft("", ModelBackend("acme", "none")),
                NotFound,
                Reason.RESOURCE_NOT_FOUND,
                id="a wire to nothing",
            ),
            pytest.param(
                model_draft("", ONE, VECTOR),
                InvalidArgument,
                Reason.KIND_MISMATCH,
                id="a wire of another kind",
            ),
            pytest.param(model_draft("", ONE, ONE), InvalidArgument, Reason.INVALID_FIELD, id="a wire twice"),
            pytest.param(
                model_draft("", display_name=" x"), InvalidArgument, Reason.INVALID_FIELD, id="a bad name"
            ),
        ],
    )
    def test_refuses(
        self, ctx: Context, draft: models.ModelDraft, error: type[Exception], reason: Reason
    ) -> None:
        with pytest.raises(error) as refused:
            models.create_model(ctx, A_CALL, "smart", draft)
        assert getattr(refused.value, "reason") is reason  # noqa: B009 - of several types
        with pytest.raises(NotFound):
            models.get_model(ctx, "models/smart")

    def test_refuses_an_id_that_is_taken(self, ctx: Context, smart: Model) -> None:
        with pytest.raises(AlreadyExists):
            models.create_model(ctx, A_CALL, "smart", model_draft("", TWO, display_name="Other"))
        assert stored(ctx) == smart

    def test_a_dry_run_leaves_nothing(self, ctx: Context) -> None:
        before = ctx.store.read(lambda unit: unit.log.head())
        assert (
            models.create_model(ctx, DRY_RUN, "smart", model_draft("", ONE)).value.model.model_id == "smart"
        )
        assert ctx.store.read(lambda unit: unit.log.head()) == before

    def test_a_repeated_request_returns_what_the_first_made_as_it_is_now(self, ctx: Context) -> None:
        call = replace(A_CALL, key=IdempotencyKey("once", bytes(32)))
        first = models.create_model(ctx, call, "smart", model_draft("", ONE)).value.model
        models.set_model_state(ctx, A_CALL, first.name, State.DISABLED)
        again = models.create_model(ctx, call, "smart", model_draft("", ONE)).value.model
        assert (again.uid, again.state) == (first.uid, State.DISABLED)
        other = replace(call, key=IdempotencyKey("once", bytes([1] * 32)))
        with pytest.raises(Aborted) as refused:
            models.create_model(ctx, other, "smart", model_draft("", TWO))
        assert refused.value.reason is Reason.REQUEST_ID_REUSED


class TestUpdate:
    @pytest.mark.parametrize("field", WRITTEN)
    def test_writes_the_masked_field_and_no_other(self, ctx: Context, smart: Model, field: str) -> None:
        models.update_model(ctx, A_CALL, EVERYTHING, paths=[field])
        after = stored(ctx)
        for each in WRITTEN:
            source = EVERYTHING if each == field else smart
            assert getattr(after, each) == getattr(source, each), each
        assert (after.kind, after.state, after.uid) == (smart.kind, smart.state, smart.uid)
        assert after.etag != smart.etag

    @pytest.mark.parametrize("paths", [(), ("*",)], ids=["what is populated", "everything"])
    def test_writes_all(self, ctx: Context, smart: Model, paths: tuple[str, ...]) -> None:
        models.update_model(ctx, A_CALL, EVERYTHING, paths=paths)
        assert {each: getattr(stored(ctx), each) for each in WRITTEN} == {
            each: getattr(EVERYTHING, each) for each in WRITTEN
        }

    def test_without_a_mask_leaves_what_is_not_populated(self, ctx: Context, smart: Model) -> None:
        models.update_model(ctx, A_CALL, model_draft(smart.name, labels={"team": "blue"}))
        after = stored(ctx)
        assert (after.labels, after.backends, after.display_name) == (
            {"team": "blue"},
            smart.backends,
            smart.display_name,
        )

    def test_what_changes_nothing_takes_no_revision(self, ctx: Context, smart: Model) -> None:
        before = ctx.store.read(lambda unit: unit.log.head())
        models.update_model(ctx, A_CALL, model_draft(smart.name), paths=["display_name"])
        assert ctx.store.read(lambda unit: unit.log.head()) == before

    def test_a_dry_run_returns_the_change_and_leaves_it(self, ctx: Context, smart: Model) -> None:
        answer = models.update_model(ctx, DRY_RUN, EVERYTHING)
        assert answer.value.model.display_name == "Smarter"
        assert stored(ctx) == smart

    @pytest.mark.parametrize(
        ("draft", "paths", "error", "reason"),
        [
            pytest.param(
                replace(EVERYTHING, etag="stale"), (), Aborted, Reason.ETAG_MISMATCH, id="a stale etag"
            ),
            pytest.param(
                replace(EVERYTHING, name="models/none"),
                (),
                NotFound,
                Reason.RESOURCE_NOT_FOUND,
                id="no model",
            ),
            pytest.param(EVERYTHING, ("kind",), InvalidArgument, Reason.FIELD_IMMUTABLE, id="the kind"),
            pytest.param(
                replace(EVERYTHING, backends=(VECTOR,)),
                (),
                InvalidArgument,
                Reason.KIND_MISMATCH,
                id="a wire of another kind",
            ),
            pytest.param(
                replace(EVERYTHING, backends=(ModelBackend("acme", "none"),)),
                (),
                NotFound,
                Reason.RESOURCE_NOT_FOUND,
                id="a wire to nothing",
            ),
        ],
    )
    def test_refuses(
        self,
        ctx: Context,
        smart: Model,
        draft: models.ModelDraft,
        paths: tuple[str, ...],
        error: type[Exception],
        reason: Reason,
    ) -> None:
        draft = replace(draft, kind=ModelKind.EMBEDDING) if paths == ("kind",) else draft
        with pytest.raises(error) as refused:
            models.update_model(ctx, A_CALL, draft, paths=paths)
        assert getattr(refused.value, "reason") is reason  # noqa: B009 - of several types
        assert stored(ctx) == smart

    def test_takes_the_etag_that_is_there(self, ctx: Context, smart: Model) -> None:
        models.update_model(ctx, A_CALL, replace(EVERYTHING, etag=smart.etag))
        assert stored(ctx).display_name == "Smarter"

    def test_allow_missing_creates(self, ctx: Context) -> None:
        models.update_model(ctx, A_CALL, EVERYTHING, allow_missing=True)
        assert stored(ctx).description == "For all"


class TestState:
    def test_is_what_was_asked_for(self, ctx: Context, smart: Model) -> None:
        models.set_model_state(ctx, A_CALL, smart.name, State.DISABLED)
        assert not models.get_model(ctx, smart.name).is_routable
        models.set_model_state(ctx, A_CALL, smart.name, State.ACTIVE)
        assert models.get_model(ctx, smart.name).is_routable

    def test_repeating_it_takes_no_revision(self, ctx: Context, smart: Model) -> None:
        before = ctx.store.read(lambda unit: unit.log.head())
        models.set_model_state(ctx, A_CALL, smart.name, State.ACTIVE)
        assert ctx.store.read(lambda unit: unit.log.head()) == before


class TestBackends:
    def test_one_is_added_changed_and_removed(self, ctx: Context, smart: Model) -> None:
        def wires() -> list[tuple[str, int]]:
            return [(each.provider_model_id, each.priority) for each in stored(ctx).backends]

        models.add_backend(ctx, A_CALL, smart.name, TWO)
        assert wires() == [("one", 0), ("two", 0)]
        models.add_backend(ctx, A_CALL, smart.name, replace(ONE, priority=3))
        assert wires() == [("two", 0), ("one", 3)]
        models.remove_backend(ctx, A_CALL, smart.name, "providers/acme/models/two")
        assert wires() == [("one", 3)]

    def test_one_that_is_not_there_cannot_be_removed(self, ctx: Context, smart: Model) -> None:
        with pytest.raises(NotFound):
            models.remove_backend(ctx, A_CALL, smart.name, "providers/acme/models/two")

    def test_one_of_another_kind_is_refused(self, ctx: Context, smart: Model) -> None:
        with pytest.raises(InvalidArgument) as refused:
            models.add_backend(ctx, A_CALL, smart.name, VECTOR)
        assert refused.value.reason is Reason.KIND_MISMATCH
        assert stored(ctx) == smart


class TestDelete:
    def test_takes_the_model_and_leaves_the_provider_models(self, ctx: Context, smart: Model) -> None:
        models.delete_model(ctx, A_CALL, smart.name)
        with pytest.raises(NotFound):
            models.get_model(ctx, smart.name)
        assert ctx.store.read(lambda unit: unit.provider_models.get("acme", "one")) is not None

    def test_refuses_a_stale_etag(self, ctx: Context, smart: Model) -> None:
        with pytest.raises(Aborted):
            models.delete_model(ctx, A_CALL, smart.name, etag="stale")
        assert stored(ctx) == smart

    def test_of_one_that_is_not_there(self, ctx: Context) -> None:
        with pytest.raises(NotFound):
            models.delete_model(ctx, A_CALL, "models/none")
        models.delete_model(ctx, A_CALL, "models/none", allow_missing=True)

    def test_a_dry_run_deletes_nothing(self, ctx: Context, smart: Model) -> None:
        models.delete_model(ctx, DRY_RUN, smart.name)
        assert stored(ctx) == smart
