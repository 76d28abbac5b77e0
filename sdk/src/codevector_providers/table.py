"""The routing table of a router: what is routable at one revision, and how to find it.

A table never changes. The one of the next revision shares with it all that stayed the same, so that following
a registry of a hundred thousand models costs microseconds a change, and whoever holds a table goes on seeing
one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, Self, TypeVar

from codevector_providers._layers import GONE, Gone, Layered
from codevector_providers.errors import ModelNotFound
from codevector_providers.model import (
    ActiveModel,
    ActiveProviderModel,
    ModelBackend,
    ModelKind,
    ProviderKind,
    RoutingProvider,
)

E = TypeVar("E", bound="RoutingProvider | ActiveProviderModel | ActiveModel")
_Facet = tuple[Hashable, ...]


class Entries(Layered[str, E], Generic[E]):
    """Entries by resource name, unordered, and by their attributes, without a search.

    The first lookup that needs an index builds it; then it follows the table.
    """

    __slots__ = ("_index",)

    _index: Layered[_Facet, Layered[str, E]] | None

    @classmethod
    def of(cls, entries: Iterable[E]) -> Self:
        """These entries; of several with one name, the last."""
        made = cls({entry.name: entry for entry in entries})
        made._index = None
        return made

    def of_kind(self, kind: ModelKind | ProviderKind) -> Mapping[str, E]:
        """Those of a kind, by name."""
        return self._having(("kind", kind))

    def labelled(self, key: str, value: str) -> Mapping[str, E]:
        """Those with a label, by name."""
        return self._having(("label", key, value))

    def changed(self, changes: Mapping[str, E | Gone]) -> Self:
        """Return a copy with these entries inserted, replaced by name, or removed."""
        made = type(self)(*self._changed(changes))
        index = self._index
        made._index = None if index is None else index.changed(self._index_changes(index, changes))
        return made

    def _having(self, facet: _Facet) -> Mapping[str, E]:
        if self._index is None:
            self._index = self._indexed()
        return self._index.get(facet) or Layered({})

    def _indexed(self) -> Layered[_Facet, Layered[str, E]]:
        found: dict[_Facet, dict[str, E]] = {}
        for name, entry in self.items():
            for facet in _facets(entry):
                found.setdefault(facet, {})[name] = entry
        return Layered({facet: Layered(members) for facet, members in found.items()})

    def _index_changes(
        self, index: Mapping[_Facet, Layered[str, E]], changes: Mapping[str, E | Gone]
    ) -> dict[_Facet, Layered[str, E] | Gone]:
        members: dict[_Facet, dict[str, E | Gone]] = {}
        for name, entry in changes.items():
            before = self.get(name)
            for facet in _facets(before) if before is not None else ():
                members.setdefault(facet, {})[name] = GONE
            for facet in _facets(entry) if not isinstance(entry, Gone) else ():
                members.setdefault(facet, {})[name] = entry
        found = {
            facet: (index.get(facet) or Layered[str, E]({})).changed(changed)
            for facet, changed in members.items()
        }
        return {facet: entries if entries else GONE for facet, entries in found.items()}


class ProviderModels(Entries[ActiveProviderModel]):
    """Provider models, also by their provider."""

    __slots__ = ()

    def of_provider(self, provider: str) -> Mapping[str, ActiveProviderModel]:
        """Those of a provider, by name."""
        return self._having(("provider", provider))


class Route(NamedTuple):
    """A route for a request for ``model``: this provider model, of this provider."""

    model: str
    provider_model: ActiveProviderModel
    provider: RoutingProvider


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Everything that is routable at one revision of one store.

    ``token`` proves to the registry which table this is; a stored table has none, and is never resumed from.
    """

    store_id: str
    revision: int
    token: str
    providers: Entries[RoutingProvider]
    provider_models: ProviderModels
    models: Entries[ActiveModel]

    def attempts(self, model: str, random: Callable[[], float]) -> Iterator[Route]:
        """Yield the routes for a request in the order in which to try them: see ``Router.attempts``.

        ``random`` gives numbers from 0 up to, not including, 1.

        Raises:
            ModelNotFound: there is none.
        """
        found = self.models.get(model)
        routes = self._direct(model) if found is None else self._by_backends(found, random)
        first = next(routes, None)
        if first is None:
            raise ModelNotFound(
                "The model does not exist or has no routable backend.", metadata={"model": model}
            )
        return _beginning_with(first, routes)

    def first(self, model: str, random: Callable[[], float]) -> Route:
        """The first of ``attempts``."""
        found = self.models.get(model)
        if found is not None and found.backends:
            backends = found.backends
            chosen = backends[_drawn(backends, random)]
            provider_model = self.provider_models.get(chosen.provider_model)
            if provider_model is not None:
                provider = self.providers.get(provider_model.provider)
                if provider is not None:
                    return Route(model, provider_model, provider)
        return next(self.attempts(model, random))

    def at(self, revision: int, token: str) -> RoutingTable:
        """Return the same table at a newer revision."""
        return replace(self, revision=revision, token=token)

    def changed(self, revision: int, token: str, changes: TableChanges) -> RoutingTable:
        """Return the table of the next revision."""
        return RoutingTable(
            store_id=self.store_id,
            revision=revision,
            token=token,
            providers=_changed(self.providers, changes.providers),
            provider_models=_changed(self.provider_models, changes.provider_models),
            models=_changed(self.models, changes.models),
        )

    def _direct(self, name: str) -> Iterator[Route]:
        """The route to a provider model that is asked for by its own name."""
        provider_model = self.provider_models.get(name)
        if provider_model is not None and (provider := self.providers.get(provider_model.provider)):
            yield Route(name, provider_model, provider)

    def _by_backends(self, model: ActiveModel, random: Callable[[], float]) -> Iterator[Route]:
        left = list(model.backends)
        while left:
            backend = left.pop(_drawn(left, random))
            provider_model = self.provider_models.get(backend.provider_model)
            if provider_model is not None and (provider := self.providers.get(provider_model.provider)):
                yield Route(model.name, provider_model, provider)


@dataclass(slots=True)
class TableChanges:
    """What one revision changed: entries by name, or their removal."""

    providers: dict[str, RoutingProvider | Gone]
    provider_models: dict[str, ActiveProviderModel | Gone]
    models: dict[str, ActiveModel | Gone]

    def take_out(self, name: str) -> None:
        """Remove the entry of this name, whatever its type."""
        collection, _, rest = name.partition("/")
        if collection == "models":
            self.models[name] = GONE
        elif "/" in rest:
            self.provider_models[name] = GONE
        else:
            self.providers[name] = GONE


def empty(store_id: str = "") -> RoutingTable:
    """An empty table."""
    return RoutingTable(store_id, 0, "", Entries.of(()), ProviderModels.of(()), Entries.of(()))


_Some = TypeVar("_Some", Entries[RoutingProvider], ProviderModels, Entries[ActiveModel])


def _changed(entries: _Some, changes: Mapping[str, object]) -> _Some:
    return entries.changed(changes) if changes else entries  # type: ignore[arg-type]


def _drawn(backends: Sequence[ModelBackend], random: Callable[[], float]) -> int:
    """Pick one of those with the first one's priority, by weight."""
    priority, total, end = backends[0].priority, 0, 0
    for backend in backends:
        if backend.priority != priority:
            break
        total += backend.weight
        end += 1
    if end == 1:
        return 0
    point, at = random() * total, 0
    for backend in backends:
        point -= backend.weight
        if point < 0:
            break
        at += 1
    return min(at, end - 1)


def _beginning_with(first: Route, rest: Iterator[Route]) -> Iterator[Route]:
    yield first
    yield from rest


def _facets(entry: RoutingProvider | ActiveProviderModel | ActiveModel) -> Iterator[_Facet]:
    yield ("kind", entry.kind)
    for key, value in entry.labels.items():
        yield ("label", key, value)
    if isinstance(entry, ActiveProviderModel):
        yield ("provider", entry.provider)
