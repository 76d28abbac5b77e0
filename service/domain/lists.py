"""What each list may be filtered and ordered by, and in what order it comes without being told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.errors import invalid_field
from service.domain.filters import FilterField, FilterSchema, FilterType
from service.domain.model import ModelKind, ModelSource, ProviderKind, State


@dataclass(frozen=True, slots=True)
class OrderBy:
    """One ordering column. The resource's name always decides ties, ascending."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class ListRules:
    """One list's filter schema and ordering columns, the first of which is the default."""

    filter: FilterSchema
    orders: tuple[str, ...]


def _enum(
    name: str, members: type[ProviderKind | State | ModelKind | ModelSource], prefix: str
) -> FilterField:
    return FilterField(name, FilterType.ENUM, members, prefix)


PROVIDER_LIST = ListRules(
    filter=FilterSchema.of(
        [
            FilterField("display_name", FilterType.NAME),
            _enum("kind", ProviderKind, "PROVIDER_KIND_"),
            _enum("state", State, "STATE_"),
            FilterField("labels", FilterType.LABELS),
            FilterField("create_time", FilterType.TIME),
            FilterField("credential.expire_time", FilterType.TIME),
        ],
        words_in="display_name",
    ),
    orders=("display_name", "create_time", "update_time", "kind"),
)

PROVIDER_MODEL_LIST = ListRules(
    filter=FilterSchema.of(
        [
            FilterField("upstream_model_id", FilterType.STRING),
            FilterField("display_name", FilterType.NAME),
            _enum("kind", ModelKind, "MODEL_KIND_"),
            _enum("state", State, "STATE_"),
            _enum("source", ModelSource, "SOURCE_"),
            FilterField("catalog_version", FilterType.STRING),
            FilterField("routable", FilterType.BOOL),
            FilterField("context_window", FilterType.INT),
            FilterField("retire_time", FilterType.TIME),
            FilterField("labels", FilterType.LABELS),
        ],
        words_in="upstream_model_id",
    ),
    orders=("upstream_model_id", "display_name", "create_time", "update_time", "context_window", "kind"),
)

MODEL_LIST = ListRules(
    filter=FilterSchema.of(
        [
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
            FilterField("provider", FilterType.STRING),
            _enum("provider_kind", ProviderKind, "PROVIDER_KIND_"),
            _enum("kind", ModelKind, "MODEL_KIND_"),
            FilterField("upstream_model_id", FilterType.STRING),
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


def parse_order(text: str, rules: Sequence[str]) -> OrderBy:
    """One column, optionally followed by ``desc`` or ``asc``; empty is the first allowed column.

    Raises:
        InvalidArgument: another column, more than one, or another word after it.
    """
    words = text.split()
    if not words:
        return OrderBy(rules[0])
    if words[0] not in rules or words[1:] not in ([], ["asc"], ["desc"]):
        raise invalid_field(
            "order_by",
            f'must be one of {", ".join(rules)}, optionally followed by " desc"',
            rule="order_by.known",
        )
    return OrderBy(words[0], descending=words[1:] == ["desc"])
