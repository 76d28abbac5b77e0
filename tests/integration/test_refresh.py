"""Two catalog releases beside each other: a real registry imports from one and refreshes to the other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from codevector.providers.v1 import catalog_pb2, provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.api import KINDS, Api
from tests.support.servers.harness import ROOT, instance
from tools.catalog.build import build_release
from tools.catalog.canonical import canonical_bytes

FACTS = ROOT / "tests" / "unit" / "catalogs" / "facts"
OLD, NEW = "2026.05.01", "2026.11.20"
RESULT = pb.ImportResult
REFRESH = pb.ImportProviderModelsRequest.EXISTING_POLICY_REFRESH
OPENAI = KINDS.PROVIDER_KIND_OPENAI
EXCEPTION = {
    "upstream_model_id": "Odd:1",
    "kind": "openai",
    "rule": "cached-above-input",
    "reason": "made up for the test",
}


def newer(facts: Path) -> None:
    """The facts of half a year later: a price falls, a window grows, one model goes and one comes."""
    for path in facts.glob("*.json"):
        content = json.loads(path.read_bytes())
        content.update(catalog_version=NEW, as_of=NEW.replace(".", "-"))
        if content["kind"] == "openai":
            wide, narrow, _odd = content["models"]
            wide["pricing"].update(input="2.25", output="9.000000000001")
            narrow["context_window"] = 64_000
            narrow["deprecation_date"] = "2027-03-01"
            content["models"] = [
                wide,
                narrow,
                {**narrow, "upstream_model_id": "fresh-1", "display_name": "Fresh"},
            ]
        path.write_text(json.dumps(content))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own sources, with other catalogs: a start reads those beside the sources."""
    root = tmp_path_factory.mktemp("sources")
    for path in ROOT.iterdir():
        if path.is_dir() and not path.name.startswith(".") and path.name not in ("catalogs", "var"):
            (root / path.name).symlink_to(path)
    catalogs = root / "catalogs"
    catalogs.mkdir()
    (catalogs / "exceptions.json").write_bytes(
        canonical_bytes({"schema_version": 1, "exceptions": [EXCEPTION]})
    )
    build_release(OLD, FACTS, catalogs, replace=False)
    facts = Path(shutil.copytree(FACTS, root / "facts"))
    newer(facts)
    build_release(NEW, facts, catalogs, replace=False)
    return root


@pytest.fixture(scope="module")
def api(sources: Path) -> Iterator[Api]:
    with instance(root=sources) as made:
        made.start_kms()
        made.start_service()
        yield Api(made)


@pytest.fixture
def provider(api: Api) -> provider_pb2.Provider:
    return api.create(kind=OPENAI)


def do_import(api: Api, parent: str, **request: Any) -> pb.ImportProviderModelsResponse:
    report = api.call("ImportProviderModels", pb.ImportProviderModelsRequest(parent=parent, **request))
    assert isinstance(report, pb.ImportProviderModelsResponse)
    return report


def actions(report: pb.ImportProviderModelsResponse) -> dict[str, str]:
    return {one.upstream_model_id: RESULT.Action.Name(one.action) for one in report.results}


def changes(result: pb.ImportResult) -> dict[str, tuple[str | None, str | None]]:
    return {
        one.field: (
            one.old_value if one.HasField("old_value") else None,
            one.new_value if one.HasField("new_value") else None,
        )
        for one in result.changes
    }


class TestReleases:
    def test_the_newest_is_the_default_and_others_are_chosen_by_version(self, api: Api) -> None:
        def get(version: str) -> catalog_pb2.Catalog:
            request = pb.GetCatalogRequest(name="catalogs/openai", catalog_version=version)
            catalog = api.call("GetCatalog", request)
            assert isinstance(catalog, catalog_pb2.Catalog)
            return catalog

        assert get("") == get(NEW)
        assert (get("").version, get(OLD).version) == (NEW, OLD)
        assert get(OLD).digest != get(NEW).digest
        refusal = api.refuse(
            "GetCatalog", pb.GetCatalogRequest(name="catalogs/openai", catalog_version="1999.01.01")
        )
        assert refusal.metadata["available"] == f"{NEW},{OLD}"

    def test_a_release_that_was_changed_keeps_the_registry_from_starting(self, sources: Path) -> None:
        with instance(root=sources) as made:
            path = sources / "catalogs" / OLD / "openai.json"
            good = path.read_bytes()
            path.write_bytes(good.replace(b'"2.5"', b'"2.4"'))
            try:
                done = made.run("service")
            finally:
                path.write_bytes(good)
        assert done.returncode != 0
        assert f"{OLD}/openai.json: differs from the hash in its manifest" in done.stderr


class TestRefresh:
    def test_a_whole_upgrade(self, api: Api, provider: provider_pb2.Provider) -> None:
        do_import(api, provider.name, catalog_version=OLD)
        wide = api.get(f"{provider.name}/models/wide-1")
        wide.display_name = "Our wide one"
        api.update(wide, "display_name")

        with api.nothing_changes():
            plan = do_import(api, provider.name, existing_policy=REFRESH, validate_only=True)
        assert actions(plan) == {
            "fresh-1": "ACTION_CREATED",
            "narrow-1": "ACTION_REFRESHED",
            "wide-1": "ACTION_REFRESHED",
            "Odd:1": "ACTION_GONE",
        }
        results = {one.upstream_model_id: one for one in plan.results}
        assert changes(results["narrow-1"]) == {
            "context_window": (None, "64000"),
            "retire_time": (None, "2027-03-01T00:00:00Z"),
        }
        assert changes(results["wide-1"]) == {
            "pricing.input_per_million_tokens": ("2.5", "2.25"),
            "pricing.output_per_million_tokens": ("10", "9.000000000001"),
        }
        assert list(results["wide-1"].changed_fields) == ["pricing"]
        [kept] = results["wide-1"].kept_fields
        assert (kept.field, kept.value, kept.imported_value, kept.catalog_value) == (
            "display_name",
            "Our wide one",
            "Wide 1",
            "Wide 1",
        )
        assert (plan.created_count, plan.refreshed_count, plan.gone_count) == (1, 2, 1)

        before = api.revision()
        done = do_import(api, provider.name, existing_policy=REFRESH, plan_digest=plan.plan_digest)
        assert done == plan
        assert api.revision() == before + 1
        after = api.get(wide.name)
        assert (after.display_name, after.catalog_version) == ("Our wide one", NEW)
        assert after.pricing.output_per_million_tokens == "9.000000000001"
        assert list(after.overridden_fields) == ["display_name"]
        gone = api.get(results["Odd:1"].provider_model)
        assert (gone.state, gone.catalog_version) == (provider_model_pb2.ProviderModel.STATE_ACTIVE, OLD)

        with api.nothing_changes():
            again = do_import(api, provider.name, existing_policy=REFRESH)
        assert set(actions(again).values()) == {"ACTION_UNCHANGED", "ACTION_GONE"}
        assert (again.unchanged_count, again.gone_count) == (3, 1)
        with api.nothing_changes():
            late = pb.ImportProviderModelsRequest(
                parent=provider.name, existing_policy=REFRESH, plan_digest=plan.plan_digest
            )
            assert api.refuse("ImportProviderModels", late).reason == "PLAN_CHANGED"

    def test_retirements_can_be_asked_for(self, api: Api, provider: provider_pb2.Provider) -> None:
        do_import(api, provider.name)

        def retiring(text: str) -> list[str]:
            request = pb.ListProviderModelsRequest(parent=provider.name, filter=text)
            return [
                model.upstream_model_id for model in api.call("ListProviderModels", request).provider_models
            ]

        assert retiring('retire_time < "2027-02-01T00:00:00Z"') == ["wide-1"]
        assert retiring('retire_time >= "2027-02-01T00:00:00Z"') == ["fresh-1", "narrow-1"]
        assert retiring("NOT retire_time:*") == []

    def test_a_custom_model_stays_custom_until_it_is_adopted(
        self, api: Api, provider: provider_pb2.Provider
    ) -> None:
        own = api.create_provider_model(provider.name, "fresh-1", display_name="Ours")
        report = do_import(api, provider.name, existing_policy=REFRESH, existing_only=True)
        assert actions(report) == {"fresh-1": "ACTION_KEPT_CUSTOM"}
        assert (report.kept_custom_count, api.get(own.name)) == (1, own)

        report = do_import(
            api, provider.name, existing_policy=REFRESH, adopt_custom=True, upstream_model_ids=["fresh-1"]
        )
        assert (report.adopted_count, actions(report)) == (1, {"fresh-1": "ACTION_ADOPTED"})
        adopted = api.get(own.name)
        assert (adopted.display_name, adopted.context_window) == ("Ours", 64_000)
        assert (adopted.source, list(adopted.overridden_fields)) == (
            provider_model_pb2.ProviderModel.SOURCE_CATALOG,
            ["display_name"],
        )
