"""What clients in other languages generate code from: `python -m tools.client_protos FILE`.

The file is a descriptor set: the services that a router calls, the messages they need and the details of
errors, with comments. Validation rules and documentation annotations are left out, and with them the imports
of buf/ and google/api/: the registry validates requests, and generated code needs neither package. Clients
keep no generated code in the repository: each build makes it from here, so it is never out of date.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.message import Message

from tools.generate import PROTOC_FIX, PROTOS, generator_python
from tools.steps import StepFailed, main_of, run

SERVICES = (
    "codevector/providers/v1/routing_service.proto",
    "codevector/kms/v1/key_management_service.proto",
)
ERRORS = ("google/rpc/error_details.proto", "google/rpc/status.proto")

STRIPPED = ("buf/", "google/api/", "codevector/rules/")
"""Folders whose files define options only, no message that is sent."""

OWN = "codevector/"


def descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    """Return the files, each after those it imports."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "all.binpb")
        arguments = [f"--proto_path={PROTOS}", "--include_imports", "--include_source_info"]
        protoc(*arguments, f"--descriptor_set_out={target}", *SERVICES, *ERRORS)
        whole = descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())
    files = {file.name: _stripped(file) for file in whole.file if not file.name.startswith(STRIPPED)}
    needed = {*SERVICES, *ERRORS}
    for file in reversed(files.values()):  # importers first
        if file.name in needed:
            needed.update(file.dependency)
    return descriptor_pb2.FileDescriptorSet(file=[file for file in files.values() if file.name in needed])


def own_files(files: descriptor_pb2.FileDescriptorSet) -> list[str]:
    """Return the names of this project's files: code is generated for them in every language."""
    return [file.name for file in files.file if file.name.startswith(OWN)]


def protoc(*arguments: object) -> None:
    """Run the protoc that gen/ is made with, e.g. on `--descriptor_set_in`.

    Raises:
        StepFailed: it cannot be installed, or rejects protos/.
    """
    run([generator_python(), "-m", "grpc_tools.protoc", *arguments], fix=PROTOC_FIX)


def _stripped(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """Return a copy without foreign options and what only they import."""
    copy = descriptor_pb2.FileDescriptorProto()
    copy.CopyFrom(file)
    if copy.public_dependency or copy.weak_dependency:
        raise StepFailed(
            f"{file.name} has a public or weak import, which tools/client_protos.py does not support."
        )
    del copy.dependency[:]
    copy.dependency.extend(name for name in file.dependency if not name.startswith(STRIPPED))
    _drop_extensions(copy)
    copy.DiscardUnknownFields()
    if copy.name.startswith(OWN):
        copy.options.java_multiple_files = True  # else one class of a file holds all its messages
    return copy


def _drop_extensions(message: Message) -> None:
    """Clear foreign options: extensions where this process imports their definitions, else unknown fields."""
    for field, value in message.ListFields():
        if field.is_extension:
            message.ClearExtension(field)  # type: ignore[arg-type] # the types want a generated one
        elif field.message_type is not None:
            for part in value if field.is_repeated else (value,):
                _drop_extensions(part)


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise StepFailed("name the file to write: python -m tools.client_protos FILE.")
    Path(arguments[0]).write_bytes(descriptor_set().SerializeToString(deterministic=True))


if __name__ == "__main__":
    sys.exit(main_of(lambda: main(sys.argv[1:])))
