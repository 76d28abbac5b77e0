from __future__ import annotations

from importlib.resources import files

import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb2

from runtime.reflection import DescriptorIndex, answer, reflection_files

STORED = descriptor_pb2.FileDescriptorSet.FromString(
    files("codevector").joinpath("descriptors.binpb").read_bytes()
)
INDEX = DescriptorIndex([*STORED.file, *reflection_files()])
MANAGEMENT = "codevector/kms/v1/key_management_service.proto"


def name_of(octets: bytes) -> str:
    return descriptor_pb2.FileDescriptorProto.FromString(octets).name


class TestDescriptorIndex:
    @pytest.mark.parametrize(
        ("symbol", "file"),
        [
            ("codevector.kms.v1.KeyManagementService", MANAGEMENT),
            ("codevector.kms.v1.KeyManagementService.GetStatus", MANAGEMENT),
            ("codevector.kms.v1.WrapItem", MANAGEMENT),
            ("codevector.kms.v1.WrapItem.plaintext", MANAGEMENT),
            ("codevector.kms.v1.WrapResult.outcome", MANAGEMENT),
            ("codevector.kms.v1.KeyVersion.State", MANAGEMENT),
            ("codevector.kms.v1.KeyVersion.STATE_PRIMARY", MANAGEMENT),
            ("google.rpc.ErrorInfo", "google/rpc/error_details.proto"),
            ("google.rpc.ErrorInfo.MetadataEntry", "google/rpc/error_details.proto"),
            ("buf.validate.field", "buf/validate/validate.proto"),
            ("grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto"),
        ],
    )
    def test_finds_the_file_of_every_kind_of_symbol(self, symbol: str, file: str) -> None:
        assert name_of(INDEX.file_containing(symbol)[0]) == file

    def test_keeps_the_comments(self) -> None:
        found = descriptor_pb2.FileDescriptorProto.FromString(INDEX.file_named(MANAGEMENT)[0])
        assert any("KEK" in location.leading_comments for location in found.source_code_info.location)

    def test_gives_all_dependencies_once(self) -> None:
        names = [name_of(each) for each in INDEX.file_named(MANAGEMENT)]
        assert len(names) == len(set(names))
        assert {"google/rpc/status.proto", "google/protobuf/any.proto", "buf/validate/validate.proto"} < set(
            names
        )

    def test_finds_extensions(self) -> None:
        numbers = INDEX.extension_numbers("google.protobuf.FieldOptions")
        assert 1159 in numbers
        file = INDEX.file_extending("google.protobuf.FieldOptions", 1159)[0]
        assert name_of(file) == "buf/validate/validate.proto"

    @pytest.mark.parametrize("symbol", ["", "codevector", "codevector.kms.v1.Nothing", "GetStatus"])
    def test_an_unknown_symbol_is_a_key_error(self, symbol: str) -> None:
        with pytest.raises(KeyError):
            INDEX.file_containing(symbol)

    def test_v1_speaks_of_v1_only(self) -> None:
        v1 = next(file for file in reflection_files() if file.package == "grpc.reflection.v1")
        assert "v1alpha" not in str(v1)


class TestAnswer:
    @pytest.mark.parametrize(
        "request_",
        [
            pb2.ServerReflectionRequest(file_by_filename="nothing.proto"),
            pb2.ServerReflectionRequest(file_containing_symbol="Nothing"),
            pb2.ServerReflectionRequest(all_extension_numbers_of_type="Nothing"),
            pb2.ServerReflectionRequest(
                file_containing_extension=pb2.ExtensionRequest(
                    containing_type="google.protobuf.FieldOptions", extension_number=1
                )
            ),
        ],
        ids=["file", "symbol", "type", "extension"],
    )
    def test_the_unknown_is_not_found_and_the_stream_goes_on(
        self, request_: pb2.ServerReflectionRequest
    ) -> None:
        response = answer(INDEX, [], request_)
        assert response.error_response.error_code == 5
        assert response.original_request == request_

    def test_an_empty_request_is_invalid(self) -> None:
        assert answer(INDEX, [], pb2.ServerReflectionRequest()).error_response.error_code == 3

    def test_lists_the_services_it_was_given(self) -> None:
        response = answer(INDEX, ["a.B", "c.D"], pb2.ServerReflectionRequest(list_services=""))
        assert [service.name for service in response.list_services_response.service] == ["a.B", "c.D"]
