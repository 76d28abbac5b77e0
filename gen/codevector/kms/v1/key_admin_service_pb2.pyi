import datetime

from buf.validate import validate_pb2 as _validate_pb2
from codevector.kms.v1 import key_management_service_pb2 as _key_management_service_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListKeyVersionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListKeyVersionsResponse(_message.Message):
    __slots__ = ("key_versions", "next_page_token")
    KEY_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    key_versions: _containers.RepeatedCompositeFieldContainer[_key_management_service_pb2.KeyVersion]
    next_page_token: str
    def __init__(self, key_versions: _Optional[_Iterable[_Union[_key_management_service_pb2.KeyVersion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateKeyVersionRequest(_message.Message):
    __slots__ = ("request_id", "expected_latest")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_LATEST_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    expected_latest: str
    def __init__(self, request_id: _Optional[str] = ..., expected_latest: _Optional[str] = ...) -> None: ...

class ActivateKeyVersionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DisableKeyVersionRequest(_message.Message):
    __slots__ = ("name", "confirmed_unreferenced")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_UNREFERENCED_FIELD_NUMBER: _ClassVar[int]
    name: str
    confirmed_unreferenced: bool
    def __init__(self, name: _Optional[str] = ..., confirmed_unreferenced: bool = ...) -> None: ...

class EnableKeyVersionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ScheduleKeyVersionDestructionRequest(_message.Message):
    __slots__ = ("name", "delay")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    name: str
    delay: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CancelKeyVersionDestructionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...
