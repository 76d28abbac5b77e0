"""What one release changes against another: models added and gone, prices, windows, capabilities, lifecycles.

Compares the files, not what the service serves, so that batch prices and lifecycles are shown too.
Prices are compared as decimals: another spelling of the same price is not a change. Provenance is left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from service.domain.catalog import kind_slug
from tools.catalog.document import DECIMAL, read_document
from tools.catalog.reader import RELEASE_NAME, read_release


class ChangeKind(StrEnum):
    """What a change is about, in the order in which changes are shown."""

    ADDED = "added"
    GONE = "gone"
    PRICE = "price"
    WINDOW = "window"
    CAPABILITY = "capability"
    LIFECYCLE = "lifecycle"
    OTHER = "other"


_ABOUT = {
    "pricing": ChangeKind.PRICE,
    "extra_prices": ChangeKind.PRICE,
    "context_window": ChangeKind.WINDOW,
    "max_input_tokens": ChangeKind.WINDOW,
    "max_output_tokens": ChangeKind.WINDOW,
    "embedding_dimensions": ChangeKind.WINDOW,
    "capabilities": ChangeKind.CAPABILITY,
    "lifecycle": ChangeKind.LIFECYCLE,
    "release_date": ChangeKind.LIFECYCLE,
    "retire_date": ChangeKind.LIFECYCLE,
}
_UNTOLD = frozenset({"upstream_model_id", "provenance"})
_NAMED = "display_name"

Model = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """One difference. ``before`` and ``now`` are text, None where there is nothing or it is unknown.

    Of a model added or gone they hold its display name.
    """

    change: ChangeKind
    kind: str
    upstream_model_id: str
    field: str
    before: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class ReleaseDifference:
    """All changes between two releases, by what they are about, then kind, model and field.

    ``kinds_left_out`` are kinds that only ``before`` covers: it stays the newest for them, and none of their
    models is gone.
    """

    before: str
    now: str
    kinds_added: tuple[str, ...]
    kinds_left_out: tuple[str, ...]
    changes: tuple[CatalogChange, ...]

    def counts(self) -> dict[str, int]:
        """Return how many changes there are of each kind."""
        counted = Counter(change.change for change in self.changes)
        return {kind.value: counted[kind] for kind in ChangeKind}


def release_before(root: Path, release: str) -> str | None:
    """Return the newest release under ``root`` that is older than ``release``."""
    older = [
        path.name for path in root.iterdir() if RELEASE_NAME.fullmatch(path.name) and path.name < release
    ]
    return max(older, default=None)


def compare_releases(before: Path, now: Path) -> ReleaseDifference:
    """Return what the release in the folder ``now`` changes against the one in ``before``.

    Raises:
        CatalogFileError: one of them is not a valid release.
    """
    old, new = _read(before), _read(now)
    order = list(ChangeKind)
    changes = [change for kind in new for change in _kind_changes(kind, old.get(kind, {}), new[kind])]
    changes.sort(key=lambda one: (order.index(one.change), one.kind, one.upstream_model_id, one.field))
    return ReleaseDifference(
        before=before.name,
        now=now.name,
        kinds_added=tuple(sorted(new.keys() - old.keys())),
        kinds_left_out=tuple(sorted(old.keys() - new.keys())),
        changes=tuple(changes),
    )


def as_json(difference: ReleaseDifference) -> str:
    """Return the counts and every change for programs, prices as decimal strings."""
    value = {
        "before": difference.before,
        "now": difference.now,
        "counts": difference.counts(),
        "kinds_added": difference.kinds_added,
        "kinds_left_out": difference.kinds_left_out,
        "changes": [asdict(change) for change in difference.changes],
    }
    return json.dumps(value, ensure_ascii=False, indent=1)


def as_table(difference: ReleaseDifference) -> str:
    """Return a line of counts and a row per change, for people."""
    counts = ", ".join(f"{count} {name}" for name, count in difference.counts().items() if count)
    lines = [f"{difference.before} -> {difference.now}: {counts or 'no change'}"]
    for kind in difference.kinds_added:
        lines.append(f"{kind} is new")
    for kind in difference.kinds_left_out:
        lines.append(f"{kind} is not in {difference.now}: {difference.before} stays its newest")
    if difference.changes:
        lines += ["", *_table(difference.changes)]
    return "\n".join(lines)


def _read(directory: Path) -> dict[str, dict[str, Model]]:
    """Return the models of a valid release as they are written, by kind and upstream ID."""
    return {
        slug: {
            model["upstream_model_id"]: model
            for model in read_document(directory / f"{slug}.json").root["models"]
        }
        for slug in (kind_slug(catalog.kind) for catalog in read_release(directory))
    }


def _kind_changes(kind: str, old: Mapping[str, Model], new: Mapping[str, Model]) -> Iterator[CatalogChange]:
    for model_id in old.keys() | new.keys():
        before, now = old.get(model_id), new.get(model_id)
        if before is None and now is not None:
            yield CatalogChange(ChangeKind.ADDED, kind, model_id, _NAMED, None, now[_NAMED])
        elif now is None and before is not None:
            yield CatalogChange(ChangeKind.GONE, kind, model_id, _NAMED, before[_NAMED], None)
        elif before is not None and now is not None:
            yield from _model_changes(kind, model_id, before, now)


def _model_changes(kind: str, model_id: str, before: Model, now: Model) -> Iterator[CatalogChange]:
    for name in sorted((before.keys() | now.keys()) - _UNTOLD):
        about = _ABOUT.get(name, ChangeKind.OTHER)
        old, new = dict(_leaves(name, before.get(name))), dict(_leaves(name, now.get(name)))
        for field in sorted(old.keys() | new.keys()):
            if _differ(about, old.get(field), new.get(field)):
                yield CatalogChange(about, kind, model_id, field, old.get(field), new.get(field))


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield each known value below ``path`` as text; tiers by their threshold, capabilities one by one."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for item in value:
            above = item["above_input_tokens"]
            for key, inner in item.items():
                if key != "above_input_tokens":
                    yield from _leaves(f"{path}[>{above}].{key}", inner)
    elif isinstance(value, list) and path == "capabilities":
        yield from ((f"{path}.{item}", "yes") for item in value)
    elif isinstance(value, list):
        yield path, " ".join(str(item) for item in value)
    elif value is not None:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)


def _differ(about: ChangeKind, before: str | None, now: str | None) -> bool:
    if about is ChangeKind.PRICE and before and now and DECIMAL.fullmatch(before) and DECIMAL.fullmatch(now):
        return Decimal(before) != Decimal(now)
    return before != now


def _table(changes: Iterable[CatalogChange]) -> Iterator[str]:
    rows = [("CHANGE", "KIND", "MODEL", "FIELD", "BEFORE", "NOW")]
    rows += [
        (one.change.value, one.kind, one.upstream_model_id, one.field, one.before or "-", one.now or "-")
        for one in changes
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*padded, row[5]]).rstrip()
