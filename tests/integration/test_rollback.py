"""A whole database put back: all of it is genuine and bound together, only older than what was seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import codevector_providers as sdk
import pytest
from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.harness import Instance, running

NAME = "providers/rolled"
OLD, NEW = "sk-old-0123456789abcdef", "sk-new-0123456789abcdef"


def key(text: str) -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=text))


def database_files(home: Path) -> list[Path]:
    return [
        path for path in home.iterdir() if path.name in ("registry.db", "registry.db-wal", "registry.db-shm")
    ]


def put_back(made: Instance, kept: Path) -> None:
    for path in database_files(made.home):
        path.unlink()
    for path in kept.iterdir():
        shutil.copy(path, made.home / path.name)


def test_a_database_that_was_put_back_raises_an_alarm(tmp_path: Path) -> None:
    with running() as made:
        made.providers.CreateProvider(
            pb.CreateProviderRequest(
                provider_id="rolled",
                provider=provider_pb2.Provider(display_name="Rolled", kind=provider_pb2.PROVIDER_KIND_OPENAI),
                credential=key(OLD),
            )
        )
        made.stop_service()
        for path in database_files(made.home):
            shutil.copy(path, tmp_path / path.name)
        made.start_service()
        with sdk.connect(made.address, kms_socket=made.router_socket) as client:
            before = client.provider(NAME)
            made.providers.SetProviderCredential(
                pb.SetProviderCredentialRequest(name=NAME, credential=key(NEW))
            )
            assert client.credential(NAME).reveal("api_key") == NEW

            made.stop_service()
            put_back(made, tmp_path)
            made.start_service()

            with pytest.raises(sdk.RegistryRolledBack, match="revision"):
                client.provider(NAME)
            with pytest.raises(sdk.RegistryRolledBack, match="version"):
                client.credential(before)
        with sdk.connect(made.address, kms_socket=made.router_socket) as another:
            assert another.credential(NAME).reveal("api_key") == OLD
