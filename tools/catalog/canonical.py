"""The one way a catalog file is written: building twice gives the same bytes, and a diff shows only facts.

UTF-8, LF, one newline at the end; keys in the order below, then by name; a list or object that holds only
scalars stands on one line, every other one is opened with one more space of indent per level.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

KEY_ORDER = (
    "schema_version",
    "release",
    "file",
    "upstream_model_id",
    "kind",
    "display_name",
    "lifecycle",
    "release_date",
    "retire_date",
    "knowledge_cutoff",
    "context_window",
    "max_input_tokens",
    "max_output_tokens",
    "embedding_dimensions",
    "capabilities",
    "apis",
    "pricing",
    "extra_prices",
    "vendor",
    "notes",
    "models",
    "chat",
    "embedding",
    "without_price",
    "needs_review",
    "provenance",
    # prices
    "currency",
    "above_input_tokens",
    "input",
    "output",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "batch_input",
    "batch_output",
    "audio_input",
    "audio_output",
    "tiers",
    "service_tiers",
    "regions",
    # provenance
    "primary",
    "price_agreement",
    "price_agreeing",
    "price_differing",
    "price_from",
    "context_agreement",
    "context_from",
    "display_name_from",
    "release_date_from",
    "metadata_from",
    "checked_date",
    "vendor_page",
    "table_keys",
    # manifest
    "sources",
    "counts",
    "files",
    "exceptions",
    "name",
    "version",
    "rule",
    "reason",
    "as_of",
    "sha256",
    # kinds
    "documentation_uri",
    "config_field",
    "config_fields",
    "credential_forms",
    "kinds",
    "type",
    "field",
    "label",
    "control",
    "required",
    "default_value",
    "placeholder",
    "help_text",
    "options",
    "prefixes",
    "fields",
)

_RANK = {key: rank for rank, key in enumerate(KEY_ORDER)}


def canonical_bytes(document: Mapping[str, Any]) -> bytes:
    """Return the document's only spelling. The order of lists is the caller's.

    Raises:
        TypeError: the document holds a float or anything else that has no place in a catalog.
    """
    return (_written(document, 0) + "\n").encode("utf-8")


def _written(value: object, depth: int) -> str:
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: (_RANK.get(key, len(_RANK)), key))
        items = [f"{json.dumps(key, ensure_ascii=False)}: {_written(value[key], depth + 1)}" for key in keys]
        return _bracketed("{}", items, depth, flat=all(_is_scalar(item) for item in value.values()))
    if isinstance(value, list | tuple):
        items = [_written(item, depth + 1) for item in value]
        return _bracketed("[]", items, depth, flat=all(_is_scalar(item) for item in value))
    if not _is_scalar(value):
        raise TypeError(f"a catalog cannot hold a {type(value).__name__}")
    return json.dumps(value, ensure_ascii=False)


def _bracketed(brackets: str, items: list[str], depth: int, *, flat: bool) -> str:
    if flat:
        return brackets[0] + ", ".join(items) + brackets[1]
    indent = "\n" + " " * (depth + 1)
    return brackets[0] + indent + ("," + indent).join(items) + "\n" + " " * depth + brackets[1]


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | bool | int)
