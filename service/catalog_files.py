"""Reads the bundled catalogs at start: each file against the hash in its release's manifest, then as it is.

A published release never changes, and ``tools/catalog`` checks its every field before that. So a hash that
matches is enough here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from service.domain.catalog import Catalog, Catalogs, kind_from_slug
from service.domain.model import PRICES, ModelCapability, ModelFacts, ModelKind, Pricing, PricingTier

_RELEASE_NAME = re.compile(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}")


class CatalogFileError(Exception):
    """A catalog file cannot be served."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


def load_catalogs(root: Path) -> Catalogs:
    """Return every release under ``root``. Files outside a release are ignored.

    Raises:
        CatalogFileError: a file is missing, has another hash than its manifest says, or is not a catalog.
    """
    catalogs = [
        catalog
        for directory in sorted(root.iterdir() if root.is_dir() else ())
        if _RELEASE_NAME.fullmatch(directory.name)
        for catalog in _read_release(directory)
    ]
    catalogs.sort(key=lambda catalog: (catalog.kind, catalog.version))
    return Catalogs(tuple(catalogs))


def _read_release(directory: Path) -> list[Catalog]:
    path = directory / "manifest.json"
    try:
        entries = json.loads(path.read_bytes())["files"]
        files = [(directory / entry["file"], entry["sha256"]) for entry in entries]
    except OSError as error:
        raise CatalogFileError(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise CatalogFileError(path, "is not the manifest of a release") from error
    return [_read_catalog(path, digest) for path, digest in files]


def _read_catalog(path: Path, digest: str) -> Catalog:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CatalogFileError(path, f"cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise CatalogFileError(path, "differs from the hash in its manifest: restore the published file")
    try:
        document = json.loads(data)
        kind, version = kind_from_slug(document["kind"]), document["release"]
        if kind is None:
            raise CatalogFileError(path, f"is of kind {document['kind']}, which this service does not have")
        release_time = _day(version.replace(".", "-"))
        models = tuple(_facts(model) for model in document["models"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CatalogFileError(path, "is not a catalog: run python -m tools.catalog validate") from error
    return Catalog(kind, version, release_time, digest, models)


def _facts(model: Mapping[str, Any]) -> ModelFacts:
    """Return the facts of one model; unknown counts are 0, and a day becomes its first instant in UTC."""
    return ModelFacts(
        upstream_model_id=model["upstream_model_id"],
        display_name=model["display_name"],
        kind=ModelKind[model["kind"].upper()],
        context_window=model["context_window"] or 0,
        max_output_tokens=model["max_output_tokens"] or 0,
        embedding_dimensions=model["embedding_dimensions"] or 0,
        pricing=_pricing(model["pricing"]),
        capabilities=tuple(sorted(ModelCapability[name.upper()] for name in model["capabilities"])),
        retire_time=_day(model["retire_date"]) if model["retire_date"] else None,
        needs_review=model["needs_review"],
    )


def _pricing(prices: Mapping[str, Any] | None) -> Pricing | None:
    if prices is None:
        return None
    tiers = (
        PricingTier(tier["above_input_tokens"], **{name: tier.get(name) for name in PRICES})
        for tier in prices.get("tiers", ())
    )
    return Pricing(prices["currency"], **{name: prices[name] for name in PRICES}, tiers=tuple(tiers))


def _day(text: str) -> datetime:
    return datetime.combine(datetime.fromisoformat(text), time(), UTC)
