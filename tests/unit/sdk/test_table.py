"""Look-ups and picks from a routing table, and tables that follow one another."""

from __future__ import annotations

import random
from collections import Counter

import codevector_providers as sdk
import pytest
from codevector_providers._layers import GONE, Gone
from codevector_providers.table import Entries, ProviderModels, RoutingTable, TableChanges, empty
from hypothesis import given
from hypothesis import strategies as st

CHAT, EMBEDDING = sdk.ModelKind.CHAT, sdk.ModelKind.EMBEDDING


def provider(name: str = "providers/p", **changes: object) -> sdk.RoutingProvider:
    values: dict[str, object] = {
        "name": name,
        "uid": "02020202-0202-0202-0202-020202020202",
        "kind": sdk.ProviderKind.OPENAI,
        "display_name": "P",
        "config": {},
        "headers": {},
        "credential_type": sdk.CredentialType.API_KEY,
        "credential_version": 1,
        "labels": {},
    }
    return sdk.RoutingProvider(**{**values, **changes})  # type: ignore[arg-type]


def provider_model(
    name: str, kind: sdk.ModelKind = CHAT, labels: dict[str, str] | None = None
) -> sdk.ActiveProviderModel:
    return sdk.ActiveProviderModel(
        name=name,
        provider=name.partition("/models/")[0],
        provider_kind=sdk.ProviderKind.OPENAI,
        upstream_model_id="m",
        kind=kind,
        context_window=0,
        max_output_tokens=0,
        embedding_dimensions=0,
        pricing=None,
        capabilities=(),
        labels=labels or {},
    )


def table(*backends: sdk.ModelBackend) -> RoutingTable:
    """One model over these, which all exist but those at providers/none."""
    names = {backend.provider_model for backend in backends}
    return RoutingTable(
        "s",
        1,
        "s@1",
        Entries.of([provider()]),
        ProviderModels.of(provider_model(name) for name in names),
        Entries.of([sdk.ActiveModel("models/m", CHAT, backends, {})]),
    )


def backend(name: str, priority: int = 0, weight: int = 1, at: str = "providers/p") -> sdk.ModelBackend:
    return sdk.ModelBackend(f"{at}/models/{name}", priority, weight)


def tried(routes: object) -> list[str]:
    return [route.provider_model.name.rpartition("/")[2] for route in routes]  # type: ignore[attr-defined]


class TestLookups:
    def test_by_what_entries_have(self) -> None:
        a = provider_model("providers/p/models/a", labels={"tier": "gold", "team": "x"})
        b = provider_model("providers/p/models/b", EMBEDDING, labels={"tier": "gold"})
        c = provider_model("providers/q/models/c")
        models = ProviderModels.of([a, b, c])
        assert models["providers/p/models/a"] is a
        assert dict(models.of_kind(CHAT)) == {a.name: a, c.name: c}
        assert dict(models.labelled("tier", "gold")) == {a.name: a, b.name: b}
        assert dict(models.labelled("team", "x")) == {a.name: a}
        assert dict(models.labelled("team", "y")) == {}
        assert dict(models.of_provider("providers/q")) == {c.name: c}
        assert "providers/q/models/none" not in models

    @given(
        history=st.lists(
            st.dictionaries(
                st.sampled_from([f"providers/p{at}/models/m{number}" for at in "12" for number in range(4)]),
                st.one_of(
                    st.just(GONE),
                    st.tuples(
                        st.sampled_from([CHAT, EMBEDDING]),
                        st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy")),
                    ),
                ),
            ),
            max_size=8,
        ),
        looked_up_from_the_beginning=st.booleans(),
    )
    def test_indexes_follow_the_changes(
        self,
        history: list[dict[str, Gone | tuple[sdk.ModelKind, dict[str, str]]]],
        looked_up_from_the_beginning: bool,
    ) -> None:
        models = ProviderModels.of([])
        if looked_up_from_the_beginning:
            models.of_kind(CHAT)
        for changes in history:
            models = models.changed(
                {
                    name: change if isinstance(change, Gone) else provider_model(name, *change)
                    for name, change in changes.items()
                }
            )
        anew = ProviderModels.of(models.values())
        assert dict(models) == dict(anew)
        for kind in (CHAT, EMBEDDING):
            assert dict(models.of_kind(kind)) == dict(anew.of_kind(kind))
        for at in ("providers/p1", "providers/p2"):
            assert dict(models.of_provider(at)) == dict(anew.of_provider(at))
        for key in "ab":
            for value in "xy":
                assert dict(models.labelled(key, value)) == dict(anew.labelled(key, value))


class TestAttempts:
    def test_lower_priorities_first_and_each_once(self) -> None:
        found = table(backend("a", 0, 3), backend("b", 0), backend("c", 1), backend("d", 7), backend("e", 7))
        for seed in range(50):
            names = tried(found.attempts("models/m", random.Random(seed).random))
            assert sorted(names[:2]) == ["a", "b"]
            assert names[2] == "c"
            assert sorted(names[3:]) == ["d", "e"]

    def test_chance_goes_by_weight(self) -> None:
        found = table(backend("a", 0, 6), backend("b", 0, 3), backend("c", 0, 1), backend("d", 1, 100))
        chance = random.Random(5).random
        first = Counter(tried([found.first("models/m", chance)])[0] for _ in range(10_000))
        assert set(first) == {"a", "b", "c"}
        assert first["a"] == pytest.approx(6000, abs=250)
        assert first["b"] == pytest.approx(3000, abs=250)
        second = Counter(tried(found.attempts("models/m", chance))[1] for _ in range(4_000))
        assert second["b"] > second["a"] > second["c"]

    @pytest.mark.parametrize("number", [0.0, 0.999999999999])
    def test_the_ends_of_chance(self, number: float) -> None:
        found = table(backend("a", 0, 2), backend("b", 0, 5), backend("c", 0, 1))
        assert sorted(tried(found.attempts("models/m", lambda: number))) == ["a", "b", "c"]

    def test_backends_that_lead_nowhere_are_passed_over(self) -> None:
        found = table(backend("a", at="providers/none"), backend("b", 1))
        assert tried(found.attempts("models/m", random.random)) == ["b"]
        with pytest.raises(sdk.ModelNotFound):
            table(backend("a", at="providers/none")).attempts("models/m", random.random)
        with pytest.raises(sdk.ModelNotFound):
            table(backend("a", at="providers/none")).first("models/m", random.random)

    def test_a_model_without_backends_is_none(self) -> None:
        """No registry sends one; if one does, it is not found instead of a crash."""
        with pytest.raises(sdk.ModelNotFound):
            table().first("models/m", random.random)
        with pytest.raises(sdk.ModelNotFound):
            table().attempts("models/m", random.random)

    def test_a_provider_model_by_its_own_name(self) -> None:
        found = table(backend("a"))
        (route,) = found.attempts("providers/p/models/a", random.random)
        assert route == found.first("providers/p/models/a", random.random)
        assert (route.model, route.provider.name) == ("providers/p/models/a", "providers/p")

    @pytest.mark.parametrize("name", ["models/none", "providers/p/models/none", "providers/p", ""])
    def test_of_nothing(self, name: str) -> None:
        with pytest.raises(sdk.ModelNotFound) as caught:
            empty().attempts(name, random.random)
        assert caught.value.reason == "RESOURCE_NOT_FOUND"
        assert caught.value.metadata == {"model": name}


class TestGenerations:
    def test_an_older_table_stays_as_it_was(self) -> None:
        old = table(backend("a"), backend("b"))
        changes = TableChanges({}, {}, {})
        for name in ("providers/p", "providers/p/models/a", "models/m", "models/none", "providers/none", ""):
            changes.take_out(name)
        new = old.changed(2, "s@2", changes)
        assert (old.revision, new.revision, new.token) == (1, 2, "s@2")
        assert (len(old.providers), len(old.provider_models), len(old.models)) == (1, 2, 1)
        assert (dict(new.providers), list(new.provider_models), dict(new.models)) == (
            {},
            ["providers/p/models/b"],
            {},
        )

    def test_what_did_not_change_is_shared(self) -> None:
        old = table(backend("a"))
        new = old.changed(2, "s@2", TableChanges({}, {}, {"models/m": GONE}))
        assert new.provider_models is old.provider_models
        assert new.providers is old.providers
        assert old.at(5, "s@5").models is old.models
