"""The door to the room that calls upstreams: opened by the first test, so that others need not wait for it.

Its HTTP library takes a good part of a second to import, and most registries
that start are not asked to test anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from service.domain.credentials import CredentialMaterial
from service.domain.model import ModelKind, ProviderConfig, ProviderKind
from service.domain.upstreams import Offer, OfferedModel, Outcome, ProviderValidation
from upstreams.addresses import AddressPolicy

if TYPE_CHECKING:
    from upstreams import outcome as upstream_outcome
    from upstreams.guard import Guard
    from upstreams.offers import Discovered
    from upstreams.target import Identity, Target


class UpstreamCalls:
    """Asks upstreams as this installation may. One for the whole process; may be used by several threads."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        now: Callable[[], datetime],
        make_guard: Callable[[AddressPolicy], Guard] | None = None,
    ) -> None:
        """``now`` is in UTC. ``make_guard`` replaces the guard that resolves and connects for real."""
        self._policy = policy
        self._now = now
        self._make_guard = make_guard
        self._guard: Guard | None = None
        self._opening = threading.Lock()

    def test(
        self,
        kind: ProviderKind,
        config: ProviderConfig,
        material: CredentialMaterial | None,
        *,
        seconds: float,
    ) -> ProviderValidation:
        """Return whether the credential works there within ``seconds``; what goes wrong is an outcome."""
        guard = self._opened()
        from upstreams.probe import probe

        outcome = probe(
            _target(kind, config), _identity(material), guard=guard, now=self._now, seconds=seconds
        )
        return self._validation(outcome)

    def list_models(
        self,
        kind: ProviderKind,
        config: ProviderConfig,
        material: CredentialMaterial | None,
        *,
        seconds: float,
    ) -> Offer:
        """Return all that is offered there, within ``seconds``; what goes wrong there is an outcome."""
        guard = self._opened()
        from upstreams.listing import list_models

        listing = list_models(
            _target(kind, config), _identity(material), guard=guard, now=self._now, seconds=seconds
        )
        return Offer(
            self._validation(listing.outcome),
            tuple(_offered(model) for model in listing.models),
            listing.skipped_count,
            listing.complete,
        )

    def _opened(self) -> Guard:
        with self._opening:
            if self._guard is None:
                from upstreams.guard import Guard

                self._guard = (self._make_guard or Guard)(self._policy)
            return self._guard

    def _validation(self, outcome: upstream_outcome.Outcome) -> ProviderValidation:
        return ProviderValidation(
            outcome=Outcome[outcome.verdict.name],
            reason=outcome.reason.name,
            message=outcome.message,
            http_status_code=outcome.http_status_code,
            latency_ms=outcome.latency_ms,
            validate_time=self._now(),
        )


def _target(kind: ProviderKind, config: ProviderConfig) -> Target:
    from upstreams.target import Target

    return Target(kind=kind.word, config=config.values, headers=config.headers)


def _identity(material: CredentialMaterial | None) -> Identity | None:
    from upstreams.target import Identity

    return None if material is None else Identity(material.type.word, material.reveal())


def _offered(model: Discovered) -> OfferedModel:
    return OfferedModel(
        upstream_model_id=model.upstream_model_id,
        display_name=model.display_name,
        kind=ModelKind.__members__.get(model.kind.name),
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        retire_time=model.retire_time,
        deprecated=model.deprecated,
        indirect=not model.callable_by_id,
    )
