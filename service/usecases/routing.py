"""What routers ask for: pages of the active provider models, and sealed credentials.

Nothing here touches SQL but the sealed credentials, which a router fetches once per credential version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain import ids
from service.domain.errors import (
    PROVIDER_TYPE,
    FailedPrecondition,
    NotFound,
    PreconditionViolation,
    Reason,
    RegistryError,
    ResourceRef,
)
from service.domain.filter_parser import parse_filter
from service.domain.filters import compiled
from service.domain.history import RevisionToken, parse_token
from service.domain.lists import ACTIVE_PROVIDER_MODEL_LIST
from service.domain.model import Provider, SealedCredential, State
from service.domain.pages import Query
from service.readmodel.segments import Row
from service.readmodel.snapshot import Snapshot
from service.store import ReadUnit
from service.usecases.context import Context, ListQuery
from service.usecases.lists import page_of
from service.usecases.preconditions import corrupt

METHOD = "ListActiveProviderModels"


@dataclass(frozen=True, slots=True)
class ActivePage:
    """One page of ready rows. ``token`` is that of the first page, from which a watch misses nothing."""

    rows: Sequence[Row]
    next_page_token: str
    token: RevisionToken


@dataclass(frozen=True, slots=True)
class SealedFor:
    """A sealed credential and the provider it belongs to."""

    provider: Provider
    sealed: SealedCredential


def list_active(ctx: Context, snapshot: Snapshot, query: ListQuery) -> ActivePage:
    """Return a page of the routable provider models, by resource name.

    Raises:
        InvalidArgument: INVALID_FILTER, INVALID_PAGE_TOKEN.
    """
    keep = parse_filter(query.filter, ACTIVE_PROVIDER_MODEL_LIST.filter)
    bound = Query(METHOD, "", query.filter)
    position = ctx.page_tokens.read(bound, query.page_token)
    first = parse_token(position.at) if position else None
    rows: Sequence[Row] = snapshot.provider_model_rows
    if keep is not None:
        kept = compiled(keep, getattr)
        rows = [row for row in rows if kept(row.entry)]
    token = str(first) if first else snapshot.token
    page = page_of(ctx.page_tokens, bound, query, rows, lambda row: (row.entry.name,), at=token)
    return ActivePage(page.items, page.next_page_token, first or snapshot.at)


def sealed_credentials(ctx: Context, names: Sequence[str]) -> list[SealedFor | RegistryError]:
    """Return the sealed credential of each provider, in order, or the error of one that has none.

    Only enabled providers give theirs: disabling one stops honest routers at once.
    """
    provider_ids = [ids.parse_provider_name(name, field=f"providers[{i}]") for i, name in enumerate(names)]

    def work(unit: ReadUnit) -> list[SealedFor | RegistryError]:
        providers = unit.providers.among(provider_ids)
        sealed = unit.providers.sealed_credentials(provider_ids)
        return [
            _sealed(providers.get(one), sealed.get(one), name)
            for one, name in zip(provider_ids, names, strict=True)
        ]

    return ctx.store.read(work)


def _sealed(
    provider: Provider | None, sealed: SealedCredential | None, name: str
) -> SealedFor | RegistryError:
    resource = ResourceRef(PROVIDER_TYPE, name)
    if provider is None:
        return NotFound(resource)
    if provider.state is State.CORRUPT:
        return corrupt(provider)
    if provider.state is not State.ACTIVE:
        text = "is disabled: its credential is not given out"
        return FailedPrecondition(
            f"{name} {text}",
            reason=Reason.PROVIDER_DISABLED,
            violations=[PreconditionViolation("PROVIDER_STATE", name, text)],
            metadata={"name": name},
        )
    if sealed is None:
        return FailedPrecondition(
            f"{name} has no stored credential: set one with SetProviderCredential",
            reason=Reason.NO_STORED_CREDENTIAL,
            metadata={"name": name},
            resource=resource,
        )
    return SealedFor(provider, sealed)
