"""What each list may be filtered and ordered by, and its default order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.errors import invalid_field
from service.domain.filters import FilterField, FilterSchema, FilterType
from service.domain.model import (
    ModelCapability,
    ModelKind,
    ModelSource,
    ProviderKind,
    State,
    UnroutableReason,
)


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One field that a list is ordered by."""

    field: str
    descending: bool = False


OrderBy = tuple[OrderTerm, ...]
"""The terms of an order, the first counting most. The name decides ties, in the direction of the last."""


@dataclass(frozen=True, slots=True)
class ListRules:
    """One list's filter schema and the fields that may order it, the first of which is the default."""

    filter: FilterSchema
    orders: tuple[str, ...]


def _enum(
    name: str,
    members: type[ProviderKind | State | ModelKind | ModelSource | UnroutableReason],
    prefix: str,
) -> FilterField:
    return FilterField(name, FilterType.ENUM, members, prefix)


_NAME = FilterField("name", FilterType.STRING)
_CAPABILITIES = FilterField("capabilities", FilterType.MEMBERS, ModelCapability, "MODEL_CAPABILITY_")


PROVIDER_LIST = ListRules(
    filter=FilterSchema.of(
        [
            _NAME,
            FilterField("display_name", FilterType.NAME),
            _enum("kind", ProviderKind, "PROVIDER_KIND_"),
            _enum("state", State, "STATE_"),
            FilterField("routable", FilterType.BOOL),
            _enum("unroutable_reason", UnroutableReason, "UNROUTABLE_REASON_"),
            FilterField("credential", FilterType.PRESENCE),
            FilterField("credential.expire_time", FilterType.TIME),
            FilterField("labels", FilterType.LABELS),
            FilterField("create_time", FilterType.TIME),
        ],
        words_in="display_name",
    ),
    orders=("display_name", "name", "create_time", "update_time", "kind"),
)

PROVIDER_MODEL_LIST = ListRules(
    filter=FilterSchema.of(
        [
            _NAME,
            FilterField("upstream_model_id", FilterType.STRING),
            FilterField("display_name", FilterType.NAME),
            _enum("kind", ModelKind, "MODEL_KIND_"),
            _enum("state", State, "STATE_"),
            _enum("source", ModelSource, "SOURCE_"),
            FilterField("catalog_version", FilterType.STRING),
            FilterField("routable", FilterType.BOOL),
            FilterField("needs_review", FilterType.BOOL),
            FilterField("context_window", FilterType.INT),
            _CAPABILITIES,
            FilterField("retire_time", FilterType.TIME),
            FilterField("labels", FilterType.LABELS),
        ],
        words_in="upstream_model_id",
    ),
    orders=(
        "upstream_model_id",
        "name",
        "display_name",
        "create_time",
        "update_time",
        "context_window",
        "kind",
    ),
)

MODEL_LIST = ListRules(
    filter=FilterSchema.of(
        [
            _NAME,
            FilterField("display_name", FilterType.NAME),
            _enum("kind", ModelKind, "MODEL_KIND_"),
            _enum("state", State, "STATE_"),
            FilterField("routable", FilterType.BOOL),
            FilterField("backends.provider_model", FilterType.PATHS),
            FilterField("labels", FilterType.LABELS),
        ],
        words_in="display_name",
    ),
    orders=("display_name", "name", "create_time", "update_time", "kind"),
)

ACTIVE_PROVIDER_MODEL_LIST = ListRules(
    filter=FilterSchema.of(
        [
            _NAME,
            FilterField("provider", FilterType.STRING),
            _enum("provider_kind", ProviderKind, "PROVIDER_KIND_"),
            _enum("kind", ModelKind, "MODEL_KIND_"),
            FilterField("upstream_model_id", FilterType.STRING),
            _CAPABILITIES,
            FilterField("labels", FilterType.LABELS),
        ],
        words_in="upstream_model_id",
    ),
    orders=("name",),
)


ROUTER_LIST = ListRules(
    filter=FilterSchema.of(
        [
            FilterField("watcher_id", FilterType.STRING),
            FilterField("applied_revision", FilterType.INT),
            FilterField("watching", FilterType.BOOL),
            FilterField("seen_time", FilterType.TIME),
        ],
        words_in="watcher_id",
    ),
    orders=("watcher_id",),
)


def parse_order(text: str, fields: Sequence[str]) -> OrderBy:
    """Return the terms of ``field [asc|desc], …``; for an empty text the first field, ascending.

    Raises:
        InvalidArgument: an unknown field, a field named twice, or another word after one.
    """
    if not text.strip():
        return (OrderTerm(fields[0]),)
    terms = tuple(_order_term(part.split(), fields) for part in text.split(","))
    if len({term.field for term in terms}) < len(terms):
        raise invalid_field("order_by", "must name each field once", rule="order_by.unique")
    return terms


def _order_term(words: Sequence[str], fields: Sequence[str]) -> OrderTerm:
    if not words or words[0] not in fields or words[1:] not in ([], ["asc"], ["desc"]):
        raise invalid_field(
            "order_by",
            f"must be fields separated by commas, each optionally followed by desc, as in"
            f' "{fields[-1]}, create_time desc"; known fields: {", ".join(fields)}',
            rule="order_by.known",
        )
    return OrderTerm(words[0], descending=words[1:] == ["desc"])
