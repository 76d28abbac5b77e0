"""No answer of any RPC has a field able to hold a secret, but the one that gives routers their data keys."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

CREDENTIAL_INPUT = "codevector.providers.v1.CredentialInput"
UNWRAPPED = "codevector.kms.v1.UnwrapResult.plaintext"
"""The one exception: KeyManagementService.BatchUnwrapDataKeys, for the router's role only."""


def reachable(root: Descriptor) -> dict[str, Descriptor]:
    """Returns the messages that a message of type `root` can contain, itself among them, by full name."""
    found: dict[str, Descriptor] = {}
    todo = [root]
    while todo:
        message = todo.pop()
        if message.full_name not in found:
            found[message.full_name] = message
            todo += [field.message_type for field in message.fields if field.message_type is not None]
    return found


def secret_fields(root: Descriptor) -> set[str]:
    return {
        field.full_name
        for message in reachable(root).values()
        for field in message.fields
        if field.GetOptions().debug_redact
    }


@pytest.fixture(scope="session")
def answers(descriptor_set: FileDescriptorSet, pool: DescriptorPool) -> dict[str, Descriptor]:
    """The response type of each of our methods, by the method's full name."""
    return {
        method.full_name: method.output_type
        for file in descriptor_set.file
        if file.package.startswith("codevector.")
        for service in file.service
        for method in pool.FindServiceByName(f"{file.package}.{service.name}").methods
    }


@pytest.fixture(scope="session")
def credential_types(pool: DescriptorPool) -> set[str]:
    family = reachable(pool.FindMessageTypeByName(CREDENTIAL_INPUT))
    return {name for name in family if name.startswith("codevector.")}


def test_redacted_fields_are_reached_by_unwrapping_alone(answers: dict[str, Descriptor]) -> None:
    found = {method: secret_fields(answer) for method, answer in answers.items() if secret_fields(answer)}
    assert found == {"codevector.kms.v1.KeyManagementService.BatchUnwrapDataKeys": {UNWRAPPED}}


def test_input_types_are_reached_by_no_answer(
    answers: dict[str, Descriptor], credential_types: set[str]
) -> None:
    assert len(credential_types) == 6
    for method, answer in answers.items():
        assert not credential_types & reachable(answer).keys(), method


def test_no_answer_can_hold_a_message_of_any_type(answers: dict[str, Descriptor]) -> None:
    """Any and Struct would smuggle what the walk cannot see; only the details of an error are Any."""
    for method, answer in answers.items():
        open_types = {"google.protobuf.Any", "google.protobuf.Struct"} & reachable(answer).keys()
        if open_types:
            assert open_types == {"google.protobuf.Any"}, method
            assert holders_of_any(answer) == {"google.rpc.Status"}, method


def holders_of_any(root: Descriptor) -> set[str]:
    return {
        message.full_name
        for message in reachable(root).values()
        for field in message.fields
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.Any"
    }


def test_each_field_that_takes_a_secret_is_redacted(pool: DescriptorPool) -> None:
    """What a credential consists of: every string is secret or one of the public ids that stand here."""
    public = {
        "AwsAccessKeyCredential.access_key_id",
        "AwsAccessKeyCredential.assume_role_arn",
        "AzureClientSecretCredential.tenant_id",
        "AzureClientSecretCredential.client_id",
    }
    family = reachable(pool.FindMessageTypeByName(CREDENTIAL_INPUT))
    shown = {
        field.full_name.removeprefix("codevector.providers.v1.")
        for message in family.values()
        for field in message.fields
        if field.type == FieldDescriptor.TYPE_STRING and not field.GetOptions().debug_redact
    }
    assert shown == public
