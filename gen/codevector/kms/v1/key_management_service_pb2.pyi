import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "backend", "primary_key_version", "accepted_key_versions", "wrap_healthy", "unwrap_healthy", "message", "server_time", "deployment_id", "keyring_seq", "audit_seq", "audit_head", "audit_public_key")
    class Backend(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        BACKEND_UNSPECIFIED: _ClassVar[GetStatusResponse.Backend]
        BACKEND_LOCAL_KEYRING: _ClassVar[GetStatusResponse.Backend]
        BACKEND_VAULT_TRANSIT: _ClassVar[GetStatusResponse.Backend]
    BACKEND_UNSPECIFIED: GetStatusResponse.Backend
    BACKEND_LOCAL_KEYRING: GetStatusResponse.Backend
    BACKEND_VAULT_TRANSIT: GetStatusResponse.Backend
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_KEY_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    WRAP_HEALTHY_FIELD_NUMBER: _ClassVar[int]
    UNWRAP_HEALTHY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEYRING_SEQ_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SEQ_FIELD_NUMBER: _ClassVar[int]
    AUDIT_HEAD_FIELD_NUMBER: _ClassVar[int]
    AUDIT_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    version: str
    backend: GetStatusResponse.Backend
    primary_key_version: str
    accepted_key_versions: _containers.RepeatedScalarFieldContainer[str]
    wrap_healthy: bool
    unwrap_healthy: bool
    message: str
    server_time: _timestamp_pb2.Timestamp
    deployment_id: str
    keyring_seq: int
    audit_seq: int
    audit_head: bytes
    audit_public_key: bytes
    def __init__(self, version: _Optional[str] = ..., backend: _Optional[_Union[GetStatusResponse.Backend, str]] = ..., primary_key_version: _Optional[str] = ..., accepted_key_versions: _Optional[_Iterable[str]] = ..., wrap_healthy: bool = ..., unwrap_healthy: bool = ..., message: _Optional[str] = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deployment_id: _Optional[str] = ..., keyring_seq: _Optional[int] = ..., audit_seq: _Optional[int] = ..., audit_head: _Optional[bytes] = ..., audit_public_key: _Optional[bytes] = ...) -> None: ...

class WrapItem(_message.Message):
    __slots__ = ("context", "plaintext")
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    PLAINTEXT_FIELD_NUMBER: _ClassVar[int]
    context: bytes
    plaintext: bytes
    def __init__(self, context: _Optional[bytes] = ..., plaintext: _Optional[bytes] = ...) -> None: ...

class WrappedDataKey(_message.Message):
    __slots__ = ("wrapped_data_key", "key_version", "commitment", "context")
    WRAPPED_DATA_KEY_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    wrapped_data_key: bytes
    key_version: str
    commitment: bytes
    context: bytes
    def __init__(self, wrapped_data_key: _Optional[bytes] = ..., key_version: _Optional[str] = ..., commitment: _Optional[bytes] = ..., context: _Optional[bytes] = ...) -> None: ...

class BatchWrapDataKeysRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[WrapItem]
    def __init__(self, items: _Optional[_Iterable[_Union[WrapItem, _Mapping]]] = ...) -> None: ...

class BatchWrapDataKeysResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[WrapResult]
    def __init__(self, results: _Optional[_Iterable[_Union[WrapResult, _Mapping]]] = ...) -> None: ...

class WrapResult(_message.Message):
    __slots__ = ("wrapped", "error")
    WRAPPED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    wrapped: WrappedDataKey
    error: _status_pb2.Status
    def __init__(self, wrapped: _Optional[_Union[WrappedDataKey, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class BatchUnwrapDataKeysRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[UnwrapItem]
    def __init__(self, items: _Optional[_Iterable[_Union[UnwrapItem, _Mapping]]] = ...) -> None: ...

class UnwrapItem(_message.Message):
    __slots__ = ("wrapped",)
    WRAPPED_FIELD_NUMBER: _ClassVar[int]
    wrapped: WrappedDataKey
    def __init__(self, wrapped: _Optional[_Union[WrappedDataKey, _Mapping]] = ...) -> None: ...

class BatchUnwrapDataKeysResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[UnwrapResult]
    def __init__(self, results: _Optional[_Iterable[_Union[UnwrapResult, _Mapping]]] = ...) -> None: ...

class UnwrapResult(_message.Message):
    __slots__ = ("plaintext", "error")
    PLAINTEXT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    plaintext: bytes
    error: _status_pb2.Status
    def __init__(self, plaintext: _Optional[bytes] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class BatchRewrapDataKeysRequest(_message.Message):
    __slots__ = ("items", "target_key_version")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TARGET_KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[WrappedDataKey]
    target_key_version: str
    def __init__(self, items: _Optional[_Iterable[_Union[WrappedDataKey, _Mapping]]] = ..., target_key_version: _Optional[str] = ...) -> None: ...

class BatchRewrapDataKeysResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[WrapResult]
    def __init__(self, results: _Optional[_Iterable[_Union[WrapResult, _Mapping]]] = ...) -> None: ...

class BatchVerifyDataKeysRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[WrappedDataKey]
    def __init__(self, items: _Optional[_Iterable[_Union[WrappedDataKey, _Mapping]]] = ...) -> None: ...

class BatchVerifyDataKeysResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_status_pb2.Status]
    def __init__(self, results: _Optional[_Iterable[_Union[_status_pb2.Status, _Mapping]]] = ...) -> None: ...

class KeyVersion(_message.Message):
    __slots__ = ("name", "state", "algorithm", "create_time", "destroy_time")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[KeyVersion.State]
        STATE_PENDING: _ClassVar[KeyVersion.State]
        STATE_PRIMARY: _ClassVar[KeyVersion.State]
        STATE_DECRYPT_ONLY: _ClassVar[KeyVersion.State]
        STATE_DISABLED: _ClassVar[KeyVersion.State]
        STATE_DESTROY_SCHEDULED: _ClassVar[KeyVersion.State]
        STATE_DESTROYED: _ClassVar[KeyVersion.State]
    STATE_UNSPECIFIED: KeyVersion.State
    STATE_PENDING: KeyVersion.State
    STATE_PRIMARY: KeyVersion.State
    STATE_DECRYPT_ONLY: KeyVersion.State
    STATE_DISABLED: KeyVersion.State
    STATE_DESTROY_SCHEDULED: KeyVersion.State
    STATE_DESTROYED: KeyVersion.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    DESTROY_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: KeyVersion.State
    algorithm: str
    create_time: _timestamp_pb2.Timestamp
    destroy_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[KeyVersion.State, str]] = ..., algorithm: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., destroy_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
