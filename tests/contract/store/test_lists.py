"""Lists: filters mean what the domain says, pages join up to the whole, on both databases alike."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.filters import (
    OPERATORS,
    And,
    Comparison,
    Expression,
    FilterField,
    FilterType,
    Not,
    Op,
    Or,
    Word,
    compiled,
)
from service.domain.ids import display_name_key, fold
from service.domain.lists import MODEL_LIST, PROVIDER_LIST, PROVIDER_MODEL_LIST, ListRules, OrderBy, OrderTerm
from service.domain.model import (
    STORED_STATES,
    ModelCapability,
    ModelKind,
    ModelSource,
    ModelView,
    ProviderKind,
    ProviderModelView,
    ProviderView,
    State,
)
from service.domain.routing import provider_model_routable, provider_routable, unroutable_reason
from service.store import Position, ReadUnit, Slice, Store, WriteUnit
from tests.support.values.registry_values import (
    START,
    ManualClock,
    a_backend,
    a_credential,
    a_model,
    a_provider,
    a_provider_model,
)

NAMES = (
    "Straße",
    "STRASSE 2",
    "Été",
    "ete",
    "100%",
    "under_score",
    "a\\b",
    "Ω",
    "ω2",
    "\U0001d518",
    "\uffee",
    "z",
    "Z2",
)
LABEL_KEYS = ("env", "team-a", "x_1")
LABEL_VALUES = ("", "prod", "Prod", "it's", '"', "ß")


def fill(store: Store, clock: ManualClock) -> None:
    """Fifteen providers and sixty models with many values in common."""
    chance = random.Random(20260415)

    def labels() -> dict[str, str]:
        return {key: chance.choice(LABEL_VALUES) for key in LABEL_KEYS if chance.random() < 0.5}

    def work(unit: WriteUnit, number: int) -> None:
        expire_time = chance.choice([None, START, START + timedelta(days=1)])
        view, sealed = a_credential(expire_time=expire_time)
        sealed_or_none = sealed if chance.random() < 0.6 else None
        provider = unit.providers.insert(
            a_provider(
                f"p{number}",
                display_name=NAMES[number] if number < len(NAMES) else f"Plain {number}",
                kind=chance.choice([ProviderKind.OPENAI, ProviderKind.OPENAI_COMPATIBLE, ProviderKind.GROQ]),
                state=chance.choice(STORED_STATES),
                labels=labels(),
                credential=view if sealed_or_none else None,
            ),
            sealed_or_none,
        )
        unit.provider_models.insert(
            [
                a_provider_model(
                    f"m{index}.{number % 3}",
                    provider_id=provider.provider_id,
                    upstream_model_id=f"{chance.choice('aAbB_%')}{index}",
                    display_name=chance.choice(NAMES),
                    state=chance.choice(STORED_STATES),
                    source=chance.choice(list(ModelSource)),
                    kind=chance.choice(list(ModelKind)),
                    context_window=chance.choice([0, 8_192, 128_000]),
                    capabilities=tuple(chance.sample(list(ModelCapability), chance.choice([0, 1, 3]))),
                    needs_review=chance.random() < 0.3,
                    retire_time=chance.choice([None, START, START + timedelta(days=90)]),
                    labels=labels(),
                )
                for index in range(4)
            ]
        )

    def three(unit: WriteUnit) -> None:
        first = 3 * unit.log.head().revision - 3
        for number in range(first, first + 3):
            work(unit, number)

    for _ in range(5):
        clock.advance(seconds=1)
        store.write(three)


def fill_models(store: Store, clock: ManualClock) -> None:
    """`fill`, and thirty models over what it made."""
    fill(store, clock)
    chance = random.Random(20261120)

    def work(unit: WriteUnit, number: int) -> None:
        targets = chance.sample(
            [view.model for view in all_provider_models(unit)], chance.choice([0, 1, 1, 2, 4])
        )
        unit.models.insert(
            a_model(
                f"f{number:02}",
                *(
                    a_backend(model, priority=chance.choice([0, 1]), disabled=chance.random() < 0.3)
                    for model in targets
                ),
                display_name=chance.choice(NAMES),
                kind=chance.choice(list(ModelKind)),
                state=chance.choice([State.ACTIVE, State.ACTIVE, State.DISABLED]),
                labels={key: chance.choice(LABEL_VALUES) for key in LABEL_KEYS if chance.random() < 0.5},
            )
        )

    for number in range(30):
        clock.advance(seconds=1)
        store.write(lambda unit, number=number: work(unit, number))  # type: ignore[misc]


def model_field(view: ModelView, name: str) -> object:
    if name == "routable":
        return view.is_routable
    if name == "backends.provider_model":
        return tuple(backend.provider_model for backend in view.model.backends)
    return getattr(view.model, name)


def provider_field(view: ProviderView, name: str) -> object:
    provider = view.provider
    if name == "routable":
        return provider_routable(provider)
    if name == "unroutable_reason":
        return unroutable_reason(provider)
    if name == "credential.expire_time":
        return provider.credential.expire_time if provider.credential else None
    return getattr(provider, name)


def provider_model_field(view: ProviderModelView, name: str) -> object:
    if name == "routable":
        return view.routable
    return getattr(view.model.facts if hasattr(view.model.facts, name) else view.model, name)


def expressions(rules: ListRules, pools: Mapping[str, list[Any]]) -> st.SearchStrategy[Expression]:
    """Trees over the list's fields, with values that occur and some that do not."""
    schema = rules.filter

    def folded(text: str) -> st.SearchStrategy[str]:
        key = fold(text)
        return st.tuples(st.integers(0, len(key)), st.integers(1, 3)).map(
            lambda part: key[part[0] : part[0] + part[1]] or key or "x"
        )

    def comparison(field: FilterField) -> st.SearchStrategy[Expression]:
        values = st.sampled_from(pools[field.name])

        def of(op: Op) -> st.SearchStrategy[Expression]:
            if field.type is FilterType.LABELS:
                if op is Op.HAS:
                    return st.builds(
                        Comparison, st.just(field), st.just(op), st.none(), st.sampled_from(LABEL_KEYS)
                    )
                return st.builds(
                    Comparison, st.just(field), st.just(op), values, st.sampled_from([*LABEL_KEYS, "other"])
                )
            if field.type is FilterType.TIME and op is Op.HAS:
                return st.just(Comparison(field, op, None))
            if field.type is FilterType.PRESENCE:
                return st.just(Comparison(field, op, None))
            if field.type in (FilterType.PATHS, FilterType.MEMBERS):
                return st.builds(Comparison, st.just(field), st.just(op), st.none() | values)
            if field.type in (FilterType.STRING, FilterType.NAME):
                return text(op)
            return st.builds(Comparison, st.just(field), st.just(op), values)

        def text(op: Op) -> st.SearchStrategy[Expression]:
            compared = values.map(fold) if Op.HAS is op or field.type is FilterType.NAME else values
            if op is Op.HAS:
                whole = st.builds(Comparison, st.just(field), st.just(op), st.none() | values.flatmap(folded))
            else:
                whole = st.builds(Comparison, st.just(field), st.just(op), compared)
            if op not in (Op.EQ, Op.NE, Op.HAS):
                return whole
            beginnings = compared.flatmap(lambda key: st.integers(0, len(key)).map(lambda end: key[:end]))
            return whole | st.builds(
                Comparison, st.just(field), st.just(op), beginnings, st.just(""), st.just(True)
            )

        return st.sampled_from(sorted(OPERATORS[field.type])).flatmap(of)

    words = st.sampled_from(pools[schema.word_field.name]).flatmap(folded)
    leaves = st.sampled_from(list(schema.fields)).flatmap(comparison) | words.map(
        lambda text: Word(schema.word_field, text)
    )
    return st.recursive(
        leaves,
        lambda inner: (
            inner.map(Not)
            | st.lists(inner, min_size=2, max_size=3).map(lambda terms: And(tuple(terms)))
            | st.lists(inner, min_size=2, max_size=3).map(lambda terms: Or(tuple(terms)))
        ),
        max_leaves=6,
    )


def pools_of(rules: ListRules, rows: list[Any], get: Callable[[Any, str], object]) -> dict[str, list[Any]]:
    """Values of each field that occur in the rows, and a few that do not."""
    extras: dict[FilterType, list[Any]] = {
        FilterType.STRING: ["zz", "%", "é", "2026.04.15"],
        FilterType.NAME: ["nobody", "%", "_"],
        FilterType.INT: [-1, 2**63 - 1, -(2**63)],
        FilterType.BOOL: [True, False],
        FilterType.TIME: [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)],
        FilterType.LABELS: [*LABEL_VALUES, "none"],
        FilterType.PATHS: [
            "providers",
            "providers/p3",
            "providers/p3/models",
            "providers/p3/",
            "p3",
            "models",
        ],
    }
    pools: dict[str, list[Any]] = {}
    for field in rules.filter.fields:
        pool: list[Any] = list(field.members) or list(extras.get(field.type, [None]))
        if field.type in (FilterType.MEMBERS, FilterType.PRESENCE):
            pass
        elif field.type is FilterType.PATHS:
            pool += [name for row in rows for name in get(row, field.name)]  # type: ignore[attr-defined]
        elif field.type is not FilterType.LABELS:
            pool += [value for row in rows if (value := get(row, field.name)) not in (None, "")]
        pools[field.name] = pool
    return pools


def all_providers(unit: ReadUnit, keep: Expression | None = None) -> list[ProviderView]:
    order = (OrderTerm("display_name"),)
    return unit.providers.page(filter=keep, order_by=order, after=None, limit=1000).items


def all_provider_models(unit: ReadUnit, keep: Expression | None = None) -> list[ProviderModelView]:
    order = (OrderTerm("upstream_model_id"),)
    found = unit.provider_models.page(provider_id=None, filter=keep, order_by=order, after=None, limit=1000)
    return found.items


def all_models(unit: ReadUnit, keep: Expression | None = None) -> list[ModelView]:
    return unit.models.page(filter=keep, order_by=(OrderTerm("name"),), after=None, limit=1000).items


class TestFilters:
    def test_keep_the_providers_that_match(self, store: Store, clock: ManualClock) -> None:
        fill(store, clock)
        rows = store.read(all_providers)

        @settings(max_examples=80, deadline=None)
        @given(expressions(PROVIDER_LIST, pools_of(PROVIDER_LIST, rows, provider_field)))
        def check(keep: Expression) -> None:
            wanted = list(filter(compiled(keep, provider_field), rows))
            found, count = store.read(
                lambda unit: (all_providers(unit, keep), unit.providers.count(filter=keep))
            )
            assert (found, count) == (wanted, len(wanted))

        check()

    def test_keep_the_provider_models_that_match(self, store: Store, clock: ManualClock) -> None:
        fill(store, clock)
        rows = store.read(all_provider_models)

        @settings(max_examples=80, deadline=None)
        @given(expressions(PROVIDER_MODEL_LIST, pools_of(PROVIDER_MODEL_LIST, rows, provider_model_field)))
        def check(keep: Expression) -> None:
            wanted = list(filter(compiled(keep, provider_model_field), rows))
            found, count = store.read(
                lambda unit: (
                    all_provider_models(unit, keep),
                    unit.provider_models.count(provider_id=None, filter=keep),
                )
            )
            assert (found, count) == (wanted, len(wanted))

        check()

    def test_keep_the_models_that_match(self, store: Store, clock: ManualClock) -> None:
        fill_models(store, clock)
        rows = store.read(all_models)
        assert {row.is_routable for row in rows} == {True, False}

        @settings(max_examples=80, deadline=None)
        @given(expressions(MODEL_LIST, pools_of(MODEL_LIST, rows, model_field)))
        def check(keep: Expression) -> None:
            wanted = list(filter(compiled(keep, model_field), rows))
            found, count = store.read(lambda unit: (all_models(unit, keep), unit.models.count(filter=keep)))
            assert (found, count) == (wanted, len(wanted))

        check()

    def test_routable_is_what_the_domain_says(self, store: Store, clock: ManualClock) -> None:
        fill(store, clock)

        def read(unit: ReadUnit) -> list[tuple[bool, bool]]:
            providers = {view.provider.provider_id: view.provider for view in all_providers(unit)}
            return [
                (view.routable, provider_model_routable(providers[view.model.provider_id], view.model))
                for view in all_provider_models(unit)
            ]

        pairs = store.read(read)
        assert {shown for shown, _ in pairs} == {True, False}
        assert all(shown == wanted for shown, wanted in pairs)


ORDER_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "display_name": lambda thing: display_name_key(thing.display_name).encode(),
    "upstream_model_id": lambda thing: thing.upstream_model_id.encode(),
    "create_time": lambda thing: thing.create_time,
    "update_time": lambda thing: thing.update_time,
    "kind": lambda thing: int(thing.kind),
    "context_window": lambda thing: thing.context_window,
    "name": lambda thing: thing.name.encode(),
}


def by_id(views: list[ProviderView], *, reverse: bool) -> list[ProviderView]:
    """As ties are ordered: sorting by something else keeps equal ones in this order."""
    return sorted(views, key=lambda view: view.provider.provider_id, reverse=reverse)


def pages(read_page: Callable[[Position | None, int], Slice[Any]], size: int) -> list[Any]:
    rows: list[Any] = []
    after = None
    while True:
        page = read_page(after, size)
        assert len(page.items) == size if page.next else len(page.items) <= size
        rows += page.items
        if page.next is None:
            return rows
        after = page.next


@pytest.mark.parametrize("descending", [False, True], ids=["ascending", "descending"])
class TestPages:
    @pytest.mark.parametrize("field", PROVIDER_LIST.orders)
    def test_of_providers_join_up_in_order(
        self, store: Store, clock: ManualClock, field: str, descending: bool
    ) -> None:
        fill(store, clock)
        order = (OrderTerm(field, descending),)

        def work(unit: ReadUnit) -> None:
            wanted = by_id(all_providers(unit), reverse=descending)
            wanted.sort(key=lambda view: ORDER_KEYS[field](view.provider), reverse=descending)
            for size in (1, 4, 15, 1000):
                found = pages(
                    lambda after, limit: unit.providers.page(
                        filter=None, order_by=order, after=after, limit=limit
                    ),
                    size,
                )
                assert found == wanted

        store.read(work)

    @pytest.mark.parametrize("field", PROVIDER_MODEL_LIST.orders)
    @pytest.mark.parametrize("provider_id", [None, "p3"], ids=["of all", "of one"])
    def test_of_provider_models_join_up_in_order(
        self, store: Store, clock: ManualClock, field: str, descending: bool, provider_id: str | None
    ) -> None:
        fill(store, clock)
        order = (OrderTerm(field, descending),)

        def value(view: ProviderModelView) -> Any:
            if field == "name":
                return view.model.provider_id, view.model.model_id
            holder = view.model.facts if hasattr(view.model.facts, field) else view.model
            return ORDER_KEYS[field](holder)

        def work(unit: ReadUnit) -> None:
            wanted = [
                view for view in all_provider_models(unit) if provider_id in (None, view.model.provider_id)
            ]
            wanted.sort(key=lambda view: (view.model.provider_id, view.model.model_id), reverse=descending)
            wanted.sort(key=value, reverse=descending)
            for size in (1, 7, 1000):
                found = pages(
                    lambda after, limit: unit.provider_models.page(
                        provider_id=provider_id, filter=None, order_by=order, after=after, limit=limit
                    ),
                    size,
                )
                assert found == wanted

        store.read(work)

    @pytest.mark.parametrize("field", MODEL_LIST.orders)
    def test_of_models_join_up_in_order(
        self, store: Store, clock: ManualClock, field: str, descending: bool
    ) -> None:
        fill_models(store, clock)
        order = (OrderTerm(field, descending),)

        def work(unit: ReadUnit) -> None:
            wanted = sorted(all_models(unit), key=lambda view: view.model.model_id, reverse=descending)
            wanted.sort(key=lambda view: ORDER_KEYS[field](view.model), reverse=descending)
            for size in (1, 7, 1000):
                found = pages(
                    lambda after, limit: unit.models.page(
                        filter=None, order_by=order, after=after, limit=limit
                    ),
                    size,
                )
                assert found == wanted

        store.read(work)

    def test_positions_fit_a_page_token(self, store: Store, clock: ManualClock, descending: bool) -> None:
        fill(store, clock)
        for field in PROVIDER_LIST.orders:
            order = (OrderTerm(field, descending),)

            def work(unit: ReadUnit, order: OrderBy = order) -> list[Position]:
                found: list[Position] = []
                after = None
                while after := unit.providers.page(filter=None, order_by=order, after=after, limit=1).next:
                    found.append(after)
                return found

            positions = store.read(work)
            assert len(set(positions)) == 14
            assert all(type(key) in (str, int) for position in positions for key in position)


@pytest.mark.parametrize("size", [1, 4, 1000])
class TestPagesInAnOrderOfSeveralFields:
    @pytest.mark.parametrize(
        "order",
        [
            (OrderTerm("kind"), OrderTerm("create_time", descending=True)),
            (OrderTerm("create_time", descending=True), OrderTerm("kind", descending=True)),
            (OrderTerm("kind", descending=True), OrderTerm("name", descending=True)),
            (OrderTerm("kind"), OrderTerm("update_time"), OrderTerm("display_name", descending=True)),
        ],
        ids=["rising and falling", "falling twice", "falling by name", "three"],
    )
    def test_of_providers_join_up(self, store: Store, clock: ManualClock, order: OrderBy, size: int) -> None:
        fill(store, clock)

        def work(unit: ReadUnit) -> None:
            wanted = by_id(all_providers(unit), reverse=order[-1].descending)
            for term in reversed(order):
                key = ORDER_KEYS[term.field]
                wanted.sort(key=lambda view, key=key: key(view.provider), reverse=term.descending)  # type: ignore[misc]
            found = pages(
                lambda after, limit: unit.providers.page(
                    filter=None, order_by=order, after=after, limit=limit
                ),
                size,
            )
            assert found == wanted

        store.read(work)

    def test_of_provider_models_join_up(self, store: Store, clock: ManualClock, size: int) -> None:
        fill(store, clock)
        order = (OrderTerm("kind"), OrderTerm("context_window", descending=True), OrderTerm("name"))

        def work(unit: ReadUnit) -> None:
            wanted = sorted(
                all_provider_models(unit),
                key=lambda view: (
                    view.model.facts.kind,
                    -view.model.facts.context_window,
                    view.model.provider_id,
                    view.model.model_id,
                ),
            )
            found = pages(
                lambda after, limit: unit.provider_models.page(
                    provider_id=None, filter=None, order_by=order, after=after, limit=limit
                ),
                size,
            )
            assert found == wanted

        store.read(work)
