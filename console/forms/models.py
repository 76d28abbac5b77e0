"""The form of a provider model: limits, prices and abilities as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from codevector.providers.v1 import provider_model_pb2

MODEL_KINDS = {"chat": "MODEL_KIND_CHAT", "embedding": "MODEL_KIND_EMBEDDING"}
PRICES = {
    "input": "input_per_million_tokens",
    "output": "output_per_million_tokens",
    "cached_input": "cached_input_per_million_tokens",
    "cache_write": "cache_write_per_million_tokens",
}
LABELS: Mapping[str, str] = {
    "name": "Name",
    "context_window": "Context window",
    "max_output_tokens": "Longest answer",
    "embedding_dimensions": "Dimensions",
    "currency": "Currency",
    "input": "Price of input",
    "output": "Price of output",
    "cached_input": "Price of cached input",
    "cache_write": "Price of writing to the cache",
    "capabilities": "Abilities",
}
"""The inputs whose values can be changed later, by name."""

_NUMBERS = ("context_window", "max_output_tokens", "embedding_dimensions")
_SIZES = {"": 1, "k": 1000, "m": 1_000_000}
_NUMBER = re.compile(r"([0-9][0-9 ,_]*(?:\.[0-9]+)?)\s*([kKmM]?)")
_LARGEST = 100_000_000


def kind_of(word: str) -> provider_model_pb2.ModelKind:
    """Return the kind that a form calls ``chat`` or ``embedding``."""
    return {
        "chat": provider_model_pb2.MODEL_KIND_CHAT,
        "embedding": provider_model_pb2.MODEL_KIND_EMBEDDING,
    }.get(word, provider_model_pb2.MODEL_KIND_UNSPECIFIED)


def capabilities() -> tuple[str, ...]:
    """Return all abilities by the names that forms use, e.g. ``parallel tools``."""
    return tuple(
        _ability(name)
        for name, number in provider_model_pb2.ModelCapability.items()
        if number != provider_model_pb2.MODEL_CAPABILITY_UNSPECIFIED
    )


def values_of(model: provider_model_pb2.ProviderModel) -> dict[str, str]:
    """Return the values of a form for what a model has now; what is unknown is empty."""
    values = {name: str(getattr(model, name) or "") for name in _NUMBERS}
    values |= {"name": model.display_name, "currency": model.pricing.currency_code}
    for name, field in PRICES.items():
        values[name] = getattr(model.pricing, field) if model.pricing.HasField(field) else ""
    names = sorted(provider_model_pb2.ModelCapability.Name(each) for each in model.capabilities)
    values["capabilities"] = ", ".join(map(_ability, names))
    return values


def model_of(
    form: Mapping[str, str], chosen: list[str], *, tiers: provider_model_pb2.Pricing | None = None
) -> tuple[provider_model_pb2.ProviderModel, dict[str, str]]:
    """Return the model that was typed, and a sentence for each input that cannot be read.

    ``tiers`` are the prices that the model has now: those of long requests are not in the form and stay.
    """
    model, errors = (
        provider_model_pb2.ProviderModel(display_name=form.get("name", "").strip()),
        dict[str, str](),
    )
    for name in _NUMBERS:
        number = _number(form.get(name, ""))
        if number is None:
            errors[name] = "Write a number of tokens, e.g. 128000 or 128K."
        else:
            setattr(model, name, number)
    given = {
        field: _price(form.get(name, "")) for name, field in PRICES.items() if form.get(name, "").strip()
    }
    if given or (tiers is not None and tiers.tiers):
        if tiers is not None:
            model.pricing.tiers.extend(tiers.tiers)
        model.pricing.currency_code = form.get("currency", "").strip().upper() or "USD"
        for field, amount in given.items():
            setattr(model.pricing, field, amount)
    for number in provider_model_pb2.ModelCapability.values()[1:]:
        if _ability(provider_model_pb2.ModelCapability.Name(number)) in chosen:
            model.capabilities.append(cast("provider_model_pb2.ModelCapability", number))
    return model, errors


def paths_of(names: list[str]) -> list[str]:
    """Return the paths of the API for inputs that were changed."""
    prices = {*PRICES, "currency"}
    return sorted(
        {"pricing" if each in prices else "display_name" if each == "name" else each for each in names}
    )


def input_of(path: str) -> str:
    """Return the name of the input for a path within a provider model."""
    path = path.removeprefix("provider_model.")
    for name, field in PRICES.items():
        if path == f"pricing.{field}":
            return name
    return {"display_name": "name", "pricing.currency_code": "currency"}.get(path, path)


def _ability(name: str) -> str:
    return name.removeprefix("MODEL_CAPABILITY_").replace("_", " ").lower()


def _number(text: str) -> int | None:
    text = text.strip()
    if not text:
        return 0
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    number = float(re.sub(r"[ ,_]", "", match[1])) * _SIZES[match[2].lower()]
    return int(number) if number <= _LARGEST else None


def _price(text: str) -> str:
    """Return a price as the API takes it; what is no price stays, and the registry says what is wrong."""
    text = text.strip().lstrip("$").replace(",", "")
    whole, point, fraction = text.partition(".")
    whole = whole.lstrip("0") or "0"
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}" if point and fraction else whole
