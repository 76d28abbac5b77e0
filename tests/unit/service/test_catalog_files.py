"""Reading catalogs at start: what was published is served as it is, anything else stops the start."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import service
from service.catalog_files import CatalogFileError, load_catalogs
from tools.catalog import reader

BUNDLED = Path(service.__file__).parent.parent / "catalogs"
RELEASE = "2026.04.15"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the bundled release, to spoil."""
    shutil.copytree(BUNDLED / RELEASE, tmp_path / RELEASE)
    return tmp_path


def refusal(root: Path) -> str:
    with pytest.raises(CatalogFileError) as raised:
        load_catalogs(root)
    return str(raised.value)


def rewrite(root: Path, data: bytes) -> Path:
    """Replace the file of one kind, with its hash in the manifest."""
    path, manifest = root / RELEASE / "groq.json", root / RELEASE / "manifest.json"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(data)
    manifest.write_text(manifest.read_text().replace(before, hashlib.sha256(data).hexdigest()))
    return path


class TestGood:
    def test_is_what_the_strict_reader_reads(self) -> None:
        assert load_catalogs(BUNDLED) == reader.load_catalogs(BUNDLED)

    def test_every_release_is_read(self, root: Path) -> None:
        shutil.copytree(root / RELEASE, root / "2025.12.31")
        (root / "notes").mkdir()

        catalogs = load_catalogs(root)

        assert {(catalog.kind, catalog.version) for catalog in catalogs.catalogs} == {
            (catalog.kind, RELEASE) for catalog in catalogs.list()
        }
        assert len(catalogs.catalogs) == 2 * len(catalogs.list())

    def test_no_folder_is_no_release(self, tmp_path: Path) -> None:
        assert load_catalogs(tmp_path / "nowhere").catalogs == ()


class TestBad:
    def test_another_hash(self, root: Path) -> None:
        path = root / RELEASE / "groq.json"
        path.write_bytes(path.read_bytes() + b" ")
        assert refusal(root) == f"{path}: differs from the hash in its manifest: restore the published file"

    def test_a_missing_file(self, root: Path) -> None:
        path = root / RELEASE / "groq.json"
        path.unlink()
        assert refusal(root) == f"{path}: cannot be read: No such file or directory"

    def test_a_missing_manifest(self, root: Path) -> None:
        path = root / RELEASE / "manifest.json"
        path.unlink()
        assert refusal(root) == f"{path}: cannot be read: No such file or directory"

    @pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"files": [{}]}', b'{"files": 1}', b"\xff"])
    def test_no_manifest(self, root: Path, data: bytes) -> None:
        path = root / RELEASE / "manifest.json"
        path.write_bytes(data)
        assert refusal(root) == f"{path}: is not the manifest of a release"

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param({"models": [{}]}, id="a model without its fields"),
            pytest.param({"models": 1}, id="no list"),
            pytest.param({"release": 20260415}, id="no release"),
            pytest.param({"release": "soon"}, id="no day"),
        ],
    )
    def test_no_catalog(self, root: Path, changed: dict[str, Any]) -> None:
        document = json.loads((root / RELEASE / "groq.json").read_bytes())
        path = rewrite(root, json.dumps({**document, **changed}).encode())
        assert refusal(root) == f"{path}: is not a catalog: run python -m tools.catalog validate"

    @pytest.mark.parametrize("data", [b"", b"[]", b"\xff"])
    def test_no_object(self, root: Path, data: bytes) -> None:
        path = rewrite(root, data)
        assert refusal(root) == f"{path}: is not a catalog: run python -m tools.catalog validate"

    def test_an_unknown_kind(self, root: Path) -> None:
        document = json.loads((root / RELEASE / "groq.json").read_bytes())
        path = rewrite(root, json.dumps({**document, "kind": "acme"}).encode())
        assert refusal(root) == f"{path}: is of kind acme, which this service does not have"
