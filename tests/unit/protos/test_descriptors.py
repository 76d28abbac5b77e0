"""What reflection serves: complete, commented, and with the names that JSON clients write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from codevector.kms.v1 import key_admin_service_pb2, key_management_service_pb2
from codevector.providers.v1 import (
    catalog_pb2,
    model_pb2,
    model_service_pb2,
    provider_model_pb2,
    provider_pb2,
    provider_service_pb2,
    routing_service_pb2,
    system_service_pb2,
)
from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodOptions,
)
from google.protobuf.descriptor_pool import DescriptorPool

MODULES = (
    catalog_pb2,
    model_pb2,
    model_service_pb2,
    provider_model_pb2,
    provider_pb2,
    provider_service_pb2,
    routing_service_pb2,
    system_service_pb2,
    key_admin_service_pb2,
    key_management_service_pb2,
)

BEHAVIOUR_WORDS = {
    field_behavior_pb2.REQUIRED: "Required.",
    field_behavior_pb2.OPTIONAL: "Optional.",
    field_behavior_pb2.OUTPUT_ONLY: "Output only.",
    field_behavior_pb2.INPUT_ONLY: "Input only.",
    field_behavior_pb2.IMMUTABLE: "Immutable.",
    field_behavior_pb2.IDENTIFIER: "Identifier.",
}

READ_ONLY_METHOD = re.compile(r"(Watch|Await|List|Get|BatchGet|Verify|BatchVerify|Digest)[A-Z]")

Path = tuple[int, ...]

# Numbers of the lists inside the descriptors, of which the paths of source info are made.
MESSAGES, ENUMS, SERVICES = 4, 5, 6
FIELDS, NESTED, NESTED_ENUMS, ONEOFS = 2, 3, 4, 8
VALUES = METHODS = 2


def our_files(descriptor_set: FileDescriptorSet) -> list[FileDescriptorProto]:
    return [file for file in descriptor_set.file if file.package.startswith("codevector.")]


def messages_of(file: FileDescriptorProto) -> Iterator[tuple[Path, str, DescriptorProto]]:
    """Yields each message with its path and full name, map entries left out."""
    todo: list[tuple[Path, str, DescriptorProto]] = [
        ((MESSAGES, i), f"{file.package}.{message.name}", message)
        for i, message in enumerate(file.message_type)
    ]
    while todo:
        path, name, message = todo.pop()
        if message.options.map_entry:
            continue
        yield path, name, message
        todo += [
            ((*path, NESTED, i), f"{name}.{nested.name}", nested)
            for i, nested in enumerate(message.nested_type)
        ]


def elements_of(file: FileDescriptorProto) -> Iterator[tuple[Path, str]]:
    """Yields the path and the full name of everything that `describe` can show."""
    enums: list[tuple[Path, str, EnumDescriptorProto]] = [
        ((ENUMS, i), f"{file.package}.{enum.name}", enum) for i, enum in enumerate(file.enum_type)
    ]
    for path, name, message in messages_of(file):
        yield path, name
        yield from (((*path, FIELDS, i), f"{name}.{field.name}") for i, field in enumerate(message.field))
        for i, oneof in enumerate(message.oneof_decl):
            members = [field for field in message.field if field.HasField("oneof_index")]
            if any(field.oneof_index == i and not field.proto3_optional for field in members):
                yield (*path, ONEOFS, i), f"{name}.{oneof.name}"
        enums += [
            ((*path, NESTED_ENUMS, i), f"{name}.{enum.name}", enum)
            for i, enum in enumerate(message.enum_type)
        ]
    for path, name, enum in enums:
        yield path, name
        yield from (((*path, VALUES, i), f"{name}.{value.name}") for i, value in enumerate(enum.value))
    for i, service in enumerate(file.service):
        yield (SERVICES, i), f"{file.package}.{service.name}"
        for j, method in enumerate(service.method):
            yield (SERVICES, i, METHODS, j), f"{file.package}.{service.name}.{method.name}"


def comments_of(file: FileDescriptorProto) -> dict[Path, str]:
    return {
        tuple(location.path): location.leading_comments.strip() for location in file.source_code_info.location
    }


def stripped(serialized: bytes) -> FileDescriptorProto:
    """Returns the file without the comments and JSON names that generated code leaves out."""
    file = FileDescriptorProto.FromString(serialized)
    file.ClearField("source_code_info")
    todo = list(file.message_type)
    while todo:
        message = todo.pop()
        todo += message.nested_type
        for field in message.field:
            field.ClearField("json_name")
    return file


class TestTheSet:
    def test_resolves_from_itself_alone(self, pool: DescriptorPool) -> None:
        assert pool.FindServiceByName("codevector.providers.v1.ProviderService")
        assert pool.FindServiceByName("codevector.providers.v1.ModelService")
        assert pool.FindServiceByName("codevector.providers.v1.RoutingService")
        assert pool.FindServiceByName("codevector.kms.v1.KeyManagementService")
        assert pool.FindServiceByName("codevector.kms.v1.KeyAdminService")

    def test_has_the_details_that_errors_carry(self, pool: DescriptorPool) -> None:
        for detail in (
            "ErrorInfo",
            "BadRequest",
            "ResourceInfo",
            "PreconditionFailure",
            "RetryInfo",
            "QuotaFailure",
        ):
            assert pool.FindMessageTypeByName(f"google.rpc.{detail}")

    def test_says_the_same_as_the_generated_code(self, pool: DescriptorPool) -> None:
        for module in MODULES:
            served = pool.FindFileByName(module.DESCRIPTOR.name).serialized_pb
            assert stripped(served) == stripped(module.DESCRIPTOR.serialized_pb), module.__name__


class TestComments:
    def test_every_element_has_one(self, descriptor_set: FileDescriptorSet) -> None:
        bare = [
            name
            for file in our_files(descriptor_set)
            for path, name in elements_of(file)
            if not comments_of(file).get(path)
        ]
        assert bare == []

    def test_of_a_field_begins_with_its_behaviour(self, descriptor_set: FileDescriptorSet) -> None:
        wrong = []
        for file in our_files(descriptor_set):
            comments = comments_of(file)
            for path, name, message in messages_of(file):
                for i, field in enumerate(message.field):
                    behaviours = field.options.Extensions[field_behavior_pb2.field_behavior]
                    expected = " ".join(BEHAVIOUR_WORDS[behaviour] for behaviour in behaviours)
                    if not comments[(*path, FIELDS, i)].startswith(expected):
                        wrong.append(f"{name}.{field.name}")
        assert wrong == []


class TestNames:
    def test_json_names_are_lower_camel_case(self, descriptor_set: FileDescriptorSet) -> None:
        for file in our_files(descriptor_set):
            for _, name, message in messages_of(file):
                for field in message.field:
                    head, *tail = field.name.split("_")
                    assert field.json_name == head + "".join(part.capitalize() for part in tail), name

    def test_numbers_of_configurations_equal_the_kinds(self) -> None:
        kinds = {
            name.removeprefix("PROVIDER_KIND_").lower(): number
            for name, number in provider_pb2.ProviderKind.items()
            if number != 0
        }
        fields = provider_pb2.ProviderConfig.DESCRIPTOR.oneofs_by_name["kind"].fields
        assert {field.name: field.number for field in fields} == kinds

    def test_enums_begin_with_unspecified(self, descriptor_set: FileDescriptorSet) -> None:
        for file in our_files(descriptor_set):
            enums = list(file.enum_type)
            for _, _, message in messages_of(file):
                enums += message.enum_type
            for enum in enums:
                assert enum.value[0].number == 0
                assert enum.value[0].name.endswith("_UNSPECIFIED")
                assert all(one.number < other.number for one, other in pairwise(enum.value)), enum.name


class TestMethods:
    def test_exactly_the_reading_ones_say_so(self, descriptor_set: FileDescriptorSet) -> None:
        for file in our_files(descriptor_set):
            for service in file.service:
                for method in service.method:
                    says_so = method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
                    assert says_so == bool(READ_ONLY_METHOD.match(method.name)), method.name

    def test_each_has_a_request_of_its_own(self, descriptor_set: FileDescriptorSet) -> None:
        for file in our_files(descriptor_set):
            for service in file.service:
                for method in service.method:
                    assert method.input_type == f".{file.package}.{method.name}Request"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        pytest.param(routing_service_pb2.SealedCredential, "grant", id="sealed credential"),
        pytest.param(key_management_service_pb2.UnwrapItem, "grant", id="unwrap item"),
    ],
)
def test_numbers_of_grants_stay_reserved(message: type, field: str) -> None:
    proto = DescriptorProto()
    message.DESCRIPTOR.CopyToProto(proto)  # type: ignore[attr-defined]
    assert list(proto.reserved_name) == [field]
    assert len(proto.reserved_range) == 1


def test_no_field_is_a_float(descriptor_set: FileDescriptorSet) -> None:
    """Prices are decimal strings; nothing else here is measured in fractions."""
    floats = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT}
    for file in our_files(descriptor_set):
        for _, name, message in messages_of(file):
            assert not any(field.type in floats for field in message.field), name
