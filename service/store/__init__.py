"""The only room that speaks SQL: providers, models, sealed credentials, the change log; on two databases."""

from service.store.engines import masked_url
from service.store.failures import StoreStartError
from service.store.lists import Position
from service.store.migrating import migrate
from service.store.reads import Head, ReadUnit, RegistryRow, RememberedRequest
from service.store.store import Store, open_store
from service.store.writes import WriteUnit

__all__ = [
    "Head",
    "Position",
    "ReadUnit",
    "RegistryRow",
    "RememberedRequest",
    "Store",
    "StoreStartError",
    "WriteUnit",
    "masked_url",
    "migrate",
    "open_store",
]
