"""A registry whose database somebody edits: what stands in a column costs its own resource and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError

from service.domain.errors import RegistryError, Unavailable
from service.domain.history import RevisionToken
from service.domain.model import State
from service.domain.routers import Flush, Heard, RouterKey, Stamp
from service.readmodel.snapshot import build
from service.rpc import convert, convert_models
from service.rpc.routing_codec import CODEC
from service.sealing.kms_client import KmsClient
from service.store import SidecarAudit, StoreStartError, Unreadable, WriteUnit, migrate, open_store
from service.store.rows import Base
from service.usecases import lists, models, provider_models, providers, routing
from service.usecases.context import ListQuery
from service.usecases.routing_source import routing_source
from tests.support.servers.contexts import context_over
from tests.support.servers.postgresql import PostgresServer
from tests.support.storms.nonsense import NOT_UTF8, Vandal
from tests.support.values.registry_values import (
    DRY_RUN,
    START,
    ManualClock,
    a_credential,
    a_model,
    a_provider,
    a_provider_model,
)

TABLES = {table.name: table for table in Base.metadata.sorted_tables}
PRESENCE = ("routers", "watches", "replicas")
SINGLE_ROWS = ("revision_counter", "registry")
COLUMNS = [(name, column.name) for name, table in TABLES.items() for column in table.columns]
SOUND = ("zulu", "yankee")
"""Providers that no test edits: the first row of each table belongs to another."""
ROUTERS = ("gw-1", "gw-2")
REPLICAS = ("one", "two")
"""The first of each is edited."""
SESSION = bytes(range(16))


def fill(unit: WriteUnit) -> None:
    """What a registry holds: provider ``acme`` comes first in every table, and each resource is active."""
    for provider_id in ("acme", *SOUND):
        view, sealed = a_credential()
        provider = a_provider(provider_id, credential=view, labels={"team": "blue"})
        unit.providers.insert(provider, sealed)
        offered = [
            a_provider_model(name, provider_id=provider_id, labels={"team": "blue"}) for name in ("a1", "b2")
        ]
        unit.provider_models.insert(offered)
        unit.models.insert(a_model(f"for-{provider_id}", *offered, labels={"team": "blue"}))
    unit.requests.remember(
        "dev:tests", "Create", "r1", b"fingerprint", "providers/acme", ttl=timedelta(days=1)
    )
    unit.kms.record_audit(SidecarAudit(b"\x00" * 32, 1, b"head", START))
    unit.kms.record_audit(SidecarAudit(b"\x01" * 32, 1, b"head", START))


def presence() -> dict[str, list[dict[str, object]]]:
    """What is stored of two routers, each of which watches a replica."""
    token = {"store_id": str(UUID(int=1)), "content_id": str(UUID(int=2))}
    keys: list[dict[str, object]] = [
        {"principal": "dev:tests", "watcher_id": name, "session": SESSION.hex()} for name in ROUTERS
    ]
    router = token | {"applied_revision": 1, "apply_time": 1, "seen_time": 1, "peer": "ipv4:10.1.2.3:4"}
    router |= {"stopped": 0, "writer_id": REPLICAS[1], "writer_seq": 1}
    return {
        "routers": [key | router for key in keys],
        "watches": [{"replica_id": name} | key for name, key in zip(REPLICAS, keys, strict=True)],
        "replicas": [
            {"replica_id": name, "flush_seq": 1} | token | {"table_revision": 1} for name in REPLICAS
        ],
    }


class Registry:
    """A store that is used as the API uses it, beside somebody who edits its database."""

    def __init__(self, url: str, kms_socket: Path) -> None:
        self.url = url
        self.vandal = Vandal(url)
        self.reported: dict[str, Sequence[str]] = {}
        self.kms = KmsClient(kms_socket)
        self.open()
        self.first = routing_source(self.store).load()
        self.store.write(fill)

    def open(self) -> None:
        """Open the store as a start does. Raises StoreStartError."""
        self.store = open_store(self.url, clock=ManualClock())
        self.store.on_corrupt = self.reported.update
        self.context = context_over(self.store, self.kms)

    def close(self) -> None:
        self.store.close()
        self.kms.close()
        self.vandal.close()

    def table(self) -> set[str]:
        """The names in a routing table that is loaded now, encoded for the wire."""
        loaded = routing_source(self.store).load()
        build(CODEC, loaded.at, loaded.commit_id, loaded.entries)
        return {entry.name for entry in loaded.entries}

    def listed(self, filter: str = "") -> dict[str, State]:  # noqa: A002 - the API's word
        """Every resource of the three lists, as the API shows it."""
        query = ListQuery(page_size=1000, filter=filter)
        found: dict[str, State] = {}
        for provider in lists.list_providers(self.context, query).items:
            found[convert.provider_to_pb(provider).name] = provider.provider.state
        for model in lists.list_provider_models(self.context, "providers/-", query).items:
            found[convert.provider_model_to_pb(model).name] = model.model.state
        for view in lists.list_models(self.context, query).items:
            found[convert_models.model_to_pb(view).name] = view.model.state
        return found

    def delete(self, name: str) -> None:
        """Delete a resource with all that depends on it, and roll back."""
        if name.startswith("models/"):
            models.delete_model(self.context, DRY_RUN, name)
        elif "/models/" in name:
            provider_models.delete_provider_model(self.context, DRY_RUN, name, force=True)
        else:
            providers.delete_provider(self.context, DRY_RUN, name, force=True)


@contextmanager
def vandalised(dialect: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Registry]:
    """A registry on a database of this kind, for all edits, each of which is taken back."""
    if dialect == "sqlite":
        url = f"sqlite:///{folder}/registry.db"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.url(server.create_database())
    migrate(url)
    opened = Registry(url, folder / "no.sock")
    yield opened
    opened.close()


ALL = 3 * (1 + 2 + 1)
"""How many resources there are."""


def endures(registry: Registry, name: str, column: str, *, share: int = 1) -> None:
    """Put nonsense into a column, one of ``share`` values after the other, and take each back."""
    table = TABLES[name]
    restore(registry)
    values = list(registry.vandal.nonsense(table, column))
    first = [*table.columns.keys()].index(column) % share
    for value in values[first::share]:
        refuses_no_value_that_can_be_read(registry, table, column, value)
        if name in PRESENCE:
            forgets_one_router(registry, table, column, value)
        elif name in SINGLE_ROWS:
            starts_or_says_why(registry, table, column, value)
        else:
            costs_its_own_resource(registry, table, column, value)
    assert registry.store.check_rows().findings() == {}
    assert len(registry.listed()) == len(registry.table()) == ALL


def restore(registry: Registry) -> None:
    """Store two routers, and what they watch."""
    for name, rows in presence().items():
        registry.vandal.fill(TABLES[name], rows)


def forgets_one_router(registry: Registry, table: Table, column: str, value: object) -> None:
    """Fail unless a bad row of routers is dropped and reported, and the others are known as before."""
    registry.reported.clear()
    restore(registry)
    try:
        registry.vandal.edit(table, column, value)
    except (DBAPIError, ValueError):
        return
    heard = [(RouterKey("dev:tests", name, SESSION), Heard(START, "", began=True)) for name in ROUTERS]
    flush = Flush(Stamp(REPLICAS[1], 1), RevisionToken(UUID(int=1), UUID(int=2), 2), heard)
    assert registry.store.flush_routers(flush)
    seen = registry.store.shared_routers({})
    assert ROUTERS[1] in {one.key.watcher_id for one in seen.routers}
    assert REPLICAS[1] in {one.stamp.replica_id for one in seen.replicas}
    assert registry.store.check_rows().findings() == {}
    assert registry.reported in ({}, {f"table {table.name}": (f"{table.name}.{column}",)})
    for name in PRESENCE:
        for row in registry.vandal.rows(TABLES[name]):
            for each in TABLES[name].columns:
                if row[each.name] is not None:
                    cast(Any, each.type).read(row[each.name])


def starts_or_says_why(registry: Registry, table: Table, column: str, value: object) -> None:
    """Fail unless a registry serves all it has with such a row, or names the column at fault."""

    def restart() -> None:
        registry.store.close()
        registry.open()

    with registry.vandal.edited(table, column, value) as edited:
        if edited:
            while_running = why_not(lambda: serves_the_others(registry))
            at_start = why_not(restart)
            if at_start is None:
                serves_the_others(registry)
                registry.store.close()
            said = {while_running, at_start} - {None}
            assert all(f"{table.name}.{column}" in str(each) for each in said)
    if edited:
        registry.open()


def why_not(work: Callable[[], object]) -> str | None:
    """What a registry says that does not work; None if it does."""
    try:
        work()
    except (Unavailable, StoreStartError) as error:
        return str(error)
    return None


def costs_its_own_resource(registry: Registry, table: Table, column: str, value: object) -> None:
    """Fail unless all but the resource of a bad row is served."""
    with registry.vandal.edited(table, column, value) as edited:
        if edited:
            serves_the_others(registry)


def serves_the_others(registry: Registry) -> None:
    """Fail unless the others are routed and listed, and what is corrupt is shown and can be deleted."""
    corrupt = registry.store.check_rows().findings()
    shown, routed = registry.listed(), registry.table()
    for provider_id in SOUND:
        name = f"providers/{provider_id}"
        assert {name, f"{name}/models/a1", f"{name}/models/b2", f"models/for-{provider_id}"} <= routed
    assert not corrupt.keys() & routed
    nameless = {each for each in corrupt if each.startswith("table ")}
    assert {each for each, state in shown.items() if state is State.CORRUPT} == corrupt.keys() - nameless
    assert registry.listed("state = CORRUPT").keys() == corrupt.keys() - nameless
    assert not registry.listed("routable = true labels.team = blue").keys() & corrupt.keys()
    for each in corrupt.keys() & shown.keys():
        registry.delete(each)
    names = [each for each in shown if each.count("/") == 1 and each.startswith("providers/")]
    sealed = routing.sealed_credentials(registry.context, names)
    given = [name for name, one in zip(names, sealed, strict=True) if not isinstance(one, RegistryError)]
    assert {f"providers/{each}" for each in SOUND} <= {*given}
    source, first = routing_source(registry.store), registry.first
    now = source.load().at
    source.changes(first.at, first.commit_id)
    source.between(first.at, now)
    source.follows(first.at, now)
    registry.store.read(lambda unit: (unit.log.outdated(), unit.log.overlong(1)))
    registry.store.write(lambda unit: unit.log.compact(now.revision), DRY_RUN)
    with suppress(Unavailable):  # an id that cannot be read is refused, not repeated
        registry.store.read(lambda unit: unit.requests.get("dev:tests", "Create", "r1"))
    registry.store.write(remember_another, DRY_RUN)
    registry.store.read(lambda unit: (unit.kms.audits(), unit.data_keys.backlog("")))
    registry.store.read(lambda unit: unit.data_keys.stale("", after="", limit=100))
    registry.store.read(lambda unit: unit.data_keys.pairs(after="", limit=100))
    registry.store.read(lambda unit: unit.data_keys.providers_digest())


def remember_another(unit: WriteUnit) -> None:
    unit.requests.remember("dev:tests", "Create", "r2", b"fingerprint", "", ttl=timedelta(days=1))


def refuses_no_value_that_can_be_read(registry: Registry, table: Table, column: str, value: object) -> None:
    """Fail if a CHECK constraint does: PostgreSQL asks all of them whenever a row is updated."""
    if value is None or not registry.vandal.refused(table, column, value):
        return
    with pytest.raises(Unreadable):
        cast(Any, table.columns[column].type).read("\udcff\udcfe" if value == NOT_UTF8 else value)
