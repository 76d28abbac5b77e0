"""The descriptor set that ships with the generated code, as the fixture of all tests of the contracts."""

from __future__ import annotations

from importlib import resources

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool


@pytest.fixture(scope="session")
def descriptor_set() -> FileDescriptorSet:
    return FileDescriptorSet.FromString(
        resources.files("codevector").joinpath("descriptors.binpb").read_bytes()
    )


@pytest.fixture(scope="session")
def pool(descriptor_set: FileDescriptorSet) -> DescriptorPool:
    """All files of the set, resolved from the set alone: a missing import fails here."""
    pool = DescriptorPool()
    for file in descriptor_set.file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool
