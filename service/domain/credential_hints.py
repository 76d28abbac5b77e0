"""Hints about keys: whose they look like. Vendors change formats, so a hint warns and never refuses.

May see: plaintext credentials. Must never: put any part of one into a hint.
"""

from __future__ import annotations

from service.domain.credentials import CredentialMaterial
from upstreams.kinds import KINDS, CredentialType, ProviderKind

_UNMISTAKABLE: tuple[tuple[str, ProviderKind], ...] = tuple(
    (prefix, kind) for kind, rules in KINDS.items() for prefix in rules.key_prefixes if prefix != "sk-"
)
"""Prefixes that only one vendor uses."""

_SHORTEST_KEY = 20


def prefix_warning(kind: ProviderKind, material: CredentialMaterial) -> str | None:
    """Return a sentence on a pasted credential that does not look like one of this kind, else None."""
    form = KINDS[kind].form(material.type)
    if form is None:
        return None
    for field in form.fields:
        for prefix, what in field.mistakes:
            if material.get(field.name).startswith(prefix):
                return f"This looks like {what}."
    if material.type is CredentialType.API_KEY:
        owner = _owner(material.get("api_key"))
        if owner is not None and owner is not kind and KINDS[kind].credential_required:
            return f"This looks like a key of {KINDS[owner].vendor}."
    for field in form.fields:
        if field.prefixes and not material.get(field.name).startswith(field.prefixes):
            usual = " or ".join(field.prefixes)
            return f"{KINDS[kind].vendor}: {field.label}s usually begin with {usual}."
    if material.get("access_key_id").startswith("ASIA") and not material.get("session_token"):
        return "This is a temporary access key (ASIA), which does not work without its session token."
    return None


def looks_like_key(text: str) -> bool:
    """Return whether a text that should hold no secret begins and goes on like a known vendor's API key."""
    return (
        len(text) >= _SHORTEST_KEY
        and " " not in text
        and (text.startswith("sk-") or _owner(text) is not None)
    )


def _owner(key: str) -> ProviderKind | None:
    return next((kind for prefix, kind in _UNMISTAKABLE if key.startswith(prefix)), None)
