"""Reading catalogs at start: a good folder becomes values, a bad one is refused with file and line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import service
from service.domain.model import (
    ModelCapability,
    ModelFacts,
    ModelKind,
    Pricing,
    PricingTier,
    ProviderKind,
)
from tools.catalog.document import CatalogFileError, parse_document
from tools.catalog.reader import load_catalogs

BUNDLED = Path(service.__file__).parent.parent / "catalogs"

PROVENANCE = {
    "primary": "litellm",
    "price_agreement": "agree",
    "price_agreeing": ["litellm"],
    "price_differing": [],
    "price_from": {"input": "litellm"},
    "context_agreement": "single_source",
    "context_from": "litellm",
    "display_name_from": "models.dev",
    "table_keys": {"litellm": "a"},
}


def model(model_id: str) -> dict[str, Any]:
    return {
        "upstream_model_id": model_id,
        "kind": "chat",
        "display_name": f"Model {model_id}",
        "lifecycle": "active",
        "release_date": "2026-01",
        "retire_date": "2027-01-31",
        "knowledge_cutoff": None,
        "context_window": 128000,
        "max_input_tokens": None,
        "max_output_tokens": 4096,
        "embedding_dimensions": None,
        "capabilities": ["streaming", "tools"],
        "pricing": {
            "currency": "USD",
            "input": "2.5",
            "output": "10",
            "cached_input": "0.25",
            "cache_write": None,
            "tiers": [
                {"above_input_tokens": 32000, "input": "5"},
                {"above_input_tokens": 64000, "input": "7.5", "output": "20"},
            ],
        },
        "needs_review": True,
        "provenance": PROVENANCE,
    }


def write_release(root: Path, version: str = "2026.05.01", text: str | None = None) -> Path:
    """A release of one kind with two models; ``text`` replaces the kind's file, and its hash fits."""
    directory = root / version
    directory.mkdir(parents=True, exist_ok=True)
    catalog = {
        "schema_version": 1,
        "release": version,
        "kind": "vertex-anthropic",
        "models": [model("model-a"), model("model-b")],
    }
    path = directory / "vertex-anthropic.json"
    path.write_text(text if text is not None else json.dumps(catalog, indent=1))
    manifest = {
        "schema_version": 1,
        "release": version,
        "release_date": version.replace(".", "-"),
        "sources": [{"name": "litellm", "version": "litellm 1.0"}],
        "counts": {"models": 2, "chat": 2, "embedding": 0, "without_price": 0, "needs_review": 2},
        "files": [
            {
                "file": path.name,
                "kind": "vertex-anthropic",
                "models": 2,
                "needs_review": 2,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        ],
        "exceptions": [],
    }
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=1))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of catalogs with one small release."""
    write_release(tmp_path)
    return tmp_path


def refusal(root: Path) -> CatalogFileError:
    with pytest.raises(CatalogFileError) as raised:
        load_catalogs(root)
    return raised.value


class TestGoodFolder:
    def test_a_model_becomes_facts(self, root: Path) -> None:
        catalog = load_catalogs(root).newest(ProviderKind.VERTEX_ANTHROPIC)

        assert catalog is not None
        assert catalog.models[0] == ModelFacts(
            upstream_model_id="model-a",
            display_name="Model model-a",
            kind=ModelKind.CHAT,
            context_window=128000,
            max_output_tokens=4096,
            embedding_dimensions=0,
            pricing=Pricing(
                currency_code="USD",
                input="2.5",
                output="10",
                cached_input="0.25",
                tiers=(PricingTier(32000, input="5"), PricingTier(64000, input="7.5", output="20")),
            ),
            capabilities=(ModelCapability.STREAMING, ModelCapability.TOOLS),
            retire_time=datetime(2027, 1, 31, tzinfo=UTC),
            needs_review=True,
        )

    def test_a_catalog_tells_its_release_and_digest(self, root: Path) -> None:
        catalog = load_catalogs(root).newest(ProviderKind.VERTEX_ANTHROPIC)

        assert catalog is not None
        data = (root / "2026.05.01" / "vertex-anthropic.json").read_bytes()
        assert catalog.name == "catalogs/vertex-anthropic"
        assert catalog.version == "2026.05.01"
        assert catalog.release_time == datetime(2026, 5, 1, tzinfo=UTC)
        assert catalog.digest == hashlib.sha256(data).hexdigest()

    def test_releases_stand_side_by_side_and_the_newest_is_the_default(self, root: Path) -> None:
        write_release(root, "2026.11.20")
        write_release(root, "2025.12.31")

        catalogs = load_catalogs(root)

        kind = ProviderKind.VERTEX_ANTHROPIC
        assert catalogs.versions(kind) == ("2026.11.20", "2026.05.01", "2025.12.31")
        assert [catalog.version for catalog in catalogs.list()] == ["2026.11.20"]
        assert {info.kind.kind: info.catalog_version for info in catalogs.kinds()}[kind] == "2026.11.20"
        pinned = catalogs.get(kind, "2026.05.01")
        assert pinned is not None
        assert pinned.version == "2026.05.01"

    def test_what_is_not_bundled_is_none(self, root: Path) -> None:
        catalogs = load_catalogs(root)

        assert catalogs.newest(ProviderKind.OPENAI) is None
        assert catalogs.get(ProviderKind.VERTEX_ANTHROPIC, "2030.01.01") is None
        assert catalogs.versions(ProviderKind.OPENAI) == ()

    def test_unknown_windows_and_prices_are_fine(self, root: Path) -> None:
        path = root / "2026.05.01" / "vertex-anthropic.json"
        text = path.read_text().replace('"context_window": 128000', '"context_window": null')
        write_release(root, text=text.replace('"input": "2.5"', '"input": null'))

        catalog = load_catalogs(root).newest(ProviderKind.VERTEX_ANTHROPIC)

        assert catalog is not None
        pricing = catalog.models[0].pricing
        assert catalog.models[0].context_window == 0
        assert pricing is not None
        assert pricing.input is None

    def test_folders_that_are_no_release_are_left_alone(self, root: Path) -> None:
        (root / "schema").mkdir()
        (root / "schema" / "anything.json").write_text("not json")

        assert len(load_catalogs(root).catalogs) == 1


BAD_CONTENT = {
    "float": ('"input": "2.5"', '"input": 2.5', "2.5 is a floating-point number"),
    "exponent": ('"input": "2.5"', '"input": 1e3', "1e3 is a floating-point number"),
    "not a number": ('"input": "2.5"', '"input": NaN', "NaN is a floating-point number"),
    "integer price": ('"input": "2.5"', '"input": 2', "must be a decimal string"),
    "exponent in a string": ('"input": "2.5"', '"input": "1e3"', "must be a decimal string"),
    "negative price": ('"input": "2.5"', '"input": "-1"', "must be a decimal string"),
    "too many digits": ('"input": "2.5"', '"input": "0.1234567890123"', "must be a decimal string"),
    "cached above input": ('"cached_input": "0.25"', '"cached_input": "2.6"', "cached-above-input"),
    "swapped prices": ('"output": "10"', '"output": "2"', "output-below-input"),
    "absurd output": ('"output": "10"', '"output": "1000"', "output-far-above-input"),
    "absurd price": ('"input": "2.5"', '"input": "2500"', "price-out-of-range"),
    "cached above input in a tier": ('"input": "5"', '"cached_input": "3"', "cached-above-input"),
    "tiers that fall": ('"above_input_tokens": 64000', '"above_input_tokens": 31000', "tiers must rise"),
    "tiers that stand": ('"above_input_tokens": 64000', '"above_input_tokens": 32000', "tiers must rise"),
    "tier above zero": ('"above_input_tokens": 32000', '"above_input_tokens": 0', "whole number from 1"),
    "window of zero": ('"context_window": 128000', '"context_window": 0', "must be null (unknown)"),
    "window as a string": (
        '"context_window": 128000',
        '"context_window": "128000"',
        "must be null (unknown)",
    ),
    "window true": ('"context_window": 128000', '"context_window": true', "must be null (unknown)"),
    "absurd window": ('"context_window": 128000', '"context_window": 100000001', "must be null (unknown)"),
    "output above the window": (
        '"max_output_tokens": 4096',
        '"max_output_tokens": 128001',
        "output-above-window",
    ),
    "dimensions of a chat model": (
        '"embedding_dimensions": null',
        '"embedding_dimensions": 3',
        "only an embedding model",
    ),
    "unknown field": (
        '"needs_review": true',
        '"needs_review": true, "color": "red"',
        "color: is not a known",
    ),
    "review as text": ('"needs_review": true', '"needs_review": "yes"', "must be true or false"),
    "unknown kind": ('"kind": "chat"', '"kind": "image"', "must be one of chat, embedding"),
    "unknown capability": ('"tools"', '"flying"', "must be one of"),
    "capability twice": ('"tools"', '"streaming"', "occurs twice"),
    "unknown lifecycle": ('"lifecycle": "active"', '"lifecycle": "alive"', "must be one of"),
    "no such day": ('"2027-01-31"', '"2027-02-30"', "not a day of the calendar"),
    "day in another form": ('"2027-01-31"', '"31.01.2027"', "not a day of the calendar"),
    "no such month": ('"2026-01"', '"2026-13"', "not a day or month"),
    "retired before released": ('"2027-01-31"', '"2025-12-31"', "is before release_date"),
    "duplicate id": ('"model-b"', '"model-a"', "model-a occurs twice"),
    "unsorted": ('"model-b"', '"model-0"', "must be sorted"),
    "space in an id": ('"model-b"', '"model b"', "visible ASCII characters"),
    "overlong display name": ('"Model model-a"', f'"{"n" * 64}"', "1 to 63 printable"),
    "control character": ('"Model model-a"', '"Model\\u0007"', "1 to 63 printable"),
    "repeated key": ('"needs_review": true', '"kind": "chat", "needs_review": true', "same key twice"),
    "other schema version": ('"schema_version": 1', '"schema_version": 2', "the version that is read here"),
    "other release": ('"release": "2026.05.01"', '"release": "2026.05.02"', "as the manifest says"),
    "kind of another file": ('"kind": "vertex-anthropic"', '"kind": "vertex"', "as the manifest says"),
    "not JSON": ('"context_window": 128000', '"context_window": 0128000', "is not JSON"),
}


class TestBadContent:
    @pytest.mark.parametrize("case", BAD_CONTENT)
    def test_is_refused_with_file_and_line(self, root: Path, case: str) -> None:
        good, bad, problem = BAD_CONTENT[case]
        path = root / "2026.05.01" / "vertex-anthropic.json"
        text = path.read_text()
        at = text.index(good)
        write_release(root, text=text[:at] + bad + text[at + len(good) :])

        refused = refusal(root)

        assert problem in refused.problem
        assert refused.path == path
        assert refused.line == text.count("\n", 0, at) + 1
        assert str(refused).startswith(f"{path}:{refused.line}: ")

    def test_a_missing_field_is_refused_where_its_model_begins(self, root: Path) -> None:
        path = root / "2026.05.01" / "vertex-anthropic.json"
        text = path.read_text()
        write_release(root, text=text.replace('"needs_review": true,', "", 1))

        refused = refusal(root)

        assert refused.problem == "models.0: lacks needs_review"
        assert refused.line == text.count("\n", 0, text.index('"upstream_model_id"'))


def edit_manifest(root: Path, good: str, bad: str) -> int:
    """Replaces ``good`` by ``bad`` and returns its line."""
    path = root / "2026.05.01" / "manifest.json"
    text = path.read_text()
    at = text.index(good)
    path.write_text(text[:at] + bad + text[at + len(good) :])
    return text.count("\n", 0, at) + 1


BAD_MANIFEST = {
    "other schema version": ('"schema_version": 1', '"schema_version": 2', "the version that is read here"),
    "another folder's release": ('"release": "2026.05.01"', '"release": "2026.05.02"', "name of its folder"),
    "date of another day": ('"2026-05-01"', '"2026-05-02"', "is not the day of release"),
    "file of another name": ('"vertex-anthropic.json"', '"../vertex.json"', "must be vertex-anthropic.json"),
    "unknown kind": ('"kind": "vertex-anthropic"', '"kind": "acme"', "is not a provider kind"),
    "other count": ('"models": 2', '"models": 3', "the files have 2"),
    "other count of the file": (
        '"needs_review": 2,\n   "sha',
        '"needs_review": 1,\n   "sha',
        "the file has 2",
    ),
    "unknown field": ('"exceptions"', '"signature": "x",\n "exceptions"', "is not a known field"),
    "needless exception": (
        '"exceptions": []',
        '"exceptions": [{"kind": "vertex-anthropic", "upstream_model_id": "model-a",'
        ' "rule": "cached-above-input", "reason": "none"}]',
        "the exception is not needed",
    ),
    "facts of a later day": (
        '"sha256"',
        '"as_of": "2026-05-01", "sha256"',
        "is not before the day of release",
    ),
    "unknown rule": (
        '"exceptions": []',
        '"exceptions": [{"kind": "vertex-anthropic", "upstream_model_id": "model-a",'
        ' "rule": "any", "reason": "none"}]',
        "must be one of",
    ),
}


class TestBadRelease:
    @pytest.mark.parametrize("case", BAD_MANIFEST)
    def test_manifest_is_refused_with_file_and_line(self, root: Path, case: str) -> None:
        good, bad, problem = BAD_MANIFEST[case]
        line = edit_manifest(root, good, bad)

        refused = refusal(root)

        assert problem in refused.problem
        assert refused.path.name == "manifest.json"
        assert refused.line == line

    def test_wrong_hash_names_the_file_and_the_manifests_line(self, root: Path) -> None:
        path = root / "2026.05.01" / "vertex-anthropic.json"
        path.write_bytes(path.read_bytes() + b"\n")

        refused = refusal(root)

        manifest = root / "2026.05.01" / "manifest.json"
        before, _, _ = manifest.read_text().partition('"sha256"')
        assert refused.path == manifest
        assert refused.line == before.count("\n") + 1
        assert str(path) in refused.problem

    def test_a_missing_file_is_refused(self, root: Path) -> None:
        path = root / "2026.05.01" / "vertex-anthropic.json"
        path.unlink()

        assert (refusal(root).path, refusal(root).problem) == (
            path,
            "cannot be read: No such file or directory",
        )

    def test_a_file_that_the_manifest_does_not_list_is_refused(self, root: Path) -> None:
        stray = root / "2026.05.01" / "openai.json"
        stray.write_text("{}")

        assert refusal(root).path == stray

    def test_a_listed_exception_lets_a_model_through(self, root: Path) -> None:
        path = root / "2026.05.01" / "vertex-anthropic.json"
        text = path.read_text().replace('"cached_input": "0.25"', '"cached_input": "2.6"', 1)
        write_release(root, text=text)
        entry = (
            '{"kind": "vertex-anthropic", "upstream_model_id": "model-a",'
            ' "rule": "cached-above-input", "reason": "so published"}'
        )
        edit_manifest(root, '"exceptions": []', f'"exceptions": [{entry}]')

        assert load_catalogs(root).newest(ProviderKind.VERTEX_ANTHROPIC)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class TestDocument:
    @pytest.mark.parametrize(
        ("data", "line", "problem"),
        [
            pytest.param(b"[]", 1, "must be an object", id="a list"),
            pytest.param(b"", 1, "is not JSON: Expecting value", id="empty"),
            pytest.param(b'{\n"a": "\xff"}', 2, "is not UTF-8", id="not UTF-8"),
            pytest.param(b'\xef\xbb\xbf{"a": 1}', 1, "is not JSON", id="byte-order mark"),
            pytest.param(b'{"a": {"b": 1,\n"b": 2}}', 2, "same key twice", id="repeated key"),
            pytest.param(b'{"a": [1,\n 2,\n 3.0]}', 3, "3.0 is a floating-point", id="float in a list"),
            pytest.param(b'{"a": "1.5",\n"b": -Infinity}', 2, "-Infinity is a", id="infinity"),
            pytest.param(b'{"a": 1,\n"b": ' + b"9" * 19 + b"}", 2, "than 18 digits", id="19 digits"),
            pytest.param(b'{"a": 1,\n"b": -' + b"9" * 5000 + b"}", 2, "than 18 digits", id="5000 digits"),
            pytest.param(b'{"a": ' + b"[" * 100_000, 1, "nested too deeply", id="nested"),
        ],
    )
    def test_what_is_not_strict_is_refused_with_its_line(self, data: bytes, line: int, problem: str) -> None:
        with pytest.raises(CatalogFileError) as raised:
            parse_document(Path("x.json"), data)

        assert problem in raised.value.problem
        assert raised.value.line == line

    @settings(deadline=None)  # the machine may be busy
    @given(st.dictionaries(st.text(), JSON_VALUES))
    def test_any_object_is_read_or_refused_at_a_line_of_it(self, value: dict[str, Any]) -> None:
        text = json.dumps(value, indent=1)
        refused: CatalogFileError | None = None
        try:
            document = parse_document(Path("x.json"), text.encode())
        except CatalogFileError as error:
            refused = error
        if refused is None:
            assert document.root == value
            return
        line = text.split("\n")[refused.line - 1]
        if "18 digits" in refused.problem:
            assert re.search(r"[0-9]{19}", line)
        else:
            assert "floating-point" in refused.problem
            assert any(sign in line for sign in (".", "e", "NaN", "Infinity"))

    @settings(deadline=None)  # the machine may be busy
    @given(st.binary(max_size=64))
    def test_any_bytes_are_read_or_refused(self, data: bytes) -> None:
        with contextlib.suppress(CatalogFileError):
            assert isinstance(parse_document(Path("x.json"), data).root, dict)
