"""A registry whose database somebody edits: what stands in a column costs its own resource and no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from service.domain.errors import RegistryError
from service.domain.model import State
from service.readmodel.snapshot import build
from service.rpc import convert, convert_models
from service.rpc.routing_codec import CODEC
from service.sealing.kms_client import KmsClient
from service.store import SidecarAudit, WriteUnit, migrate, open_store
from service.store.rows import Base
from service.usecases import lists, models, provider_models, providers, routing
from service.usecases.context import ListQuery
from service.usecases.routing_source import routing_source
from tests.support.servers.contexts import context_over
from tests.support.servers.postgresql import PostgresServer
from tests.support.storms.nonsense import Vandal
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
COLUMNS = [
    (name, column.name)
    for name, table in TABLES.items()
    for column in table.columns
    if name not in ("routers", "watches", "replicas", "revision_counter", "registry")
]
SOUND = ("zulu", "yankee")
"""Providers that no test edits: the first row of each table belongs to another."""


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


class Registry:
    """A store that is used as the API uses it, beside somebody who edits its database."""

    def __init__(self, url: str, kms_socket: Path) -> None:
        self.url = url
        self.vandal = Vandal(url)
        self.vandal.drop_checks()
        self.store = open_store(url, clock=ManualClock())
        self.reported: dict[str, object] = {}
        self.store.on_corrupt = self.reported.update
        self.store.write(fill)
        self.kms = KmsClient(kms_socket)
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
    values = list(registry.vandal.nonsense(table, column))
    first = [*table.columns.keys()].index(column) % share
    for value in values[first::share]:
        with registry.vandal.edited(table, column, value) as edited:
            if edited:
                serves_the_others(registry)
    assert registry.store.check_rows().findings() == {}
    assert len(registry.listed()) == len(registry.table()) == ALL


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
    registry.store.read(lambda unit: (unit.kms.audits(), unit.data_keys.backlog("")))
    registry.store.read(lambda unit: unit.data_keys.stale("", after="", limit=100))
    registry.store.read(lambda unit: unit.data_keys.pairs(after="", limit=100))
    registry.store.read(lambda unit: unit.data_keys.providers_digest())
