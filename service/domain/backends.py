"""The backends of a model: their order, and what a list of them must be. Existence is the store's to know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from service.domain.errors import FailedPrecondition, PreconditionViolation, Reason, invalid_field
from service.domain.model import Model, ModelBackend, ProviderModelKey

MAX_BACKENDS = 64


def in_order(backends: Iterable[ModelBackend]) -> tuple[ModelBackend, ...]:
    """The order in which backends are tried: by priority, the heavier first, then by name."""
    return tuple(sorted(backends, key=lambda b: (b.priority, -b.effective_weight, b.provider_model)))


def check_unique(backends: Sequence[ModelBackend], *, field: str) -> None:
    """Refuse a list that wires one provider model twice: which of the two counts?

    Raises:
        InvalidArgument: names the second one.
    """
    seen: set[ProviderModelKey] = set()
    for index, backend in enumerate(backends):
        if backend.target in seen:
            raise invalid_field(
                f"{field}[{index}].provider_model",
                "is wired to this model already: a provider model may be its backend once",
                rule="backends.unique",
            )
        seen.add(backend.target)


def with_backend(model: Model, backend: ModelBackend) -> tuple[ModelBackend, ...]:
    """The model's backends with this one added, or in the place of the one to the same provider model.

    Raises:
        FailedPrecondition: TOO_MANY_BACKENDS, it would be the 65th.
    """
    others = [other for other in model.backends if other.target != backend.target]
    if len(others) >= MAX_BACKENDS:
        text = f"has {MAX_BACKENDS} backends, which is the most: remove one first"
        raise FailedPrecondition(
            f"{model.name} {text}",
            reason=Reason.TOO_MANY_BACKENDS,
            violations=[PreconditionViolation("BACKEND_COUNT", model.name, text)],
            metadata={"name": model.name, "maximum": str(MAX_BACKENDS)},
        )
    return in_order([*others, backend])
