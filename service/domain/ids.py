"""Names of things: ids derived from what a person typed, display-name rules, and resource names.

| resource       | name                                   |
|----------------|----------------------------------------|
| provider       | ``providers/{provider}``               |
| provider model | ``providers/{provider}/models/{model}``|
| model          | ``models/{model}``                     |
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import count

from service.domain.errors import invalid_field

PROVIDER_ID_MAX_LENGTH = 63
MODEL_ID_MAX_LENGTH = 128
DISPLAY_NAME_KEY_MAX_BYTES = 512
"""Enough for 63 characters of any living script; a key is part of page tokens, which have a ceiling."""

PROVIDER_ID = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
MODEL_ID = r"[a-z0-9](?:[a-z0-9.-]{0,126}[a-z0-9])?"
_PROVIDER_NAME = re.compile(rf"providers/({PROVIDER_ID})")
_MODEL_NAME = re.compile(rf"models/({MODEL_ID})")
_PROVIDER_MODEL_NAME = re.compile(rf"providers/({PROVIDER_ID})/models/({MODEL_ID})")
_JOINERS = frozenset("\u200c\u200d")
"""Invisible, but Persian, Indic scripts and emoji are misspelt without them."""
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def fold(text: str) -> str:
    """The form in which names are compared: compatibility-normalised, caseless, without joiners.

    Folding twice changes nothing. Source: Unicode Standard, section 3.13, D146 (compatibility caseless
    match), composed (NFKC) at the end so that the key is short.
    """
    if text.isascii():
        return text.lower()  # the same, a hundred times as fast
    visible = "".join(character for character in text if character not in _JOINERS)
    caseless = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", visible).casefold()).casefold()
    return unicodedata.normalize("NFKC", caseless)


def display_name_key(display_name: str) -> str:
    """What must be unique among providers, and what display names are sorted and searched by."""
    return fold(display_name)


def check_display_name(display_name: str, *, field: str) -> None:
    """Refuse what looks like another name, does not fit on one line, or cannot be typed.

    Nothing is trimmed: a name is stored as it was sent, or not at all.

    Raises:
        InvalidArgument: blank; blanks around it; control, bidirectional or other invisible characters; or so
            unusual that its folded form takes more than 512 bytes.
    """
    if any(unicodedata.category(c) in _INVISIBLE_CATEGORIES and c not in _JOINERS for c in display_name):
        raise invalid_field(
            field, "must not contain control or invisible characters", rule="display_name.visible"
        )
    key = display_name_key(display_name)
    if not key.strip():
        raise invalid_field(field, "must not be empty or only spaces", rule="display_name.not_blank")
    if display_name != display_name.strip():
        raise invalid_field(field, "must not begin or end with a space", rule="display_name.trimmed")
    if len(key.encode()) > DISPLAY_NAME_KEY_MAX_BYTES:
        raise invalid_field(field, "is too long once normalised", rule="display_name.key_length")


def derive_provider_id(display_name: str, taken: Callable[[str], bool]) -> str:
    """An id of at most 63 characters from the display name: its ASCII slug, ``-2``, ``-3`` when taken.

    A slug that begins with a digit gets ``p-`` in front; a name without any ASCII letter or digit becomes
    ``provider``.
    """
    ascii_text = unicodedata.normalize("NFKD", display_name.casefold()).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-") or "provider"
    if not slug[0].isalpha():
        slug = f"p-{slug}"
    return _first_free(slug, PROVIDER_ID_MAX_LENGTH, taken)


def derive_model_id(upstream_model_id: str, taken: Callable[[str], bool]) -> str:
    """An id of at most 128 characters from the upstream id, which may hold ``:`` ``/`` ``@`` and capitals."""
    slug = re.sub(r"-+", "-", re.sub(r"[^a-z0-9.-]", "-", upstream_model_id.lower())).strip("-.") or "model"
    return _first_free(slug, MODEL_ID_MAX_LENGTH, taken)


def _first_free(slug: str, max_length: int, taken: Callable[[str], bool]) -> str:
    candidate = slug[:max_length].rstrip("-.")
    for number in count(2):
        if not taken(candidate):
            break
        suffix = f"-{number}"
        candidate = slug[: max_length - len(suffix)].rstrip("-.") + suffix
    return candidate


def provider_name(provider_id: str) -> str:
    """``providers/{provider}``."""
    return f"providers/{provider_id}"


def parse_provider_name(name: str, *, field: str = "name") -> str:
    """The provider id in ``providers/{provider}``. Raises InvalidArgument for anything else."""
    match = _PROVIDER_NAME.fullmatch(name)
    if match is None:
        raise invalid_field(field, "must have the form providers/{provider}", rule="name.provider")
    return match[1]


def parse_provider_parent(parent: str, *, field: str = "parent") -> str | None:
    """The provider id of a collection's parent, or None for ``providers/-``: all providers."""
    return None if parent == "providers/-" else parse_provider_name(parent, field=field)


def provider_model_name(provider_id: str, model_id: str) -> str:
    """``providers/{provider}/models/{model}``."""
    return f"providers/{provider_id}/models/{model_id}"


def parse_provider_model_name(name: str, *, field: str = "name") -> tuple[str, str]:
    """Provider id and model id of a provider model's name. Raises InvalidArgument for anything else."""
    match = _PROVIDER_MODEL_NAME.fullmatch(name)
    if match is None:
        description = "must have the form providers/{provider}/models/{model}"
        raise invalid_field(field, description, rule="name.provider_model")
    return match[1], match[2]


def parse_model_name(name: str, *, field: str = "name") -> str:
    """The model id in ``models/{model}``. Raises InvalidArgument for anything else."""
    match = _MODEL_NAME.fullmatch(name)
    if match is None:
        raise invalid_field(field, "must have the form models/{model}", rule="name.model")
    return match[1]
