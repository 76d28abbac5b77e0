"""Soft hints about keys: whose they look like. Vendors change formats, so a hint warns and never refuses.

May see: plaintext credentials. Must never: put any part of one into a hint.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.domain.credentials import KEY_PREFIXES, CredentialMaterial
from service.domain.model import CredentialType, ProviderKind

_VENDORS: Mapping[ProviderKind, str] = {
    ProviderKind.OPENAI: "OpenAI",
    ProviderKind.ANTHROPIC: "Anthropic",
    ProviderKind.BEDROCK: "Amazon Bedrock",
    ProviderKind.GOOGLE: "Google",
    ProviderKind.GROQ: "Groq",
    ProviderKind.DEEPSEEK: "DeepSeek",
    ProviderKind.MOONSHOT: "Moonshot",
}

_UNMISTAKABLE: tuple[tuple[str, ProviderKind], ...] = tuple(
    (prefix, kind) for kind, prefixes in KEY_PREFIXES.items() for prefix in prefixes if prefix != "sk-"
)
"""Prefixes that one vendor alone uses."""

_NO_INFERENCE_KEYS: Mapping[ProviderKind, tuple[tuple[str, str], ...]] = {
    ProviderKind.OPENAI: (("sk-admin-", "an admin key (sk-admin-), which cannot call models"),),
    ProviderKind.ANTHROPIC: (
        ("sk-ant-admin", "an admin key (sk-ant-admin...), which cannot call models"),
        ("sk-ant-oat", "an OAuth token (sk-ant-oat...), which is no API key"),
    ),
    ProviderKind.GOOGLE: (
        ("ya29.", "an OAuth access token (ya29.), which expires within the hour"),
        ("eyJ", "a JSON web token (eyJ...), which is no API key"),
    ),
}
_SHORTEST_KEY = 20


def prefix_warning(kind: ProviderKind, material: CredentialMaterial) -> str | None:
    """A sentence for whoever pasted the credential when it does not look like one of this kind, else None."""
    if material.type is CredentialType.AWS_ACCESS_KEY:
        return _aws_warning(material)
    if material.type is not CredentialType.API_KEY:
        return None
    key = material.get("api_key")
    for prefix, what in _NO_INFERENCE_KEYS.get(kind, ()):
        if key.startswith(prefix):
            return f"This looks like {what}."
    owner = _owner(key)
    if owner is not None and owner is not kind and kind is not ProviderKind.OPENAI_COMPATIBLE:
        return f"This looks like a key of {_VENDORS[owner]}."
    prefixes = KEY_PREFIXES.get(kind, ())
    if prefixes and not key.startswith(prefixes):
        return f"Keys of {_VENDORS[kind]} usually begin with {' or '.join(prefixes)}."
    return None


def looks_like_key(text: str) -> bool:
    """Whether a text that should hold no secret begins and goes on like a known vendor's API key."""
    return (
        len(text) >= _SHORTEST_KEY
        and " " not in text
        and (text.startswith("sk-") or _owner(text) is not None)
    )


def _owner(key: str) -> ProviderKind | None:
    return next((kind for prefix, kind in _UNMISTAKABLE if key.startswith(prefix)), None)


def _aws_warning(material: CredentialMaterial) -> str | None:
    access_key_id = material.get("access_key_id")
    if not access_key_id.startswith(("AKIA", "ASIA")):
        return "AWS access key ids usually begin with AKIA or ASIA."
    if access_key_id.startswith("ASIA") and not material.get("session_token"):
        return "This is a temporary access key (ASIA), which does not work without its session token."
    return None
