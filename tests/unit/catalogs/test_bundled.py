"""What is bundled: every release under catalogs/, as committed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import pytest

import service
from service.domain.catalog import Catalogs, kind_slug
from service.domain.ids import derive_model_id
from service.domain.model import ModelKind, ProviderKind
from tools.catalog.models import KINDS
from tools.catalog.reader import load_catalogs
from tools.catalog.validate import check_canonical, validate_catalogs

ROOT = Path(service.__file__).parent.parent / "catalogs"
RELEASE = "2026.04.15"
PUBLISHED = {"2026.04.15": "71deb6886b62b90eb860b4665183b8dd6c18b1954a24d2730b9985f36db91e25"}
"""The hash of each published release's manifest, which in turn has those of its files."""
WITHOUT_CATALOG = {ProviderKind.OPENAI_COMPATIBLE}

FILES = sorted(path for path in ROOT.glob("*/*.json") if path.parent.name != "schema") + sorted(
    ROOT.glob("*.json")
)


@pytest.fixture(scope="module")
def catalogs() -> Catalogs:
    return load_catalogs(ROOT)


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "schema" / f"{name}.schema.json").read_text())
    return loaded


class TestRelease:
    def test_everything_bundled_is_valid(self) -> None:
        assert validate_catalogs(ROOT).list()

    def test_every_release_is_pinned(self) -> None:
        assert {path.parent.name for path in ROOT.glob("*/manifest.json")} == set(PUBLISHED)

    @pytest.mark.parametrize("release", PUBLISHED)
    def test_a_published_release_is_what_it_was(self, release: str) -> None:
        manifest = (ROOT / release / "manifest.json").read_bytes()
        assert hashlib.sha256(manifest).hexdigest() == PUBLISHED[release]

    def test_eleven_kinds_have_a_catalog(self, catalogs: Catalogs) -> None:
        counts = {kind_slug(c.kind): len(c.models) for c in catalogs.catalogs if c.version == RELEASE}

        assert counts == {
            "openai": 95,
            "anthropic": 22,
            "azure": 162,
            "bedrock": 187,
            "google": 36,
            "vertex": 75,
            "vertex-anthropic": 28,
            "groq": 24,
            "cohere": 22,
            "deepseek": 2,
            "moonshot": 21,
        }

    def test_rows_to_review_are_kept_and_marked(self, catalogs: Catalogs) -> None:
        bedrock = catalogs.get(ProviderKind.BEDROCK, RELEASE)

        assert bedrock is not None
        assert sum(model.needs_review for model in bedrock.models) == 39

    def test_ids_of_provider_models_need_no_suffix(self, catalogs: Catalogs) -> None:
        for catalog in catalogs.catalogs:
            slugs = [derive_model_id(model.upstream_model_id, lambda _: False) for model in catalog.models]
            assert len(set(slugs)) == len(slugs), catalog.name

    def test_a_price_is_what_the_file_says_to_the_last_digit(self, catalogs: Catalogs) -> None:
        openai = catalogs.get(ProviderKind.OPENAI, RELEASE)

        assert openai is not None
        pricing = next(m.pricing for m in openai.models if m.upstream_model_id == "gpt-4.1-nano")
        assert pricing is not None
        assert (pricing.input, pricing.cached_input, pricing.cache_write) == ("0.1", "0.025", None)

    def test_an_embedding_model_has_its_dimensions(self, catalogs: Catalogs) -> None:
        openai = catalogs.get(ProviderKind.OPENAI, RELEASE)

        assert openai is not None
        model = next(m for m in openai.models if m.upstream_model_id == "text-embedding-3-large")
        assert (model.kind, model.embedding_dimensions) == (ModelKind.EMBEDDING, 3072)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
class TestFiles:
    def test_is_written_canonically(self, path: Path) -> None:
        check_canonical(path)

    def test_conforms_to_its_published_schema(self, path: Path) -> None:
        name = path.stem if path.stem in ("manifest", "exceptions") else "catalog"

        jsonschema.Draft202012Validator(schema(name)).validate(json.loads(path.read_bytes()))


@pytest.mark.parametrize("path", sorted((ROOT / "schema").glob("*.json")), ids=lambda path: path.name)
def test_schema_is_a_schema(path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_bytes()))


def test_schema_refuses_a_float_price() -> None:
    release = json.loads((ROOT / RELEASE / "deepseek.json").read_bytes())
    release["models"][0]["pricing"]["input"] = 0.28

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema("catalog")).validate(release)


class TestKinds:
    def test_all_but_the_known_ones_have_a_catalog(self, catalogs: Catalogs) -> None:
        without = {info.kind.kind for info in catalogs.kinds() if not info.catalog_version}

        assert without == WITHOUT_CATALOG


def test_kinds_of_models_are_the_domains() -> None:
    assert set(KINDS.values()) == set(ModelKind)
