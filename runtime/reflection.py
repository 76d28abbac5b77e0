"""Server reflection, v1 and v1alpha, over the descriptor set that keeps its comments.

grpcio-reflection has v1alpha only, cannot describe a method (grpc#34743) and drops comments. Both versions
have the same messages on the wire, so one handler serves both.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb2

Request = pb2.ServerReflectionRequest
Response = pb2.ServerReflectionResponse
VERSIONS = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class DescriptorIndex:
    """Finds the file that defines a name; returns serialised FileDescriptorProtos, that file first."""

    def __init__(self, files: Iterable[descriptor_pb2.FileDescriptorProto]) -> None:
        """Index ``files``; of several with one name the first counts."""
        self._files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
        self._by_symbol: dict[str, str] = {}
        self._extensions: dict[str, dict[int, str]] = {}
        for file in files:
            if self._files.setdefault(file.name, file) is file:
                self._add(file)

    def file_named(self, name: str) -> list[bytes]:
        """Return the file. Raises KeyError for an unknown one."""
        return self._closure(self._files[name].name)

    def file_containing(self, symbol: str) -> list[bytes]:
        """Return the file of a message, field, oneof, enum, enum value, service, method or extension.

        Raises KeyError for an unknown symbol.
        """
        return self._closure(self._by_symbol[symbol])

    def file_extending(self, message: str, number: int) -> list[bytes]:
        """Return the file of an extension. Raises KeyError for an unknown one."""
        return self._closure(self._extensions[message][number])

    def extension_numbers(self, message: str) -> list[int]:
        """Return the numbers of a message's extensions, ascending. Raises KeyError for an unknown message."""
        if message not in self._by_symbol:
            raise KeyError(message)
        return sorted(self._extensions.get(message, {}))

    def _closure(self, name: str) -> list[bytes]:
        order: dict[str, None] = {name: None}
        waiting = [name]
        while waiting:
            for dependency in self._files[waiting.pop()].dependency:
                if dependency in self._files and dependency not in order:
                    order[dependency] = None
                    waiting.append(dependency)
        return [self._files[each].SerializeToString() for each in order]

    def _add(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        scope = f"{file.package}." if file.package else ""
        for message in file.message_type:
            self._add_message(message, scope, file.name)
        for service in file.service:
            self._by_symbol[scope + service.name] = file.name
            for method in service.method:
                self._by_symbol[f"{scope}{service.name}.{method.name}"] = file.name
        self._add_enums(file.enum_type, scope, file.name)
        self._add_extensions(file.extension, scope, file.name)

    def _add_message(self, message: descriptor_pb2.DescriptorProto, scope: str, file: str) -> None:
        self._by_symbol[scope + message.name] = file
        inner = f"{scope}{message.name}."
        members = [field.name for field in message.field] + [oneof.name for oneof in message.oneof_decl]
        for member in members:
            self._by_symbol[inner + member] = file
        for nested in message.nested_type:
            self._add_message(nested, inner, file)
        self._add_enums(message.enum_type, inner, file)
        self._add_extensions(message.extension, inner, file)

    def _add_enums(self, enums: Iterable[descriptor_pb2.EnumDescriptorProto], scope: str, file: str) -> None:
        for enum in enums:
            self._by_symbol[scope + enum.name] = file
            for value in enum.value:  # a value's full name stands beside its enum, as in C++
                self._by_symbol[scope + value.name] = file

    def _add_extensions(
        self, extensions: Iterable[descriptor_pb2.FieldDescriptorProto], scope: str, file: str
    ) -> None:
        for extension in extensions:
            self._by_symbol[scope + extension.name] = file
            self._extensions.setdefault(extension.extendee.removeprefix("."), {})[extension.number] = file


def reflection_files() -> list[descriptor_pb2.FileDescriptorProto]:
    """Return the descriptions of both reflection services; v1's is v1alpha's under the other package."""
    alpha = descriptor_pb2.FileDescriptorProto()
    pb2.DESCRIPTOR.CopyToProto(alpha)
    v1 = descriptor_pb2.FileDescriptorProto()
    v1.CopyFrom(alpha)
    v1.name = "grpc/reflection/v1/reflection.proto"
    v1.package = "grpc.reflection.v1"
    v1.ClearField("options")  # import paths of other languages, v1alpha's
    typed = [field for message in v1.message_type for field in message.field if field.type_name]
    for field in typed:
        field.type_name = field.type_name.replace(".v1alpha.", ".v1.")
    for method in v1.service[0].method:
        method.input_type = method.input_type.replace(".v1alpha.", ".v1.")
        method.output_type = method.output_type.replace(".v1alpha.", ".v1.")
    return [alpha, v1]


def described_files() -> list[descriptor_pb2.FileDescriptorProto]:
    """Return all that our processes serve: contracts with comments and imports, health, reflection."""
    packed = importlib.resources.files("codevector").joinpath("descriptors.binpb").read_bytes()
    health = descriptor_pb2.FileDescriptorProto()
    health_pb2.DESCRIPTOR.CopyToProto(health)
    return [*descriptor_pb2.FileDescriptorSet.FromString(packed).file, health, *reflection_files()]


def handlers(
    index: DescriptorIndex, services: Sequence[str], threads: ThreadPoolExecutor
) -> list[grpc.GenericRpcHandler]:
    """Return handlers of both versions for a synchronous server.

    A stream holds one of ``threads`` for as long as its client likes, so they are not the server's own.
    """

    def stream(requests: Iterator[Request], _: grpc.ServicerContext) -> Iterator[Response]:
        for request in requests:
            yield answer(index, services, request)

    stream.experimental_thread_pool = threads  # type: ignore[attr-defined]
    return _registered(stream)


def aio_handlers(index: DescriptorIndex, services: Sequence[str]) -> list[grpc.GenericRpcHandler]:
    """Return handlers of both versions for an asyncio server."""

    async def stream(
        requests: AsyncIterator[Request], _: grpc.aio.ServicerContext[Request, Response]
    ) -> AsyncIterator[Response]:
        async for request in requests:
            yield answer(index, services, request)

    return _registered(stream)


def _registered(stream: Any) -> list[grpc.GenericRpcHandler]:
    handler = grpc.stream_stream_rpc_method_handler(
        stream,
        request_deserializer=pb2.ServerReflectionRequest.FromString,
        response_serializer=pb2.ServerReflectionResponse.SerializeToString,
    )
    return [
        grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler}) for name in VERSIONS
    ]


def answer(
    index: DescriptorIndex, services: Sequence[str], request: pb2.ServerReflectionRequest
) -> pb2.ServerReflectionResponse:
    """Return the response to one request. What is unknown is NOT_FOUND inside it, as the protocol says."""
    response = pb2.ServerReflectionResponse(valid_host=request.host, original_request=request)
    try:
        match request.WhichOneof("message_request"):
            case "file_by_filename":
                _fill(response, index.file_named(request.file_by_filename))
            case "file_containing_symbol":
                _fill(response, index.file_containing(request.file_containing_symbol))
            case "file_containing_extension":
                wanted = request.file_containing_extension
                _fill(response, index.file_extending(wanted.containing_type, wanted.extension_number))
            case "all_extension_numbers_of_type":
                name = request.all_extension_numbers_of_type
                numbers = response.all_extension_numbers_response
                numbers.base_type_name = name
                numbers.extension_number.extend(index.extension_numbers(name))
            case "list_services":
                listed = response.list_services_response
                listed.service.extend(pb2.ServiceResponse(name=name) for name in services)
            case _:
                _fail(response, grpc.StatusCode.INVALID_ARGUMENT, "the request is empty")
    except KeyError:
        _fail(response, grpc.StatusCode.NOT_FOUND, "not served here")
    return response


def _fill(response: pb2.ServerReflectionResponse, files: list[bytes]) -> None:
    response.file_descriptor_response.file_descriptor_proto.extend(files)


def _fail(response: pb2.ServerReflectionResponse, code: grpc.StatusCode, message: str) -> None:
    response.error_response.error_code = code.value[0]
    response.error_response.error_message = message
