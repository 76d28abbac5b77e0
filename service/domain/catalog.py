"""Bundled catalogs: what is known about the models of each kind of provider, release by release.

``catalog_files`` reads them. That their facts make sense is checked when a release is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from service.domain.errors import FailedPrecondition, PreconditionViolation, Reason
from service.domain.model import ModelFacts, ProviderKind
from upstreams.kinds import KINDS, Kind


@dataclass(frozen=True, slots=True)
class KindInfo:
    """A kind, and the newest bundled release that covers it; "" where none does."""

    kind: Kind
    catalog_version: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """One dated catalog of one kind, models sorted by ID. ``digest``: lower-case hex SHA-256 of its file."""

    kind: ProviderKind
    version: str
    release_time: datetime
    digest: str
    models: tuple[ModelFacts, ...]

    @property
    def name(self) -> str:
        """The resource name, ``catalogs/{kind}``."""
        return f"catalogs/{kind_slug(self.kind)}"


@dataclass(frozen=True, slots=True)
class Catalogs:
    """All bundled releases, in the order of the kinds' numbers."""

    catalogs: tuple[Catalog, ...]

    def versions(self, kind: ProviderKind) -> tuple[str, ...]:
        """Return the releases that cover ``kind``, newest first."""
        return tuple(sorted((c.version for c in self.catalogs if c.kind is kind), reverse=True))

    def get(self, kind: ProviderKind, version: str) -> Catalog | None:
        """Return the catalog of ``kind`` in one release, or None when that release does not have it."""
        return next((c for c in self.catalogs if c.kind is kind and c.version == version), None)

    def newest(self, kind: ProviderKind) -> Catalog | None:
        """Return the newest catalog of ``kind``, or None when no release covers it."""
        return max((c for c in self.catalogs if c.kind is kind), key=lambda c: c.version, default=None)

    def find(self, kind: ProviderKind, version: str) -> Catalog:
        """Return the catalog of a kind, the newest where no version is asked for.

        Raises:
            FailedPrecondition: CATALOG_UNAVAILABLE or CATALOG_VERSION_UNAVAILABLE.
        """
        catalog = self.get(kind, version) if version else self.newest(kind)
        if catalog is not None:
            return catalog
        available = self.versions(kind)
        if not available:
            text = "this kind of provider has no bundled catalog: add custom models instead"
            raise FailedPrecondition(
                text,
                reason=Reason.CATALOG_UNAVAILABLE,
                violations=[PreconditionViolation("CATALOG", kind.name.lower(), text)],
                metadata={"kind": kind.name.lower()},
            )
        text = f"catalog_version {version} is not bundled for this kind; bundled: {', '.join(available)}"
        raise FailedPrecondition(
            text,
            reason=Reason.CATALOG_VERSION_UNAVAILABLE,
            violations=[PreconditionViolation("CATALOG_VERSION", version, text)],
            metadata={"catalog_version": version, "available": ",".join(available)},
        )

    def list(self) -> tuple[Catalog, ...]:
        """Return the newest catalog of each kind that has one, in the order of the kinds' numbers."""
        return tuple(catalog for kind in ProviderKind if (catalog := self.newest(kind)) is not None)

    def kinds(self) -> tuple[KindInfo, ...]:
        """Return every kind in the order of the numbers, whether a release covers it or not."""
        return tuple(KindInfo(KINDS[kind], max(self.versions(kind), default="")) for kind in ProviderKind)


def kind_slug(kind: ProviderKind) -> str:
    """Return the kind as resource names and catalog files spell it, e.g. ``vertex-anthropic``."""
    return kind.word.replace("_", "-")


def kind_from_slug(slug: str) -> ProviderKind | None:
    """Return the kind of a slug; None for a slug that no kind has."""
    return next((kind for kind in ProviderKind if kind_slug(kind) == slug), None)
