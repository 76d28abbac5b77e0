"""Lists, catalogs and retirements: what a page holds, where the next begins, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from service.domain.errors import FailedPrecondition, InvalidArgument, NotFound, Reason
from service.domain.model import ModelBackend, ModelKind, State
from service.domain.pages import Position, Query
from service.usecases import catalogs, lists, retirements
from service.usecases.context import Context, ListQuery
from service.usecases.models import create_model
from service.usecases.provider_models import create_provider_model, set_provider_model_state
from service.usecases.providers import create_provider
from tests.support.values.drafts import model_draft, provider_draft, provider_model_draft
from tests.support.values.registry_values import A_CALL, START, ManualClock

Lister = Callable[[Context, ListQuery], lists.Page[Any]]


def providers(ctx: Context, query: ListQuery) -> lists.Page[Any]:
    return lists.list_providers(ctx, query)


def of_all(ctx: Context, query: ListQuery) -> lists.Page[Any]:
    return lists.list_provider_models(ctx, "providers/-", query)


def of_one(ctx: Context, query: ListQuery) -> lists.Page[Any]:
    return lists.list_provider_models(ctx, "providers/p0", query)


def models(ctx: Context, query: ListQuery) -> lists.Page[Any]:
    return lists.list_models(ctx, query)


def name(view: Any) -> str:
    thing = getattr(view, "provider", None) or view.model
    return str(thing.name)


LISTS: Sequence[tuple[Lister, list[str]]] = (
    (providers, ["providers/p0", "providers/p1", "providers/p2"]),
    (of_all, [f"providers/p{p}/models/m{m}" for m in range(2) for p in range(3)]),
    (of_one, ["providers/p0/models/m0", "providers/p0/models/m1"]),
    (models, ["models/f0", "models/f1", "models/f2"]),
)
each_list = pytest.mark.parametrize(
    ("lister", "names"), LISTS, ids=["providers", "models of all", "models of one", "models"]
)


@pytest.fixture(autouse=True)
def some(ctx: Context, clock: ManualClock) -> None:
    """Three providers with two models each, and three models, a second after each other."""
    for p in range(3):
        create_provider(ctx, A_CALL, provider_draft(display_name=f"P {p}"), provider_id=f"p{p}")
        for m in range(2):
            clock.advance(seconds=1)
            draft = provider_model_draft(
                upstream_model_id=f"m{m}", retire_time=START + timedelta(days=20 * (3 * m + p))
            )
            create_provider_model(ctx, A_CALL, f"providers/p{p}", draft)
        create_model(
            ctx, A_CALL, f"f{p}", model_draft("", ModelBackend(f"p{p}", "m0"), display_name=f"F {p}")
        )


class TestPages:
    @each_list
    @pytest.mark.parametrize("size", [1, 2, 50])
    def test_join_up_and_carry_the_total(
        self, ctx: Context, lister: Lister, names: list[str], size: int
    ) -> None:
        found: list[str] = []
        token = ""
        while True:
            page = lister(ctx, ListQuery(page_size=size, page_token=token))
            assert (len(page.items) <= size, page.total_size) == (True, len(names))
            found += map(name, page.items)
            token = page.next_page_token
            if not token:
                break
        assert found == names

    @each_list
    def test_are_of_one_query(self, ctx: Context, lister: Lister, names: list[str]) -> None:
        token = lister(ctx, ListQuery(page_size=1)).next_page_token
        with pytest.raises(InvalidArgument) as refused:
            lister(ctx, ListQuery(page_size=1, page_token=token, filter="state = STATE_ACTIVE"))
        assert refused.value.reason is Reason.INVALID_PAGE_TOKEN

    @each_list
    def test_run_backwards_when_asked(self, ctx: Context, lister: Lister, names: list[str]) -> None:
        first, last = (lister(ctx, ListQuery(order_by=text)) for text in ("create_time", "create_time desc"))
        assert sorted(map(name, first.items)) == sorted(names)
        assert list(last.items) == list(reversed(first.items))

    @each_list
    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            (ListQuery(filter="state ="), Reason.INVALID_FILTER),
            (ListQuery(filter="speed = 3"), Reason.INVALID_FILTER),
            (ListQuery(order_by="speed"), Reason.INVALID_FIELD),
            (ListQuery(page_token="made-up"), Reason.INVALID_PAGE_TOKEN),
        ],
        ids=["no filter", "no field", "no order", "no token"],
    )
    def test_refuse(
        self, ctx: Context, lister: Lister, names: list[str], query: ListQuery, reason: Reason
    ) -> None:
        with pytest.raises(InvalidArgument) as refused:
            lister(ctx, query)
        assert refused.value.reason is reason


class TestFilters:
    @pytest.mark.parametrize(
        ("lister", "text", "names"),
        [
            (providers, 'display_name = "p 1"', ["providers/p1"]),
            (of_all, "state = STATE_DISABLED", ["providers/p1/models/m0"]),
            (of_all, "routable = false", ["providers/p1/models/m0"]),
            (of_one, "kind = MODEL_KIND_EMBEDDING", []),
            (models, "routable = false", ["models/f1"]),
            (models, 'backends.provider_model : "providers/p2"', ["models/f2"]),
        ],
    )
    def test_keep_what_matches(self, ctx: Context, lister: Lister, text: str, names: list[str]) -> None:
        set_provider_model_state(ctx, A_CALL, "providers/p1/models/m0", State.DISABLED)
        page = lister(ctx, ListQuery(filter=text))
        assert ([name(view) for view in page.items], page.total_size) == (names, len(names))


def test_models_of_a_provider_that_is_not_there(ctx: Context) -> None:
    with pytest.raises(NotFound):
        lists.list_provider_models(ctx, "providers/none", ListQuery())


class TestCatalogs:
    def test_the_newest_of_each_kind(self, ctx: Context) -> None:
        [catalog] = catalogs.list_catalogs(ctx, ListQuery()).items
        assert (catalog.name, catalog.version) == ("catalogs/openai", "2026.04.15")
        assert catalogs.get_catalog(ctx, "catalogs/openai", "") == catalog

    def test_another_release_by_its_version(self, ctx: Context) -> None:
        assert len(catalogs.get_catalog(ctx, "catalogs/openai", "2026.01.15").models) == 1
        with pytest.raises(FailedPrecondition):
            catalogs.get_catalog(ctx, "catalogs/openai", "1999.01.01")

    @pytest.mark.parametrize("wanted", ["catalogs/none", "catalogs/groq"])
    def test_one_that_is_not_there(self, ctx: Context, wanted: str) -> None:
        with pytest.raises(NotFound):
            catalogs.get_catalog(ctx, wanted, "")

    @pytest.mark.parametrize("size", [1, 5, 12, 50])
    def test_pages_of_kinds_join_up(self, ctx: Context, size: int) -> None:
        found: list[Any] = []
        token = ""
        while True:
            page = catalogs.list_provider_kinds(ctx, ListQuery(page_size=size, page_token=token))
            assert page.total_size == 12
            found += page.items
            token = page.next_page_token
            if not token:
                break
        assert found == list(ctx.catalogs.kinds())


class TestPagesInMemory:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [("", ["fast", "good"]), ("fast", ["good"]), ("g", ["good"]), ("good", []), ("z", [])],
    )
    def test_begin_after_a_position_that_need_not_be_there_any_more(
        self, ctx: Context, name: str, expected: list[str]
    ) -> None:
        bound = Query("ListThings")
        token = ctx.page_tokens.issue(bound, Position((name,)))
        query = ListQuery(page_token=token)
        page = lists.page_of(ctx.page_tokens, bound, query, ["fast", "good"], lambda item: (item,))
        assert (page.items, page.next_page_token, page.total_size) == (expected, "", 2)

    def test_keep_what_the_first_page_was_read_from(self, ctx: Context) -> None:
        bound = Query("ListThings")
        query = ListQuery(page_size=1)
        page = lists.page_of(ctx.page_tokens, bound, query, "ab", lambda item: (item,), at="7f.42")
        position = ctx.page_tokens.read(bound, page.next_page_token)
        assert position == Position(("a",), at="7f.42")


class TestRetirements:
    """Every 20 days from the start one retires: m0 of p0, p1 and p2, then m1 of each."""

    def test_come_in_their_order_with_what_models_lose(self, ctx: Context, clock: ManualClock) -> None:
        page = retirements.list_retirements(ctx, ListQuery(), within_days=30)
        assert [each.view.model.name for each in page.page.items] == [
            "providers/p0/models/m0",
            "providers/p1/models/m0",
        ]
        assert (page.page.total_size, page.affected_model_count) == (2, 2)
        assert list(page.models_left_unroutable) == ["models/f0", "models/f1"]
        assert page.horizon == clock.now + timedelta(days=30)

    def test_ninety_days_are_the_default(self, ctx: Context) -> None:
        assert retirements.list_retirements(ctx, ListQuery()).page.total_size == 5

    def test_of_one_provider(self, ctx: Context) -> None:
        page = retirements.list_retirements(ctx, ListQuery(), within_days=365, parent="providers/p2")
        assert [each.view.model.name for each in page.page.items] == [
            "providers/p2/models/m0",
            "providers/p2/models/m1",
        ]
        with pytest.raises(NotFound):
            retirements.list_retirements(ctx, ListQuery(), parent="providers/none")

    def test_pages_join_up(self, ctx: Context) -> None:
        whole = retirements.list_retirements(ctx, ListQuery(), within_days=365).page
        first = retirements.list_retirements(ctx, ListQuery(page_size=4), within_days=365).page
        token = first.next_page_token
        query = ListQuery(page_size=4, page_token=token)
        second = retirements.list_retirements(ctx, query, within_days=365).page
        assert [*first.items, *second.items] == list(whole.items)
        assert second.next_page_token == ""
        with pytest.raises(InvalidArgument):
            retirements.list_retirements(ctx, ListQuery(page_token=token), within_days=364)


def test_kinds_of_models_are_what_was_sent(ctx: Context) -> None:
    draft = provider_model_draft(upstream_model_id="vector", kind=ModelKind.EMBEDDING)
    create_provider_model(ctx, A_CALL, "providers/p0", draft)
    page = of_one(ctx, ListQuery(filter="kind = MODEL_KIND_EMBEDDING"))
    assert [name(view) for view in page.items] == ["providers/p0/models/vector"]
