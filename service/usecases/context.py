"""What use cases are given of the rooms below them, and what they give back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

from service.domain.catalog import Catalogs
from service.domain.pages import PageTokens
from service.sealing.kms_client import KmsClient
from service.sealing.sealer import Sealer
from service.store import ReadUnit, Store
from upstreams.addresses import AddressPolicy

T = TypeVar("T")


def ignore_change() -> None:
    """Do nothing: for a registry without a sweep."""


@dataclass(frozen=True, slots=True)
class Context:
    """The rooms below that use cases call from threads. Built once by the application.

    What belongs to the event loop (`LiveTable`, `Routers`) and the door to upstreams (`UpstreamCalls`) are
    handed to the few use cases that need them.
    """

    store: Store
    kms: KmsClient
    sealer: Sealer
    catalogs: Catalogs
    url_policy: AddressPolicy
    page_tokens: PageTokens
    impact_key: bytes = field(repr=False)
    new_uuid: Callable[[], UUID]
    primary_changed: Callable[[], None] = ignore_change
    """Called in the thread that recorded another primary key version: there are wrappers to move."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The paging part of a list request, as sent."""

    page_size: int = 0
    page_token: str = ""
    filter: str = ""
    order_by: str = ""


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """What a write answers, and the revision at which all of it can be seen.

    ``commit_id`` is that of the write's own commit; None where the revision was there before.
    """

    value: T
    revision: int
    commit_id: UUID | None = field(default=None, compare=False)

    @classmethod
    def by(cls, unit: ReadUnit, value: T, revision: int) -> Written[T]:
        """Return the answer of a unit of work that saw or made the revision."""
        return cls(value, revision, unit.commit_at(revision))
