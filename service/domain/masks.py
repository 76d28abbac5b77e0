"""Update masks: which fields of a resource an update writes.

Paths are relative to the resource and name whole top-level fields (AIP-161, without sub-paths: a
configuration, a price list or a label map is replaced as a whole). An empty mask means every populated
mutable field, ``*`` means all mutable fields, so that what is left out is cleared.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from service.domain.errors import FieldViolation, InvalidArgument, Reason


@dataclass(frozen=True, slots=True)
class MaskRules:
    """The field names of one resource: what an update may write, must not change, and never writes."""

    mutable: frozenset[str]
    immutable: frozenset[str]
    output_only: frozenset[str]


PROVIDER_MASK = MaskRules(
    mutable=frozenset({"display_name", "config", "labels", "annotations"}),
    immutable=frozenset({"kind"}),
    output_only=frozenset(
        {
            "uid",
            "state",
            "credential",
            "details",
            "active_model_count",
            "model_count",
            "create_time",
            "update_time",
            "revision",
        }
    ),
)

PROVIDER_MODEL_MASK = MaskRules(
    mutable=frozenset(
        {
            "display_name",
            "context_window",
            "max_output_tokens",
            "embedding_dimensions",
            "pricing",
            "capabilities",
            "retire_time",
            "labels",
        }
    ),
    immutable=frozenset({"upstream_model_id", "kind"}),
    output_only=frozenset(
        {
            "uid",
            "state",
            "source",
            "catalog_version",
            "overridden_fields",
            "routable",
            "needs_review",
            "create_time",
            "update_time",
            "revision",
        }
    ),
)

MODEL_MASK = MaskRules(
    mutable=frozenset({"display_name", "description", "backends", "labels", "annotations"}),
    immutable=frozenset({"kind"}),
    output_only=frozenset({"uid", "state", "routable", "create_time", "update_time", "revision"}),
)

# Identity and concurrency travel in the resource but are never written by an update.
_IGNORED = frozenset({"name", "etag"})


def fields_to_write(rules: MaskRules, paths: Collection[str], populated: Collection[str]) -> frozenset[str]:
    """The fields an update writes, immutable ones among them where the caller sent one to be compared.

    Raises:
        InvalidArgument: INVALID_UPDATE_MASK, naming each unknown, nested, or output-only path.
    """
    settable = rules.mutable | rules.immutable
    if "*" in paths:
        if len(paths) > 1:
            raise _bad_mask('"*"', "stands alone")
        return rules.mutable | (rules.immutable & set(populated))
    if not paths:
        return settable & set(populated)
    for path in paths:
        if path in rules.output_only:
            raise _bad_mask(path, "is output only: leave it out of the mask")
        if path in _IGNORED:
            raise _bad_mask(path, "cannot be written: leave it out of the mask")
        if path not in settable:
            # Not named: it may be anything, a pasted secret included.
            known = ", ".join(sorted(rules.mutable))
            raise _bad_mask("a path", f"is not a field that an update writes: {known}")
    return frozenset(paths)


def _bad_mask(path: str, description: str) -> InvalidArgument:
    text = f"{path} {description}"
    return InvalidArgument(
        f"update_mask: {text}",
        reason=Reason.INVALID_UPDATE_MASK,
        violations=[FieldViolation("update_mask", text, "update_mask.path")],
        metadata={"path": path},
    )
