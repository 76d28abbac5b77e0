"""What callers read when they break a rule of the protos: every rule of every message is broken here."""

from __future__ import annotations

import re
from collections.abc import Iterator

import protovalidate
import pytest
from codevector.kms.v1 import key_admin_service_pb2, key_management_service_pb2
from codevector.providers.v1 import (
    model_service_pb2,
    provider_service_pb2,
    routing_service_pb2,
    system_service_pb2,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import Default
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from runtime.requests import broken_rule
from runtime.statuses import Violation

MODULES = (
    key_admin_service_pb2,
    key_management_service_pb2,
    model_service_pb2,
    provider_service_pb2,
    routing_service_pb2,
    system_service_pb2,
)
"""They know every message of ours."""
TEXTS = ("", "\n", "a b", "é", "x" * 100_000, "-", "ftp:/", "1", "%")
REGEX = re.compile(r"[\^$\\|{}\[\]]|\.\*|[+?]\)|\(\?")
PROGRAMMERS = re.compile(
    r"\bregex|\bpattern|\bprotobuf|\bdescriptor|google\.|codevector\.|buf\."
    r"|item\(s\)|\bis no\b|[0-9]s\b|\ba path\b|enum"
)


def messages(descriptor_set: FileDescriptorSet) -> Iterator[Descriptor]:
    assert {module.DESCRIPTOR.name for module in MODULES} <= {file.name for file in descriptor_set.file}
    for file in descriptor_set.file:
        if file.package.startswith("codevector."):
            yield from Default().FindFileByName(file.name).message_types_by_name.values()


def map_entry(field: FieldDescriptor) -> Descriptor | None:
    """Return the entries' message of a map, None for any other field."""
    message = field.message_type
    return message if message is not None and message.GetOptions().map_entry else None


def has_rules(field: FieldDescriptor) -> bool:
    return any(option.full_name == "buf.validate.field" for option, _ in field.GetOptions().ListFields())


def wrong_values(field: FieldDescriptor) -> tuple[object, ...]:
    """Values that are wrong for some rule of their type."""
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return TEXTS
        case FieldDescriptor.TYPE_BYTES:
            return (b"", b"1", b"1" * 100_000)
        case FieldDescriptor.TYPE_INT32 | FieldDescriptor.TYPE_INT64:
            return (0, -1, 2**31 - 1)
        case FieldDescriptor.TYPE_ENUM:
            return (0, 99)
    if field.message_type is None:
        return ()
    if field.message_type.full_name == Duration.DESCRIPTOR.full_name:
        return (Duration(seconds=-1), Duration(seconds=10**9), Duration())
    return (GetMessageClass(field.message_type)(),)


def wrong_messages(descriptor: Descriptor) -> Iterator[Message]:
    """The empty message, and one for each wrong value of each field."""
    make = GetMessageClass(descriptor)
    yield make()
    for field in descriptor.fields:
        entry = map_entry(field)
        if entry is not None:
            yield make(**{field.name: {f"k{number}": "v" for number in range(100)}})
            for key in wrong_values(entry.fields_by_name["key"]):
                for value in wrong_values(entry.fields_by_name["value"]):
                    yield make(**{field.name: {key: value}})
        elif field.is_repeated:
            values = list(wrong_values(field))
            for value in values:
                yield make(**{field.name: [value] * 2})
            yield make(**{field.name: values[:1] * 2000})
        else:
            for value in wrong_values(field):
                yield make(**{field.name: value})


def broken_rules(descriptor: Descriptor) -> set[Violation]:
    return {
        broken_rule(each)
        for message in wrong_messages(descriptor)
        for each in protovalidate.collect_violations(message)
    }


@pytest.fixture(scope="module")
def found(descriptor_set: FileDescriptorSet) -> dict[str, set[Violation]]:
    """Every violation that can be had, by message."""
    return {each.full_name: broken_rules(each) for each in messages(descriptor_set)}


def test_every_field_with_rules_can_be_broken(
    descriptor_set: FileDescriptorSet, found: dict[str, set[Violation]]
) -> None:
    for descriptor in messages(descriptor_set):
        subjects = {each.subject.partition("[")[0] for each in found[descriptor.full_name]}
        ruled = {field.name for field in descriptor.fields if has_rules(field)}
        assert ruled <= subjects, descriptor.full_name


def test_messages_are_for_people(found: dict[str, set[Violation]]) -> None:
    for name, broken in found.items():
        for each in broken:
            text = each.description
            assert not REGEX.search(text), (name, text)
            assert not PROGRAMMERS.search(text), (name, text)
            assert re.match(r"is |must |has a (key|value) that must ", text), (name, text)
            assert each.subject, (name, text)


def test_a_missing_required_field_is_required(descriptor_set: FileDescriptorSet) -> None:
    for descriptor in messages(descriptor_set):
        for each in map(broken_rule, protovalidate.collect_violations(GetMessageClass(descriptor)())):
            assert each.description.startswith("is required"), (descriptor.full_name, str(each))
