"""The rooms that a use case is given, on SQLite in a file, with what tests have them hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.domain.catalog import Catalogs
from service.domain.pages import PageTokens
from service.sealing.kms_client import KmsClient
from service.sealing.sealer import Sealer
from service.store import Store, open_store
from service.usecases.context import Context
from tests.support.values.registry_values import ManualClock, new_uuid
from upstreams.addresses import AddressPolicy


@contextmanager
def a_context(
    database: Path, kms_socket: Path, *, clock: ManualClock, catalogs: Catalogs | None = None, **changes: Any
) -> Iterator[Context]:
    """A context over a migrated database. Nothing listens at the socket where no credential is sealed."""
    store = open_store(f"sqlite:///{database}", clock=clock)
    try:
        with KmsClient(kms_socket) as kms:
            yield context_over(store, kms, **{"catalogs": catalogs or Catalogs(()), **changes})
    finally:
        store.close()


def context_over(store: Store, kms: KmsClient, **changes: Any) -> Context:
    """A context over rooms that are open."""
    rooms: dict[str, Any] = {
        "store": store,
        "kms": kms,
        "sealer": Sealer(kms, os.urandom),
        "catalogs": Catalogs(()),
        "url_policy": AddressPolicy(),
        "page_tokens": PageTokens(bytes(32)),
        "impact_key": bytes(32),
        "new_uuid": new_uuid,
    }
    return Context(**{**rooms, **changes})
