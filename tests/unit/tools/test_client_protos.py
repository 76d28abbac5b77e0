"""The descriptor set that clients in other languages generate code from."""

from __future__ import annotations

import subprocess
import sys

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import Message

from tools import client_protos
from tools.steps import ROOT


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """By a process of its own, in which no option of ours is known."""
    target = tmp_path_factory.mktemp("protos") / "clients.binpb"
    subprocess.run([sys.executable, "-m", "tools.client_protos", target], cwd=ROOT, check=True, timeout=120)
    return target.read_bytes()


@pytest.fixture(scope="module")
def files(written: bytes) -> dict[str, descriptor_pb2.FileDescriptorProto]:
    return {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(written).file}


def foreign_parts(message: Message) -> list[str]:
    """The names of extensions in a message and all below it, and of messages with unknown fields."""
    found: list[str] = []
    for field, value in message.ListFields():
        if field.is_extension:
            found.append(field.full_name)
        elif field.message_type is not None:
            for part in value if field.is_repeated else (value,):
                found += foreign_parts(part)
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    return found if known == message else [*found, message.DESCRIPTOR.full_name]


class TestDescriptorSet:
    def test_holds_what_a_router_needs_and_nothing_else(
        self, files: dict[str, descriptor_pb2.FileDescriptorProto]
    ) -> None:
        own = {name for name in files if name.startswith("codevector/")}
        assert own == {
            "codevector/kms/v1/key_management_service.proto",
            "codevector/providers/v1/model.proto",
            "codevector/providers/v1/provider.proto",
            "codevector/providers/v1/provider_model.proto",
            "codevector/providers/v1/routing_service.proto",
        }
        assert {name for name in files if not name.startswith(("codevector/", "google/protobuf/"))} == {
            "google/rpc/error_details.proto",
            "google/rpc/status.proto",
        }

    def test_is_whole(self, files: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
        pool = descriptor_pool.DescriptorPool()
        for file in files.values():
            pool.Add(file)
        provider = pool.FindMessageTypeByName("codevector.providers.v1.RoutingProvider")
        assert provider.fields_by_name["credential_version"].number == 7
        service = pool.FindServiceByName("codevector.kms.v1.KeyManagementService")
        assert "BatchUnwrapDataKeys" in service.methods_by_name

    def test_has_no_foreign_options(self, files: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
        assert [part for file in files.values() for part in foreign_parts(file)] == []

    def test_keeps_the_mark_on_secrets(self, files: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
        (result,) = (
            message
            for message in files["codevector/kms/v1/key_management_service.proto"].message_type
            if message.name == "UnwrapResult"
        )
        assert [field.name for field in result.field if field.options.debug_redact] == ["plaintext"]

    def test_keeps_comments(self, files: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
        locations = files["codevector/providers/v1/routing_service.proto"].source_code_info.location
        assert any("sealed" in location.leading_comments for location in locations)

    def test_is_the_same_where_our_options_are_known(self, written: bytes) -> None:
        """Importing the registry's messages registers the options, which then parse as extensions."""
        from codevector.providers.v1 import routing_service_pb2  # noqa: F401

        again = client_protos.descriptor_set()
        assert again.SerializeToString(deterministic=True) == written


def test_says_how_it_is_called() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.client_protos"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "name the file to write" in done.stderr
