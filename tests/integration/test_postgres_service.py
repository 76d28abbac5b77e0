"""The registry as a process on a real PostgreSQL: the short journey, a kill, a database that goes away."""

from __future__ import annotations

from collections.abc import Iterator

import codevector_providers
import pytest
from codevector.providers.v1 import provider_pb2, system_service_pb2, system_service_pb2_grpc
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.harness import Instance, running, wait_until
from tests.support.servers.postgresql import PostgresServer

KEY = "sk-proj-on-postgresql-0123456789"
NAME = "providers/on-postgresql"
DEADLINE_SECONDS = 60


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    name = postgres_server.create_database()
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def installation(postgres_server: PostgresServer, database: str) -> Iterator[Instance]:
    settings = {"CODEVECTOR_DATABASE_URL": postgres_server.url(database), "CODEVECTOR_BUILD": "4f1c2d3"}
    with running(settings) as made:
        yield made


def models(made: Instance) -> set[str]:
    request = pb.ListProviderModelsRequest(parent=NAME, page_size=1000)
    page = made.providers.ListProviderModels(request, timeout=DEADLINE_SECONDS)
    return {model.name for model in page.provider_models}


def check_routing(made: Instance, expected: set[str]) -> None:
    """A router sees exactly these models, and opens the credential."""
    with codevector_providers.connect(made.address, kms_socket=made.router_socket) as client:
        assert {model.name for model in client.active_models()} == expected
        assert client.credential(NAME).reveal("api_key") == KEY


def test_create_import_list_route_restart(
    installation: Instance, postgres_server: PostgresServer, database: str
) -> None:
    made = installation
    request = pb.CreateProviderRequest(
        provider=provider_pb2.Provider(display_name="On PostgreSQL", kind=provider_pb2.PROVIDER_KIND_OPENAI),
        credential=provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=KEY)),
    )
    assert made.providers.CreateProvider(request, timeout=DEADLINE_SECONDS).name == NAME
    imported = made.providers.ImportProviderModels(
        pb.ImportProviderModelsRequest(parent=NAME), timeout=DEADLINE_SECONDS
    )
    stored = models(made)
    assert len(stored) == imported.created_count > 50
    check_routing(made, stored)
    assert not (made.home / "registry.db").exists()
    assert made.channel is not None
    info = system_service_pb2_grpc.SystemServiceStub(made.channel).GetSystemInfo(
        system_service_pb2.GetSystemInfoRequest(), timeout=DEADLINE_SECONDS
    )
    assert info.storage == system_service_pb2.GetSystemInfoResponse.STORAGE_POSTGRESQL
    assert info.build == "4f1c2d3"

    made.stop_service()
    made.start_service()
    assert models(made) == stored
    check_routing(made, stored)

    made.providers.DisableProviderModel(
        pb.DisableProviderModelRequest(name=min(stored)), timeout=DEADLINE_SECONDS
    )
    made.kill_service()
    made.start_service()
    assert models(made) == stored
    check_routing(made, stored - {min(stored)})

    postgres_server.disconnect_all(database)
    check_routing(made, stored - {min(stored)})
    wait_until(lambda: models(made) == stored, what="the registry finds its database again")
    made.providers.DeleteProvider(pb.DeleteProviderRequest(name=NAME, force=True), timeout=DEADLINE_SECONDS)
    listed = made.providers.ListProviders(pb.ListProvidersRequest(), timeout=DEADLINE_SECONDS)
    assert list(listed.providers) == []
