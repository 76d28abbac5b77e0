"""Read the folder of catalogs into the domain's values, checking every field.

A release is a folder ``YYYY.MM.DD`` with a manifest and one file per kind. The manifest's hashes are checked
before a file's content is. docs/catalogs.md describes the files; the JSON Schemas beside them say the same
for other readers.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path

from service.domain.catalog import (
    Catalog,
    Catalogs,
    kind_from_slug,
    kind_slug,
)
from service.domain.model import ModelFacts, ModelKind, ProviderKind
from tools.catalog.document import CatalogFileError, Fields, read_document
from tools.catalog.models import read_model
from tools.catalog.sanity import SanityRule, broken_rules

SCHEMA_VERSION = 1
RELEASE_NAME = re.compile(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}")
MANIFEST = "manifest.json"
RULES = {rule.value: rule for rule in SanityRule}

_DIGEST = re.compile(r"[0-9a-f]{64}")
_MANIFEST_KEYS = frozenset(
    {"schema_version", "release", "release_date", "sources", "counts", "files", "exceptions"}
)
_SOURCE_KEYS = frozenset({"name", "version"})
_COUNT_KEYS = frozenset({"models", "chat", "embedding", "without_price", "needs_review"})
_FILE_KEYS = frozenset({"file", "kind", "models", "needs_review", "sha256"})
_FILE_EXTRAS = frozenset({"as_of"})
_EXCEPTION_KEYS = frozenset({"kind", "upstream_model_id", "rule", "reason"})
_CATALOG_KEYS = frozenset({"schema_version", "kind", "release", "models"})

_MAX_MODELS = 100_000

_Exception = tuple[str, str, SanityRule]
"""Kind, upstream model id and the rule that the model may break."""


@dataclass(frozen=True, slots=True)
class _Release:
    """What a manifest says of the whole release; ``needed`` collects the exceptions that models need."""

    version: str
    day: date
    exceptions: dict[_Exception, Fields]
    needed: set[_Exception] = field(default_factory=set)


def load_catalogs(root: Path) -> Catalogs:
    """Return every release under ``root``. Files outside a release are ignored.

    Raises:
        CatalogFileError: a file is missing, does not have its hash, or holds something it must not.
    """
    catalogs = [
        catalog
        for directory in sorted(root.iterdir() if root.is_dir() else ())
        if RELEASE_NAME.fullmatch(directory.name)
        for catalog in read_release(directory)
    ]
    catalogs.sort(key=lambda catalog: (catalog.kind, catalog.version))
    return Catalogs(tuple(catalogs))


def read_release(directory: Path) -> tuple[Catalog, ...]:
    """Return the catalogs of one release folder, as its manifest lists them.

    Raises:
        CatalogFileError: see ``load_catalogs``.
    """
    manifest = read_document(directory / MANIFEST).fields().allow(_MANIFEST_KEYS)
    _check_schema_version(manifest)
    release = _read_release_head(manifest, directory.name)
    for source in manifest.objects("sources"):
        source.allow(_SOURCE_KEYS).text("name")
        source.text("version")
    entries = manifest.objects("files")
    catalogs = tuple(_read_catalog(directory, entry, release) for entry in entries)
    _check_folder(directory, manifest, [catalog.kind for catalog in catalogs])
    for key in release.exceptions.keys() - release.needed:
        kind, model_id, rule = key
        release.exceptions[key].refuse(
            f"{kind} {model_id} does not break {rule}: the exception is not needed"
        )
    _check_counts(manifest.nested("counts").allow(_COUNT_KEYS), catalogs)
    return catalogs


def _check_schema_version(document: Fields) -> None:
    if document.integer("schema_version", low=1, high=1_000_000) != SCHEMA_VERSION:
        document.refuse(f"must be {SCHEMA_VERSION}, the version that is read here", "schema_version")


def _read_release_head(manifest: Fields, folder: str) -> _Release:
    version = manifest.matching("release", RELEASE_NAME, "YYYY.MM.DD")
    if version != folder:
        manifest.refuse(f"is not the name of its folder, {folder}", "release")
    day = manifest.day("release_date")
    if day.isoformat() != version.replace(".", "-"):
        manifest.refuse(f"is not the day of release {version}", "release_date")
    exceptions: dict[_Exception, Fields] = {}
    for entry in manifest.objects("exceptions"):
        entry.allow(_EXCEPTION_KEYS).text("reason")
        key = (
            entry.text("kind"),
            entry.text("upstream_model_id"),
            RULES[entry.one_of("rule", RULES)],
        )
        if key in exceptions:
            entry.refuse("occurs twice")
        exceptions[key] = entry
    return _Release(version, day, exceptions)


def _read_catalog(directory: Path, entry: Fields, release: _Release) -> Catalog:
    entry.allow(_FILE_KEYS, _FILE_EXTRAS)
    kind = kind_from_slug(entry.text("kind"))
    if kind is None:
        entry.refuse("is not a provider kind", "kind")
    if entry.text("file") != f"{kind_slug(kind)}.json":
        entry.refuse(f"must be {kind_slug(kind)}.json", "file")
    if "as_of" in entry and entry.day("as_of") >= release.day:
        entry.refuse(f"is not before the day of release {release.version}", "as_of")
    document = read_document(directory / entry.text("file"))
    digest = hashlib.sha256(document.data).hexdigest()
    if entry.matching("sha256", _DIGEST, "64 lower-case hex digits") != digest:
        entry.refuse(f"is not the hash of {document.path}, which is {digest}", "sha256")

    catalog = document.fields().allow(_CATALOG_KEYS)
    _check_schema_version(catalog)
    if catalog.text("kind") != kind_slug(kind):
        catalog.refuse(f"is not {kind_slug(kind)}, as the manifest says", "kind")
    if catalog.text("release") != release.version:
        catalog.refuse(f"is not {release.version}, as the manifest says", "release")
    models = _read_models(catalog, kind, release)
    if entry.integer("models", low=0, high=_MAX_MODELS) != len(models):
        entry.refuse(f"the file has {len(models)}", "models")
    under_review = sum(model.needs_review for model in models)
    if entry.integer("needs_review", low=0, high=_MAX_MODELS) != under_review:
        entry.refuse(f"the file has {under_review}", "needs_review")
    release_time = datetime.combine(release.day, time(), UTC)
    return Catalog(kind, release.version, release_time, digest, models)


def _read_models(catalog: Fields, kind: ProviderKind, release: _Release) -> tuple[ModelFacts, ...]:
    models: list[ModelFacts] = []
    seen: set[str] = set()
    for fields in catalog.objects("models"):
        model = read_model(fields)
        if model.upstream_model_id in seen:
            fields.refuse(f"{model.upstream_model_id} occurs twice", "upstream_model_id")
        if models and model.upstream_model_id < models[-1].upstream_model_id:
            fields.refuse("models must be sorted by it", "upstream_model_id")
        for broken in broken_rules(model):
            key = (kind_slug(kind), model.upstream_model_id, broken.rule)
            if key not in release.exceptions:
                fields.refuse(f"{model.upstream_model_id}: {broken.problem} ({broken.rule})", *broken.field)
            release.needed.add(key)
        seen.add(model.upstream_model_id)
        models.append(model)
    return tuple(models)


def _check_folder(directory: Path, manifest: Fields, kinds: Iterable[ProviderKind]) -> None:
    if repeated := [kind for kind, count in Counter(kinds).items() if count > 1]:
        manifest.refuse(f"{kind_slug(repeated[0])} is listed twice", "files")
    listed = {MANIFEST, *(f"{kind_slug(kind)}.json" for kind in kinds)}
    for path in sorted(directory.iterdir()):
        if path.name not in listed:
            raise CatalogFileError(path, 0, f"is not listed in {MANIFEST}")


def _check_counts(counts: Fields, catalogs: Iterable[Catalog]) -> None:
    models = [model for catalog in catalogs for model in catalog.models]
    actual = {
        "models": len(models),
        "chat": sum(model.kind is ModelKind.CHAT for model in models),
        "embedding": sum(model.kind is ModelKind.EMBEDDING for model in models),
        "without_price": sum(model.pricing is None for model in models),
        "needs_review": sum(model.needs_review for model in models),
    }
    for name, count in actual.items():
        if counts.integer(name, low=0, high=_MAX_MODELS) != count:
            counts.refuse(f"the files have {count}", name)
