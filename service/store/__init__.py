"""The only room that speaks SQL: providers, models, sealed credentials, the change log; on two databases."""

from service.store.engines import masked_url, sqlite_file
from service.store.failures import StoreStartError
from service.store.ground import Loss
from service.store.migrating import migrate
from service.store.reads import Head, ReadUnit, RegistryRow, RememberedRequest
from service.store.restoring import Restored, restore
from service.store.store import Storage, Store, open_store
from service.store.units.data_keys import (
    QUARANTINE_AFTER,
    Backlog,
    DataKeyFault,
    DataKeyPair,
    ProvidersDigest,
    StaleDataKey,
    SweepLease,
)
from service.store.units.lists import Position
from service.store.units.rewraps import Failed, RewrapUnit, Swap
from service.store.writes import WriteUnit

__all__ = [
    "QUARANTINE_AFTER",
    "Backlog",
    "DataKeyFault",
    "DataKeyPair",
    "Failed",
    "Head",
    "Loss",
    "Position",
    "ProvidersDigest",
    "ReadUnit",
    "RegistryRow",
    "RememberedRequest",
    "Restored",
    "RewrapUnit",
    "StaleDataKey",
    "Storage",
    "Store",
    "StoreStartError",
    "Swap",
    "SweepLease",
    "WriteUnit",
    "masked_url",
    "migrate",
    "open_store",
    "restore",
    "sqlite_file",
]
