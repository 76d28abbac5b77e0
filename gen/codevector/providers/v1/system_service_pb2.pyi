import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetSystemInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSystemInfoResponse(_message.Message):
    __slots__ = ("version", "build", "store_id", "revision", "compact_revision", "storage", "history_break_count", "last_history_break", "open_file_limit", "connection_limit", "unreadable_rows")
    class Storage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STORAGE_UNSPECIFIED: _ClassVar[GetSystemInfoResponse.Storage]
        STORAGE_SQLITE: _ClassVar[GetSystemInfoResponse.Storage]
        STORAGE_POSTGRESQL: _ClassVar[GetSystemInfoResponse.Storage]
    STORAGE_UNSPECIFIED: GetSystemInfoResponse.Storage
    STORAGE_SQLITE: GetSystemInfoResponse.Storage
    STORAGE_POSTGRESQL: GetSystemInfoResponse.Storage
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMPACT_REVISION_FIELD_NUMBER: _ClassVar[int]
    STORAGE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_BREAK_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_HISTORY_BREAK_FIELD_NUMBER: _ClassVar[int]
    OPEN_FILE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_LIMIT_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_ROWS_FIELD_NUMBER: _ClassVar[int]
    version: str
    build: str
    store_id: str
    revision: int
    compact_revision: int
    storage: GetSystemInfoResponse.Storage
    history_break_count: int
    last_history_break: HistoryBreak
    open_file_limit: int
    connection_limit: int
    unreadable_rows: _containers.RepeatedCompositeFieldContainer[UnreadableRows]
    def __init__(self, version: _Optional[str] = ..., build: _Optional[str] = ..., store_id: _Optional[str] = ..., revision: _Optional[int] = ..., compact_revision: _Optional[int] = ..., storage: _Optional[_Union[GetSystemInfoResponse.Storage, str]] = ..., history_break_count: _Optional[int] = ..., last_history_break: _Optional[_Union[HistoryBreak, _Mapping]] = ..., open_file_limit: _Optional[int] = ..., connection_limit: _Optional[int] = ..., unreadable_rows: _Optional[_Iterable[_Union[UnreadableRows, _Mapping]]] = ...) -> None: ...

class UnreadableRows(_message.Message):
    __slots__ = ("table", "columns")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    table: str
    columns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, table: _Optional[str] = ..., columns: _Optional[_Iterable[str]] = ...) -> None: ...

class HistoryBreak(_message.Message):
    __slots__ = ("notice_time", "lost_revision", "lost_token", "revision", "token")
    NOTICE_TIME_FIELD_NUMBER: _ClassVar[int]
    LOST_REVISION_FIELD_NUMBER: _ClassVar[int]
    LOST_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    notice_time: _timestamp_pb2.Timestamp
    lost_revision: int
    lost_token: str
    revision: int
    token: str
    def __init__(self, notice_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lost_revision: _Optional[int] = ..., lost_token: _Optional[str] = ..., revision: _Optional[int] = ..., token: _Optional[str] = ...) -> None: ...

class GetEncryptionStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetEncryptionStatusResponse(_message.Message):
    __slots__ = ("primary_key_version", "usage", "data_key_count", "stale_data_key_count", "kms_healthy", "kms_message", "quarantined_count", "sweep_state", "quarantined", "kms_primary_key_version", "keyring_seq", "audit_seq", "audit_head", "notice_time", "deployment_id", "audit_public_key")
    class SweepState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SWEEP_STATE_UNSPECIFIED: _ClassVar[GetEncryptionStatusResponse.SweepState]
        SWEEP_STATE_DONE: _ClassVar[GetEncryptionStatusResponse.SweepState]
        SWEEP_STATE_RUNNING: _ClassVar[GetEncryptionStatusResponse.SweepState]
        SWEEP_STATE_WAITING: _ClassVar[GetEncryptionStatusResponse.SweepState]
        SWEEP_STATE_BLOCKED: _ClassVar[GetEncryptionStatusResponse.SweepState]
    SWEEP_STATE_UNSPECIFIED: GetEncryptionStatusResponse.SweepState
    SWEEP_STATE_DONE: GetEncryptionStatusResponse.SweepState
    SWEEP_STATE_RUNNING: GetEncryptionStatusResponse.SweepState
    SWEEP_STATE_WAITING: GetEncryptionStatusResponse.SweepState
    SWEEP_STATE_BLOCKED: GetEncryptionStatusResponse.SweepState
    PRIMARY_KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_KEY_COUNT_FIELD_NUMBER: _ClassVar[int]
    STALE_DATA_KEY_COUNT_FIELD_NUMBER: _ClassVar[int]
    KMS_HEALTHY_FIELD_NUMBER: _ClassVar[int]
    KMS_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SWEEP_STATE_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    KMS_PRIMARY_KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    KEYRING_SEQ_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SEQ_FIELD_NUMBER: _ClassVar[int]
    AUDIT_HEAD_FIELD_NUMBER: _ClassVar[int]
    NOTICE_TIME_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    AUDIT_PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    primary_key_version: str
    usage: _containers.RepeatedCompositeFieldContainer[KeyVersionUsage]
    data_key_count: int
    stale_data_key_count: int
    kms_healthy: bool
    kms_message: str
    quarantined_count: int
    sweep_state: GetEncryptionStatusResponse.SweepState
    quarantined: _containers.RepeatedCompositeFieldContainer[RewrapFailure]
    kms_primary_key_version: str
    keyring_seq: int
    audit_seq: int
    audit_head: bytes
    notice_time: _timestamp_pb2.Timestamp
    deployment_id: str
    audit_public_key: bytes
    def __init__(self, primary_key_version: _Optional[str] = ..., usage: _Optional[_Iterable[_Union[KeyVersionUsage, _Mapping]]] = ..., data_key_count: _Optional[int] = ..., stale_data_key_count: _Optional[int] = ..., kms_healthy: bool = ..., kms_message: _Optional[str] = ..., quarantined_count: _Optional[int] = ..., sweep_state: _Optional[_Union[GetEncryptionStatusResponse.SweepState, str]] = ..., quarantined: _Optional[_Iterable[_Union[RewrapFailure, _Mapping]]] = ..., kms_primary_key_version: _Optional[str] = ..., keyring_seq: _Optional[int] = ..., audit_seq: _Optional[int] = ..., audit_head: _Optional[bytes] = ..., notice_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deployment_id: _Optional[str] = ..., audit_public_key: _Optional[bytes] = ...) -> None: ...

class KeyVersionUsage(_message.Message):
    __slots__ = ("key_version", "data_key_count")
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    DATA_KEY_COUNT_FIELD_NUMBER: _ClassVar[int]
    key_version: str
    data_key_count: int
    def __init__(self, key_version: _Optional[str] = ..., data_key_count: _Optional[int] = ...) -> None: ...

class RewrapDataKeysRequest(_message.Message):
    __slots__ = ("batch_size", "validate_only", "release_quarantined")
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    RELEASE_QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    batch_size: int
    validate_only: bool
    release_quarantined: bool
    def __init__(self, batch_size: _Optional[int] = ..., validate_only: bool = ..., release_quarantined: bool = ...) -> None: ...

class RewrapDataKeysResponse(_message.Message):
    __slots__ = ("rewrapped_count", "remaining_count", "primary_key_version", "failures", "quarantined_count")
    REWRAPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REMAINING_COUNT_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_COUNT_FIELD_NUMBER: _ClassVar[int]
    rewrapped_count: int
    remaining_count: int
    primary_key_version: str
    failures: _containers.RepeatedCompositeFieldContainer[RewrapFailure]
    quarantined_count: int
    def __init__(self, rewrapped_count: _Optional[int] = ..., remaining_count: _Optional[int] = ..., primary_key_version: _Optional[str] = ..., failures: _Optional[_Iterable[_Union[RewrapFailure, _Mapping]]] = ..., quarantined_count: _Optional[int] = ...) -> None: ...

class RewrapFailure(_message.Message):
    __slots__ = ("resource", "reason", "failed_count", "key_version")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    resource: str
    reason: str
    failed_count: int
    key_version: str
    def __init__(self, resource: _Optional[str] = ..., reason: _Optional[str] = ..., failed_count: _Optional[int] = ..., key_version: _Optional[str] = ...) -> None: ...

class VerifyDataKeysRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class VerifyDataKeysResponse(_message.Message):
    __slots__ = ("verified_count", "failed_count", "usage", "failures", "next_page_token")
    VERIFIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    verified_count: int
    failed_count: int
    usage: _containers.RepeatedCompositeFieldContainer[KeyVersionUsage]
    failures: _containers.RepeatedCompositeFieldContainer[VerifyFailure]
    next_page_token: str
    def __init__(self, verified_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., usage: _Optional[_Iterable[_Union[KeyVersionUsage, _Mapping]]] = ..., failures: _Optional[_Iterable[_Union[VerifyFailure, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class VerifyFailure(_message.Message):
    __slots__ = ("resource", "reason", "key_version")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    resource: str
    reason: str
    key_version: str
    def __init__(self, resource: _Optional[str] = ..., reason: _Optional[str] = ..., key_version: _Optional[str] = ...) -> None: ...

class DigestProvidersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DigestProvidersResponse(_message.Message):
    __slots__ = ("sha256", "provider_count", "credential_count", "provider_model_count", "revision", "store_id")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    provider_count: int
    credential_count: int
    provider_model_count: int
    revision: int
    store_id: str
    def __init__(self, sha256: _Optional[bytes] = ..., provider_count: _Optional[int] = ..., credential_count: _Optional[int] = ..., provider_model_count: _Optional[int] = ..., revision: _Optional[int] = ..., store_id: _Optional[str] = ...) -> None: ...

class Router(_message.Message):
    __slots__ = ("watcher_id", "applied_revision", "apply_time", "watching", "seen_time", "forget_time", "peer", "session_id", "replicas")
    WATCHER_ID_FIELD_NUMBER: _ClassVar[int]
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    APPLY_TIME_FIELD_NUMBER: _ClassVar[int]
    WATCHING_FIELD_NUMBER: _ClassVar[int]
    SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    FORGET_TIME_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    watcher_id: str
    applied_revision: int
    apply_time: _timestamp_pb2.Timestamp
    watching: bool
    seen_time: _timestamp_pb2.Timestamp
    forget_time: _timestamp_pb2.Timestamp
    peer: str
    session_id: str
    replicas: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, watcher_id: _Optional[str] = ..., applied_revision: _Optional[int] = ..., apply_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., watching: bool = ..., seen_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., forget_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., peer: _Optional[str] = ..., session_id: _Optional[str] = ..., replicas: _Optional[_Iterable[str]] = ...) -> None: ...

class ListRoutersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListRoutersResponse(_message.Message):
    __slots__ = ("routers", "next_page_token", "total_size", "revision", "min_applied_revision", "view_time", "silent_replicas")
    ROUTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MIN_APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    VIEW_TIME_FIELD_NUMBER: _ClassVar[int]
    SILENT_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    routers: _containers.RepeatedCompositeFieldContainer[Router]
    next_page_token: str
    total_size: int
    revision: int
    min_applied_revision: int
    view_time: _timestamp_pb2.Timestamp
    silent_replicas: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, routers: _Optional[_Iterable[_Union[Router, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ..., revision: _Optional[int] = ..., min_applied_revision: _Optional[int] = ..., view_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., silent_replicas: _Optional[_Iterable[str]] = ...) -> None: ...

class AwaitAppliedRevisionRequest(_message.Message):
    __slots__ = ("revision", "timeout", "token")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    revision: int
    timeout: _duration_pb2.Duration
    token: str
    def __init__(self, revision: _Optional[int] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., token: _Optional[str] = ...) -> None: ...

class AwaitAppliedRevisionResponse(_message.Message):
    __slots__ = ("reached", "revision", "router_count", "applied_count", "lagging", "silent_replicas")
    REACHED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ROUTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    APPLIED_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAGGING_FIELD_NUMBER: _ClassVar[int]
    SILENT_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    reached: bool
    revision: int
    router_count: int
    applied_count: int
    lagging: _containers.RepeatedCompositeFieldContainer[Router]
    silent_replicas: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, reached: bool = ..., revision: _Optional[int] = ..., router_count: _Optional[int] = ..., applied_count: _Optional[int] = ..., lagging: _Optional[_Iterable[_Union[Router, _Mapping]]] = ..., silent_replicas: _Optional[_Iterable[str]] = ...) -> None: ...
