"""Building a release from facts, on facts small enough to read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import service
from service.domain.model import ModelCapability, ProviderKind
from tools.catalog.__main__ import main
from tools.catalog.build import BuildError, build_release
from tools.catalog.canonical import canonical_bytes
from tools.catalog.document import CatalogFileError
from tools.catalog.reader import load_catalogs

FACTS = Path(__file__).parent / "facts"
BUNDLED = Path(service.__file__).parent.parent / "catalogs"
RELEASE = "2026.05.01"

PRICES = st.lists(
    st.integers(0, 12).flatmap(lambda places: st.decimals(1, 4, places=places).map(str)),
    min_size=4,
    max_size=4,
)
"""Near enough to each other for the sanity rules, with up to twelve digits behind the point."""

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def catalogs(tmp_path: Path) -> Path:
    """A catalogs folder without a release, with the one exception that the facts need."""
    root = tmp_path / "catalogs"
    root.mkdir()
    exception = {
        "upstream_model_id": "Odd:1",
        "kind": "openai",
        "rule": "cached-above-input",
        "reason": "made up for the test",
    }
    (root / "exceptions.json").write_bytes(canonical_bytes({"schema_version": 1, "exceptions": [exception]}))
    return root


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    """A copy of the facts, to be spoilt."""
    return Path(shutil.copytree(FACTS, tmp_path / "facts"))


def edit(path: Path, change: Edit) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content, indent=1) + "\n")


def built(catalogs: Path, name: str = "openai.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((catalogs / RELEASE / name).read_bytes())
    return content


class TestBuild:
    def test_the_service_reads_what_was_built(self, catalogs: Path) -> None:
        build_release(RELEASE, FACTS, catalogs, replace=False)

        catalog = load_catalogs(catalogs).newest(ProviderKind.VERTEX_ANTHROPIC)
        assert catalog is not None
        assert catalog.version == RELEASE
        assert [model.upstream_model_id for model in catalog.models] == ["embed@1"]

    def test_building_twice_gives_the_same_bytes(self, catalogs: Path) -> None:
        build_release(RELEASE, FACTS, catalogs, replace=False)
        first = {path.name: path.read_bytes() for path in (catalogs / RELEASE).iterdir()}
        result = build_release(RELEASE, FACTS, catalogs, replace=True)

        assert not result.changed
        assert {path.name: path.read_bytes() for path in (catalogs / RELEASE).iterdir()} == first
        assert all(data.endswith(b"}\n") and b"\r" not in data for data in first.values())

    def test_the_order_of_facts_does_not_matter(self, catalogs: Path, facts: Path) -> None:
        build_release(RELEASE, FACTS, catalogs, replace=False)
        edit(facts / "openai.json", lambda content: content["models"].reverse())

        assert not build_release(RELEASE, facts, catalogs, replace=False).changed

    def test_facts_may_lie_in_a_folder_of_the_release(self, catalogs: Path, tmp_path: Path) -> None:
        shutil.copytree(FACTS, tmp_path / "all" / RELEASE)

        assert build_release(RELEASE, tmp_path / "all", catalogs, replace=False).models == 4

    def test_all_facts_of_a_model_are_kept(self, catalogs: Path) -> None:
        build_release(RELEASE, FACTS, catalogs, replace=False)

        wide = built(catalogs)["models"][2]
        assert wide == {
            "upstream_model_id": "wide-1",
            "kind": "chat",
            "display_name": "Wide 1",
            "lifecycle": "deprecation_scheduled",
            "release_date": "2026-01-15",
            "retire_date": "2027-01-31",
            "knowledge_cutoff": "2025-02",
            "context_window": 128000,
            "max_input_tokens": 100000,
            "max_output_tokens": 4096,
            "embedding_dimensions": None,
            "capabilities": ["streaming", "tools"],
            "apis": ["chat_completions", "responses"],
            "pricing": {
                "currency": "USD",
                "input": "2.5",
                "output": "10",
                "cached_input": "0.25",
                "cache_write": "3.125",
                "tiers": [{"above_input_tokens": 64000, "input": "5", "output": "20"}],
            },
            "extra_prices": {
                "cache_write_1h": "5",
                "batch_input": "1.25",
                "batch_output": "5",
                "audio_input": "40",
                "service_tiers": {"priority": {"input": "5", "output": "20"}},
                "regions": {"eu": {"input": "2.75", "output": "11"}},
            },
            "vendor": {"family": "wide"},
            "notes": [
                "deployment name",
                "absent from litellm",
                "knowledge cutoff published as 2025-02-31, which is not a calendar day",
                "tier seen once",
            ],
            "needs_review": False,
            "provenance": {
                "primary": "litellm",
                "price_agreement": "agree",
                "price_agreeing": ["litellm", "models.dev"],
                "price_differing": [],
                "price_from": {"input": "litellm", "output": "models.dev", "tiers": "models.dev"},
                "context_agreement": "agree",
                "context_from": "litellm+models.dev",
                "display_name_from": "models.dev",
                "release_date_from": "id_suffix",
                "metadata_from": "openai/wide",
                "checked_date": "2026-04-01",
                "vendor_page": "https://example.com/prices",
                "table_keys": {"litellm": "x", "models.dev": "openai/x"},
            },
        }

    def test_prices_reach_the_service_as_they_were_written(self, catalogs: Path, facts: Path) -> None:
        @settings(max_examples=20, deadline=None)
        @given(PRICES)
        def check(drawn: list[str]) -> None:
            cached, paid, output, write = sorted(drawn, key=Decimal)
            prices = {"cached_input": cached, "input": paid, "output": output, "cache_write": write}
            edit(facts / "openai.json", lambda content: content["models"][0]["pricing"].update(prices))
            build_release(RELEASE, facts, catalogs, replace=True)

            catalog = load_catalogs(catalogs).newest(ProviderKind.OPENAI)
            assert catalog is not None
            [pricing] = [model.pricing for model in catalog.models if model.upstream_model_id == "wide-1"]
            assert pricing is not None
            assert {name: getattr(pricing, name) for name in prices} == prices

        check()

    def test_a_row_to_review_is_kept_marked_and_counted(self, catalogs: Path) -> None:
        build_release(RELEASE, FACTS, catalogs, replace=False)

        row = next(m for m in built(catalogs)["models"] if m["upstream_model_id"] == "narrow-1")
        assert (row["needs_review"], row["pricing"], row["context_window"]) == (True, None, None)
        manifest = built(catalogs, "manifest.json")
        assert manifest["counts"] == {
            "models": 4,
            "chat": 3,
            "embedding": 1,
            "without_price": 1,
            "needs_review": 1,
        }

    def test_the_manifest_names_sources_and_the_needed_exceptions(self, catalogs: Path) -> None:
        build_release(RELEASE, FACTS, catalogs, replace=False)

        manifest = built(catalogs, "manifest.json")
        assert [source["name"] for source in manifest["sources"]] == ["litellm", "models.dev"]
        assert [exception["upstream_model_id"] for exception in manifest["exceptions"]] == ["Odd:1"]

    def test_capabilities_are_the_apis(self, catalogs: Path) -> None:
        build_release(RELEASE, FACTS, catalogs, replace=False)

        catalog = load_catalogs(catalogs).newest(ProviderKind.OPENAI)
        assert catalog is not None
        assert catalog.models[0].capabilities == (ModelCapability.STREAMING, ModelCapability.TOOLS)

    def test_the_day_of_older_facts_is_kept(self, catalogs: Path, facts: Path) -> None:
        edit(facts / "openai.json", lambda content: content.update(as_of="2026-04-28"))
        build_release(RELEASE, facts, catalogs, replace=False)

        assert [entry.get("as_of") for entry in built(catalogs, "manifest.json")["files"]] == [
            "2026-04-28",
            None,
        ]
        assert load_catalogs(catalogs).newest(ProviderKind.OPENAI)


class TestPublishedRelease:
    def test_is_not_changed(self, catalogs: Path, facts: Path) -> None:
        build_release(RELEASE, FACTS, catalogs, replace=False)
        before = (catalogs / RELEASE / "openai.json").read_bytes()
        edit(facts / "openai.json", lambda content: content["models"][0].update(display_name="Wider"))

        with pytest.raises(BuildError, match="never changes"):
            build_release(RELEASE, facts, catalogs, replace=False)
        assert (catalogs / RELEASE / "openai.json").read_bytes() == before

    def test_is_replaced_when_told(self, catalogs: Path, facts: Path) -> None:
        build_release(RELEASE, FACTS, catalogs, replace=False)
        edit(facts / "openai.json", lambda content: content["models"][0].update(display_name="Wider"))

        assert build_release(RELEASE, facts, catalogs, replace=True).changed
        assert load_catalogs(catalogs).newest(ProviderKind.OPENAI)


def first_pricing(**prices: object) -> Edit:
    return lambda content: content["models"][0]["pricing"].update(prices)


def first_model(**fields: object) -> Edit:
    return lambda content: content["models"][0].update(fields)


REFUSED: dict[str, tuple[Edit, str]] = {
    "float price": (first_pricing(input=2.5), "floating-point"),
    "price as a whole number": (first_pricing(input=2), "decimal string"),
    "exponent in a price": (first_pricing(input="1e3"), "decimal string"),
    "cached above input": (first_pricing(cached_input="3"), "cached-above-input"),
    "swapped prices": (first_pricing(input="10", output="2.5"), "output-below-input"),
    "price per thousand tokens": (first_pricing(input="0.0000025"), "price-out-of-range"),
    "unknown price field": (first_pricing(image="1"), "image: is not a known field"),
    "unknown field": (first_model(color="red"), "color: is not a known field"),
    "window of zero": (first_model(context_window=0), "context_window: must be null"),
    "no such day": (first_model(deprecation_date="2027-02-30"), "retire_date"),
    "retired before released": (first_model(deprecation_date="2025-01-01"), "is before release_date"),
    "mode that is neither": (first_model(mode="image"), "kind: must be one of"),
    "unknown capability": (first_model(capabilities=["flying"]), "capabilities.0"),
    "overlong display name": (first_model(display_name="n" * 64), "display_name"),
    "duplicate id": (lambda c: c["models"].append(c["models"][0]), "wide-1 occurs twice"),
    "other release": (lambda c: c.update(catalog_version="2026.05.02"), "catalog_version"),
    "gathered after the release": (lambda c: c.update(as_of="2026-05-02"), "as_of: is after the day"),
    "unknown kind": (lambda c: c.update(kind="acme"), "kind: is not a provider kind"),
    "kind of another file": (lambda c: c.update(kind="azure"), "kind: is not what the file is named after"),
    "number of 4,001 digits": (first_model(context_window=10**4000), "more than 18 digits"),
    "other unit": (lambda c: c.update(unit="USD per token"), "unit"),
}


class TestBadFacts:
    @pytest.mark.parametrize("case", REFUSED)
    def test_are_refused_with_file_and_line_and_nothing_is_written(
        self, case: str, catalogs: Path, facts: Path
    ) -> None:
        change, problem = REFUSED[case]
        edit(facts / "openai.json", change)

        with pytest.raises(CatalogFileError) as refusal:
            build_release(RELEASE, facts, catalogs, replace=False)

        assert problem in refusal.value.problem
        assert refusal.value.path == facts / "openai.json"
        assert refusal.value.line > 0
        assert sorted(path.name for path in catalogs.iterdir()) == ["exceptions.json"]

    def test_an_unlisted_exception_is_refused(self, catalogs: Path) -> None:
        (catalogs / "exceptions.json").unlink()

        with pytest.raises(CatalogFileError, match="Odd:1: cached input"):
            build_release(RELEASE, FACTS, catalogs, replace=False)

    def test_sources_that_contradict_each_other_are_refused(self, catalogs: Path, facts: Path) -> None:
        edit(facts / "openai.json", lambda content: content["sources"].update(litellm="litellm 1.0"))

        with pytest.raises(BuildError, match="litellm"):
            build_release(RELEASE, facts, catalogs, replace=False)

    def test_a_kind_in_two_files_is_refused(self, catalogs: Path, facts: Path) -> None:
        shutil.copy(facts / "vertex_anthropic.json", facts / "vertex-anthropic.json")

        with pytest.raises(CatalogFileError, match="facts of vertex-anthropic too"):
            build_release(RELEASE, facts, catalogs, replace=False)

    def test_an_empty_folder_is_refused(self, catalogs: Path, tmp_path: Path) -> None:
        with pytest.raises(BuildError, match="has no facts"):
            build_release(RELEASE, tmp_path / "catalogs" / "none", catalogs, replace=False)


class TestCommandLine:
    def test_builds_and_validates(self, catalogs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        build = ["build", "--release", RELEASE, "--facts", str(FACTS), "--catalogs", str(catalogs)]

        assert main(build) == 0
        assert main(["validate", "--catalogs", str(catalogs)]) == 0
        assert f"{RELEASE} openai: 3 models, 1 to review" in capsys.readouterr().out

    def test_says_what_is_refused_and_where(
        self, catalogs: Path, facts: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        edit(facts / "openai.json", first_model(context_window=0))

        assert main(["build", "--release", RELEASE, "--facts", str(facts), "--catalogs", str(catalogs)]) == 1
        assert "openai.json:" in capsys.readouterr().err

    @pytest.mark.parametrize("release", ["2026-05-01", "2026.5.1", "../2026.05.01", ""])
    def test_refuses_what_is_no_release(self, release: str, catalogs: Path) -> None:
        with pytest.raises(SystemExit):
            main(["build", "--release", release, "--facts", str(FACTS), "--catalogs", str(catalogs)])
