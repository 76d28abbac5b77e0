"""The provider models that routers get, read in the columns they get and a few thousand rows at a time.

A registry has up to 100,000 of them. As whole rows they would take seconds of computing and hundreds of
megabytes, and PostgreSQL ends a transaction that is idle for so long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Column, Table, select
from sqlalchemy.orm import Session

from service.domain.ids import provider_model_name
from service.domain.model import Provider, State
from service.domain.routing import ActiveProviderModel, provider_routable
from service.store.columns import as_stored
from service.store.engines import in_passing
from service.store.mapping import pricing_of
from service.store.rows import ProviderModelRow, ProviderRow
from service.store.unsound import Unsound

ROWS_AT_ONCE = 2000
"""Read by one statement's fetch and made into entries, which takes some 10 ms, before the next are read."""

_OWN = ("provider_id", "model_id", "upstream_model_id")
_SHARED = (
    "kind",
    "context_window",
    "max_output_tokens",
    "embedding_dimensions",
    "pricing",
    "capabilities",
    "labels",
)
"""What many rows have in common: each combination is read once, and its values are shared by the entries."""


def active_provider_models(
    session: Session, unsound: Unsound, providers: Mapping[str, Provider]
) -> Iterator[ActiveProviderModel]:
    """Yield the entries of the enabled models of these providers, by id, where they can be read.

    ``providers`` are all that are enabled and can be read, by id.

    Raises:
        Unreadable: a column of them has what is never written there.
    """
    columns = [cast(Table, ProviderModelRow.__table__).columns[name] for name in (*_OWN, *_SHARED)]
    read_model_id, read_upstream_id = (cast(Any, column.type).read for column in columns[1 : len(_OWN)])
    shared: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    # Values as they are stored: SQLAlchemy would convert each one of each row.
    statement = (
        select(*as_stored(columns))
        .join(ProviderRow, ProviderRow.provider_id == ProviderModelRow.provider_id)
        .where(
            ProviderModelRow.state == State.ACTIVE,
            ProviderRow.state == State.ACTIVE,
            unsound.sound_provider(),
            unsound.sound_provider_model(),
        )
        .order_by(ProviderModelRow.provider_id, ProviderModelRow.model_id)
    )
    names = {key: (one.name, one.kind) for key, one in providers.items() if provider_routable(one)}
    with in_passing(session.connection()):
        for row in session.execute(statement, execution_options={"yield_per": ROWS_AT_ONCE}):
            provider_id, model_id, upstream_model_id, *rest = cast(tuple[Any, ...], row)
            if provider_id not in names:
                continue
            stored = tuple(rest)
            values = shared.get(stored)
            if values is None:
                values = shared[stored] = _read(stored, columns[len(_OWN) :])
            name, provider_kind = names[provider_id]
            yield ActiveProviderModel(
                provider_model_name(provider_id, read_model_id(model_id)),
                name,
                provider_kind,
                read_upstream_id(upstream_model_id),
                *values,
            )


def _read(stored: Sequence[Any], columns: Sequence[Column[Any]]) -> tuple[Any, ...]:
    """Return the values of `_SHARED`, as entries have them. Raises Unreadable."""
    values = [
        None if value is None and column.nullable else cast(Any, column.type).read(value)
        for value, column in zip(stored, columns, strict=True)
    ]
    *numbers, pricing, capabilities, labels = values
    return (*numbers, pricing_of(pricing), tuple(cast(Any, capabilities)), labels)
