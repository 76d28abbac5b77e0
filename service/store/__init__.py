"""The only room that speaks SQL: providers, models, sealed credentials, the change log; on two databases."""

from service.store.columns import Unreadable
from service.store.engines import Connecting, masked_url, sqlite_file
from service.store.failures import StoreStartError
from service.store.ground import Loss
from service.store.migrating import SchemaCheck, check_schema, migrate
from service.store.notices import Notice, Notices
from service.store.restoring import Restored, restore
from service.store.store import Storage, Store, open_store
from service.store.units.bookkeeping import KmsRecord, RememberedRequest, SidecarAudit
from service.store.units.data_keys import (
    QUARANTINE_AFTER,
    Backlog,
    DataKeyFault,
    DataKeyPair,
    ProvidersDigest,
    SweepLease,
)
from service.store.units.lists import Position, Slice
from service.store.units.log import Head
from service.store.units.rewraps import Failed, RewrapUnit, Swap
from service.store.units.unit import ReadUnit, WriteUnit

__all__ = [
    "QUARANTINE_AFTER",
    "Backlog",
    "Connecting",
    "DataKeyFault",
    "DataKeyPair",
    "Failed",
    "Head",
    "KmsRecord",
    "Loss",
    "Notice",
    "Notices",
    "Position",
    "ProvidersDigest",
    "ReadUnit",
    "RememberedRequest",
    "Restored",
    "RewrapUnit",
    "SchemaCheck",
    "SidecarAudit",
    "Slice",
    "Storage",
    "Store",
    "StoreStartError",
    "Swap",
    "SweepLease",
    "Unreadable",
    "WriteUnit",
    "check_schema",
    "masked_url",
    "migrate",
    "open_store",
    "restore",
    "sqlite_file",
]
