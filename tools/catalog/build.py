"""Build one release: facts in, canonical files and a manifest out, checked by the strict reader."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.domain.catalog import kind_slug
from service.domain.model import ProviderKind
from tools.catalog.canonical import canonical_bytes
from tools.catalog.document import CatalogFileError
from tools.catalog.facts import KindFacts, read_exceptions, read_facts
from tools.catalog.reader import MANIFEST, SCHEMA_VERSION, read_release

EXCEPTIONS = "exceptions.json"


class BuildError(Exception):
    """A release cannot be built; the reason is not on one line of a file."""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What ``build_release`` did. ``changed`` is False when the release existed already, byte for byte."""

    directory: Path
    models: int
    needs_review: int
    changed: bool


def build_release(release: str, facts: Path, catalogs: Path, *, replace: bool) -> BuildResult:
    """Build ``release`` from the folder ``facts`` into ``catalogs``, all of it or nothing.

    ``facts`` holds one file per kind, or a folder named like the release that does.

    Raises:
        CatalogFileError: facts are refused, or the release made of them is.
        BuildError: the release exists with other content and ``replace`` is not set.
    """
    gathered = _gather(facts, release, catalogs / EXCEPTIONS)
    files = _release_files(release, gathered)
    target = catalogs / release
    with tempfile.TemporaryDirectory(prefix=".build-", dir=catalogs) as staging:
        staged = Path(staging) / release
        staged.mkdir()
        for name, data in files.items():
            (staged / name).write_bytes(data)
        read = read_release(staged)
        changed = _differs(target, files)
        if changed and target.exists():
            if not replace:
                raise BuildError(
                    f"{target} exists with other content. A published release never changes: build a new "
                    "one, or pass --replace if it was never published."
                )
            shutil.rmtree(target)
        if changed:
            staged.rename(target)
    models = [model for catalog in read for model in catalog.models]
    return BuildResult(target, len(models), sum(model.needs_review for model in models), changed)


def _gather(facts: Path, release: str, exceptions: Path) -> list[KindFacts]:
    reasons = read_exceptions(exceptions) if exceptions.exists() else {}
    if (facts / release).is_dir():
        facts = facts / release
    paths = sorted(facts.glob("*.json"))
    if not paths:
        raise BuildError(f"{facts} has no facts: expected one .json file per kind of provider.")
    gathered: dict[ProviderKind, KindFacts] = {}
    for path in paths:
        kind_facts = read_facts(path, release, reasons)
        if kind_facts.kind in gathered:
            raise CatalogFileError(path, 0, f"another file has facts of {kind_slug(kind_facts.kind)} too")
        gathered[kind_facts.kind] = kind_facts
    return [gathered[kind] for kind in sorted(gathered)]


def _release_files(release: str, gathered: list[KindFacts]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    entries: list[dict[str, Any]] = []
    sources: dict[str, str] = {}
    for facts in gathered:
        kind = kind_slug(facts.kind)
        catalog = {
            "schema_version": SCHEMA_VERSION,
            "release": release,
            "kind": kind,
            "models": facts.models,
        }
        name = f"{kind}.json"
        files[name] = canonical_bytes(catalog)
        entry = {
            "file": name,
            "kind": kind,
            "models": len(facts.models),
            "needs_review": sum(model["needs_review"] for model in facts.models),
            "sha256": hashlib.sha256(files[name]).hexdigest(),
        }
        if facts.as_of.isoformat() != _day(release):
            entry["as_of"] = facts.as_of.isoformat()
        entries.append(entry)
        for source, version in facts.sources.items():
            if sources.setdefault(source, version) != version:
                raise BuildError(f"{kind} has {source} as {version}, others as {sources[source]}.")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "release": release,
        "release_date": _day(release),
        "sources": [{"name": name, "version": sources[name]} for name in sorted(sources)],
        "counts": _counts([model for facts in gathered for model in facts.models]),
        "files": entries,
        "exceptions": [exception for facts in gathered for exception in facts.exceptions],
    }
    return files | {MANIFEST: canonical_bytes(manifest)}


def _day(release: str) -> str:
    return release.replace(".", "-")


def _counts(models: list[dict[str, Any]]) -> dict[str, int]:
    return {
        "models": len(models),
        "chat": sum(model["kind"] == "chat" for model in models),
        "embedding": sum(model["kind"] == "embedding" for model in models),
        "without_price": sum(model["pricing"] is None for model in models),
        "needs_review": sum(model["needs_review"] for model in models),
    }


def _differs(target: Path, files: dict[str, bytes]) -> bool:
    present = {path.name for path in target.iterdir()} if target.is_dir() else set()
    return present != files.keys() or any((target / name).read_bytes() != files[name] for name in files)
