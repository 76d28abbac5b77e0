"""Names as people type them: with their prefixes or without."""

from __future__ import annotations

from cli.failures import UsageFailure

_PROVIDERS, _MODELS, _CATALOGS = "providers/", "models/", "catalogs/"


def provider_name(text: str) -> str:
    """Return ``providers/openai`` of that or of ``openai``."""
    return _prefixed(text, _PROVIDERS)


def model_name(text: str) -> str:
    """Return ``models/smart`` of that or of ``smart``."""
    return _prefixed(text, _MODELS)


def catalog_name(text: str) -> str:
    """Return ``catalogs/openai-compatible`` of that, of ``openai-compatible`` or of ``openai_compatible``."""
    return _prefixed(text.replace("_", "-"), _CATALOGS)


def provider_model_name(text: str) -> str:
    """Return ``providers/openai/models/gpt-4o`` of that or of ``openai/gpt-4o``.

    Raises:
        UsageFailure: it names no provider, or no model of it.
    """
    provider, slash, model = text.removeprefix(_PROVIDERS).partition("/")
    model = model.removeprefix(_MODELS)
    if not provider or not slash or not model:
        raise UsageFailure(
            f"{text!r} is not the name of a provider model: write PROVIDER/MODEL, e.g. openai-prod/gpt-4o"
        )
    return f"{_PROVIDERS}{provider}/{_MODELS}{model}"


def short(name: str) -> str:
    """Return what a person types: ``openai`` of ``providers/openai``, ``openai/gpt-4o`` of a provider
    model."""
    if name.startswith(_PROVIDERS):
        return name.removeprefix(_PROVIDERS).replace(f"/{_MODELS}", "/", 1)
    return name.removeprefix(_MODELS).removeprefix(_CATALOGS)


def _prefixed(text: str, prefix: str) -> str:
    return text if text.startswith(prefix) else f"{prefix}{text}"
