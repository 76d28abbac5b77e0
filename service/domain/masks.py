"""Update masks: which fields of a resource an update writes.

Paths are relative to the resource and name whole top-level fields (AIP-161, without sub-paths: a
configuration, a price list or a label map is replaced as a whole). An empty mask means every populated
mutable field, ``*`` means all mutable fields, so that what is left out is cleared.
"""

from __future__ import annotations

import re
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
            "routable",
            "unroutable_reason",
            "create_time",
            "update_time",
            "revision",
            "corrupt_fields",
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
            "corrupt_fields",
        }
    ),
)

MODEL_MASK = MaskRules(
    mutable=frozenset({"display_name", "description", "backends", "labels", "annotations"}),
    immutable=frozenset({"kind"}),
    output_only=frozenset(
        {"uid", "state", "routable", "create_time", "update_time", "revision", "corrupt_fields"}
    ),
)

# Identity and concurrency travel in the resource but are never written by an update.
_IGNORED = frozenset({"name", "etag"})
_CAPITAL = re.compile("(?<=[a-z])[A-Z]")


def fields_to_write(rules: MaskRules, paths: Collection[str], populated: Collection[str]) -> frozenset[str]:
    """Return the fields an update writes, immutable ones among them where the caller sent one to be compared.

    Raises:
        InvalidArgument: INVALID_UPDATE_MASK, naming the unknown, nested, or output-only path.
    """
    settable = rules.mutable | rules.immutable
    if "*" in paths:
        if len(paths) > 1:
            raise _bad_mask("*", "* cannot be combined with other paths")
        return rules.mutable | (rules.immutable & set(populated))
    if not paths:
        return settable & set(populated)
    for index, path in enumerate(paths):
        if path in rules.output_only:
            raise _bad_mask(path, f"{path} is output only: leave it out of the mask")
        if path in _IGNORED:
            raise _bad_mask(path, f"{path} cannot be written: leave it out of the mask")
        if path not in settable:
            raise _unknown(rules, path, index)
    return frozenset(paths)


def _unknown(rules: MaskRules, path: str, index: int) -> InvalidArgument:
    """The refusal of a path that an update does not write.

    Only what is spelt like a field of the resource is repeated: anything else may be a pasted secret.
    """
    first, dot, _ = path.partition(".")
    writable = f"writable: {', '.join(sorted(rules.mutable))}"
    if dot and first in rules.mutable | rules.immutable:
        return _bad_mask(first, f"{first} is written as a whole: name it without a sub-field; {writable}")
    field = _CAPITAL.sub(lambda capital: f"_{capital[0].lower()}", first)
    if field in rules.mutable | rules.immutable | rules.output_only:
        return _bad_mask(first, f"unknown field {first}: did you mean {field}? {writable}")
    return _bad_mask(f"paths[{index}]", f"unknown field at paths[{index}]; {writable}")


def _bad_mask(path: str, description: str) -> InvalidArgument:
    return InvalidArgument(
        f"update_mask: {description}",
        reason=Reason.INVALID_UPDATE_MASK,
        violations=[FieldViolation("update_mask", description, "update_mask.path")],
        metadata={"path": path},
    )
