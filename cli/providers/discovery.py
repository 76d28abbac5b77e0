"""What an upstream offers, beside the catalog and what is registered, and registering some of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codevector.providers.v1 import provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from cli.failures import UsageFailure
from cli.session import Session
from runtime.calls import CallRefused

if TYPE_CHECKING:
    from upstreams.listing import Listing
    from upstreams.offers import Discovered

_PAGE_SIZE = 1000
_KINDS = {
    "chat": provider_model_pb2.MODEL_KIND_CHAT,
    "embedding": provider_model_pb2.MODEL_KIND_EMBEDDING,
}


@dataclass(frozen=True, slots=True)
class Beside:
    """The registry's side: ids of the newest catalog of the kind, and registered models by upstream id."""

    catalog_version: str
    catalog_ids: frozenset[str]
    registered: dict[str, str]


@dataclass(frozen=True, slots=True)
class Added:
    """One model that was asked for: ``action`` is imported, created or there already."""

    upstream_model_id: str
    provider_model: str
    action: str


def beside(session: Session, name: str, kind: str) -> Beside:
    """Return what the registry knows of a provider of that kind (``openai_compatible``)."""
    registry = session.registry
    try:
        catalog = registry.call(
            registry.providers.GetCatalog, pb.GetCatalogRequest(name=f"catalogs/{kind.replace('_', '-')}")
        )
    except CallRefused as refused:
        if refused.status != "NOT_FOUND":
            raise
        catalog = None
    return Beside(
        catalog.version if catalog else "",
        frozenset(model.upstream_model_id for model in catalog.models) if catalog else frozenset(),
        {model.upstream_model_id: model.name for model in _registered(session, name)},
    )


def message(
    listing: Listing, known: Beside, validation: provider_pb2.ProviderValidation
) -> pb.DiscoverProviderModelsResponse:
    """Return the listing as the API does for a candidate credential."""
    offered = {model.upstream_model_id for model in listing.models}
    missing = sorted(name for upstream_id, name in known.registered.items() if upstream_id not in offered)
    return pb.DiscoverProviderModelsResponse(
        validation=validation,
        models=[_discovered(model, known) for model in listing.models],
        complete=listing.complete,
        skipped_count=listing.skipped_count,
        catalog_version=known.catalog_version,
        not_offered_provider_models=missing if listing.complete else (),
    )


def add(
    session: Session, name: str, listing: Listing, known: Beside, ids: Sequence[str], kind: str
) -> list[Added]:
    """Register models by their upstream ids: from the catalog where it has them, else as custom models.

    ``kind`` (chat, embedding or "") is for those of which the upstream does not say what they are for.

    Raises:
        UsageFailure: an id is not offered, or its kind is neither known nor given; nothing was added.
    """
    offered = {model.upstream_model_id: model for model in listing.models}
    wanted = list(dict.fromkeys(ids))
    fresh = [each for each in wanted if each not in known.registered]
    unknown = [each for each in fresh if each not in offered]
    if unknown:
        raise UsageFailure(f"{name}: the upstream does not list {', '.join(unknown)}")
    custom = [each for each in fresh if each not in known.catalog_ids]
    kinds = {each: _KINDS.get(offered[each].kind.value) or _KINDS.get(kind) for each in custom}
    vague = [each for each, found in kinds.items() if found is None]
    if vague:
        raise UsageFailure(
            f"the upstream does not say what {', '.join(vague)} is for: add --kind chat or --kind embedding"
        )
    added = [Added(each, known.registered[each], "there already") for each in wanted if each not in fresh]
    imported = [each for each in fresh if each in known.catalog_ids]
    registry = session.registry
    for begin in range(0, len(imported), _PAGE_SIZE):
        request = pb.ImportProviderModelsRequest(
            parent=name,
            upstream_model_ids=imported[begin : begin + _PAGE_SIZE],
            catalog_version=known.catalog_version,
        )
        answer = registry.call(registry.providers.ImportProviderModels, request)
        added += [
            Added(result.upstream_model_id, result.provider_model, "imported") for result in answer.results
        ]
    for each in custom:
        model = _custom(offered[each])
        model.kind = kinds[each] or provider_model_pb2.MODEL_KIND_UNSPECIFIED
        made = registry.call(
            registry.providers.CreateProviderModel,
            pb.CreateProviderModelRequest(parent=name, provider_model=model),
        )
        added.append(Added(each, made.name, "created"))
    return added


def _registered(session: Session, name: str) -> Iterator[provider_model_pb2.ProviderModel]:
    registry = session.registry
    request = pb.ListProviderModelsRequest(parent=name, page_size=_PAGE_SIZE)
    while True:
        page = registry.call(registry.providers.ListProviderModels, request)
        yield from page.provider_models
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _discovered(model: Discovered, known: Beside) -> pb.DiscoveredModel:
    return pb.DiscoveredModel(
        upstream_model_id=model.upstream_model_id,
        display_name=model.display_name,
        kind=_KINDS.get(model.kind.value, provider_model_pb2.MODEL_KIND_UNSPECIFIED),
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        retire_time=_retire_time(model),
        deprecated=model.deprecated,
        indirect=not model.callable_by_id,
        in_catalog=model.upstream_model_id in known.catalog_ids,
        provider_model=known.registered.get(model.upstream_model_id, ""),
    )


def _custom(model: Discovered) -> provider_model_pb2.ProviderModel:
    return provider_model_pb2.ProviderModel(
        upstream_model_id=model.upstream_model_id,
        display_name=model.display_name,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        retire_time=_retire_time(model),
    )


def _retire_time(model: Discovered) -> Timestamp | None:
    if model.retire_time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(model.retire_time)
    return stamp
