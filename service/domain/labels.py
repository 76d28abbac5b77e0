"""Labels and descriptions: what they may hold. Keys and sizes are judged at the edge."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from service.domain.errors import invalid_field

_BREAKING_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_labels(labels: Mapping[str, str], *, field: str) -> None:
    """Refuse values that no filter can name and not every database can search: a NUL in one would fail all.

    Raises:
        InvalidArgument: a value with a control character or a line break.
    """
    if any(unicodedata.category(c) in _BREAKING_CATEGORIES for value in labels.values() for c in value):
        raise invalid_field(
            field, "must have values without control characters or line breaks", rule="labels.visible"
        )


def check_description(text: str, *, field: str) -> None:
    """Refuse what no page can show; lines may be broken.

    Raises:
        InvalidArgument: a control character that is neither a line feed nor a tab.
    """
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in text):
        raise invalid_field(field, "must not contain control characters", rule="description.visible")
