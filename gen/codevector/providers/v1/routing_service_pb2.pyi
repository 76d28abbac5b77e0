import datetime

from buf.validate import validate_pb2 as _validate_pb2
from codevector.providers.v1 import model_pb2 as _model_pb2
from codevector.providers.v1 import provider_pb2 as _provider_pb2
from codevector.providers.v1 import provider_model_pb2 as _provider_model_pb2
from codevector.rules.v1 import rules_pb2 as _rules_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RoutingProvider(_message.Message):
    __slots__ = ("name", "uid", "kind", "display_name", "config", "credential_type", "credential_version", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_TYPE_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_VERSION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: str
    kind: _provider_pb2.ProviderKind
    display_name: str
    config: _provider_pb2.ProviderConfig
    credential_type: _provider_pb2.CredentialType
    credential_version: int
    labels: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[str] = ..., kind: _Optional[_Union[_provider_pb2.ProviderKind, str]] = ..., display_name: _Optional[str] = ..., config: _Optional[_Union[_provider_pb2.ProviderConfig, _Mapping]] = ..., credential_type: _Optional[_Union[_provider_pb2.CredentialType, str]] = ..., credential_version: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ActiveProviderModel(_message.Message):
    __slots__ = ("name", "provider", "provider_kind", "upstream_model_id", "kind", "context_window", "max_output_tokens", "embedding_dimensions", "pricing", "capabilities", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_KIND_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    PRICING_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    provider: str
    provider_kind: _provider_pb2.ProviderKind
    upstream_model_id: str
    kind: _provider_model_pb2.ModelKind
    context_window: int
    max_output_tokens: int
    embedding_dimensions: int
    pricing: _provider_model_pb2.Pricing
    capabilities: _containers.RepeatedScalarFieldContainer[_provider_model_pb2.ModelCapability]
    labels: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., provider: _Optional[str] = ..., provider_kind: _Optional[_Union[_provider_pb2.ProviderKind, str]] = ..., upstream_model_id: _Optional[str] = ..., kind: _Optional[_Union[_provider_model_pb2.ModelKind, str]] = ..., context_window: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., embedding_dimensions: _Optional[int] = ..., pricing: _Optional[_Union[_provider_model_pb2.Pricing, _Mapping]] = ..., capabilities: _Optional[_Iterable[_Union[_provider_model_pb2.ModelCapability, str]]] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ActiveModel(_message.Message):
    __slots__ = ("name", "kind", "backends", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BACKENDS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: _provider_model_pb2.ModelKind
    backends: _containers.RepeatedCompositeFieldContainer[_model_pb2.ModelBackend]
    labels: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[_provider_model_pb2.ModelKind, str]] = ..., backends: _Optional[_Iterable[_Union[_model_pb2.ModelBackend, _Mapping]]] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ListActiveProviderModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListActiveProviderModelsResponse(_message.Message):
    __slots__ = ("active_provider_models", "next_page_token", "revision", "store_id", "token")
    ACTIVE_PROVIDER_MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    active_provider_models: _containers.RepeatedCompositeFieldContainer[ActiveProviderModel]
    next_page_token: str
    revision: int
    store_id: str
    token: str
    def __init__(self, active_provider_models: _Optional[_Iterable[_Union[ActiveProviderModel, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., revision: _Optional[int] = ..., store_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class GetRoutingSnapshotRequest(_message.Message):
    __slots__ = ("if_revision_not", "store_id", "if_token_not")
    IF_REVISION_NOT_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    IF_TOKEN_NOT_FIELD_NUMBER: _ClassVar[int]
    if_revision_not: int
    store_id: str
    if_token_not: str
    def __init__(self, if_revision_not: _Optional[int] = ..., store_id: _Optional[str] = ..., if_token_not: _Optional[str] = ...) -> None: ...

class GetRoutingSnapshotResponse(_message.Message):
    __slots__ = ("snapshot", "not_modified")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    NOT_MODIFIED_FIELD_NUMBER: _ClassVar[int]
    snapshot: RoutingSnapshot
    not_modified: bool
    def __init__(self, snapshot: _Optional[_Union[RoutingSnapshot, _Mapping]] = ..., not_modified: bool = ...) -> None: ...

class RoutingSnapshot(_message.Message):
    __slots__ = ("revision", "store_id", "providers", "provider_models", "models", "token")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODELS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    revision: int
    store_id: str
    providers: _containers.RepeatedCompositeFieldContainer[RoutingProvider]
    provider_models: _containers.RepeatedCompositeFieldContainer[ActiveProviderModel]
    models: _containers.RepeatedCompositeFieldContainer[ActiveModel]
    token: str
    def __init__(self, revision: _Optional[int] = ..., store_id: _Optional[str] = ..., providers: _Optional[_Iterable[_Union[RoutingProvider, _Mapping]]] = ..., provider_models: _Optional[_Iterable[_Union[ActiveProviderModel, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[ActiveModel, _Mapping]]] = ..., token: _Optional[str] = ...) -> None: ...

class WatchRoutingRequest(_message.Message):
    __slots__ = ("resume_revision", "store_id", "bookmark_interval", "strict_resume", "watcher_id", "resume_token", "session")
    RESUME_REVISION_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    BOOKMARK_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    STRICT_RESUME_FIELD_NUMBER: _ClassVar[int]
    WATCHER_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    resume_revision: int
    store_id: str
    bookmark_interval: _duration_pb2.Duration
    strict_resume: bool
    watcher_id: str
    resume_token: str
    session: bytes
    def __init__(self, resume_revision: _Optional[int] = ..., store_id: _Optional[str] = ..., bookmark_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., strict_resume: bool = ..., watcher_id: _Optional[str] = ..., resume_token: _Optional[str] = ..., session: _Optional[bytes] = ...) -> None: ...

class WatchRoutingResponse(_message.Message):
    __slots__ = ("store_id", "revision", "snapshot_chunk", "change_set", "bookmark", "token")
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    CHANGE_SET_FIELD_NUMBER: _ClassVar[int]
    BOOKMARK_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    store_id: str
    revision: int
    snapshot_chunk: SnapshotChunk
    change_set: ChangeSet
    bookmark: Bookmark
    token: str
    def __init__(self, store_id: _Optional[str] = ..., revision: _Optional[int] = ..., snapshot_chunk: _Optional[_Union[SnapshotChunk, _Mapping]] = ..., change_set: _Optional[_Union[ChangeSet, _Mapping]] = ..., bookmark: _Optional[_Union[Bookmark, _Mapping]] = ..., token: _Optional[str] = ...) -> None: ...

class SnapshotChunk(_message.Message):
    __slots__ = ("first", "last", "providers", "provider_models", "models", "reason")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[SnapshotChunk.Reason]
        REASON_INITIAL: _ClassVar[SnapshotChunk.Reason]
        REASON_COMPACTED: _ClassVar[SnapshotChunk.Reason]
        REASON_STORE_CHANGED: _ClassVar[SnapshotChunk.Reason]
        REASON_SLOW_CONSUMER: _ClassVar[SnapshotChunk.Reason]
        REASON_REVISION_AHEAD: _ClassVar[SnapshotChunk.Reason]
    REASON_UNSPECIFIED: SnapshotChunk.Reason
    REASON_INITIAL: SnapshotChunk.Reason
    REASON_COMPACTED: SnapshotChunk.Reason
    REASON_STORE_CHANGED: SnapshotChunk.Reason
    REASON_SLOW_CONSUMER: SnapshotChunk.Reason
    REASON_REVISION_AHEAD: SnapshotChunk.Reason
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODELS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    first: bool
    last: bool
    providers: _containers.RepeatedCompositeFieldContainer[RoutingProvider]
    provider_models: _containers.RepeatedCompositeFieldContainer[ActiveProviderModel]
    models: _containers.RepeatedCompositeFieldContainer[ActiveModel]
    reason: SnapshotChunk.Reason
    def __init__(self, first: bool = ..., last: bool = ..., providers: _Optional[_Iterable[_Union[RoutingProvider, _Mapping]]] = ..., provider_models: _Optional[_Iterable[_Union[ActiveProviderModel, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[ActiveModel, _Mapping]]] = ..., reason: _Optional[_Union[SnapshotChunk.Reason, str]] = ...) -> None: ...

class ChangeSet(_message.Message):
    __slots__ = ("changes", "commit_time")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    COMMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[RoutingChange]
    commit_time: _timestamp_pb2.Timestamp
    def __init__(self, changes: _Optional[_Iterable[_Union[RoutingChange, _Mapping]]] = ..., commit_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RoutingChange(_message.Message):
    __slots__ = ("provider", "provider_model", "model", "removed")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    provider: RoutingProvider
    provider_model: ActiveProviderModel
    model: ActiveModel
    removed: str
    def __init__(self, provider: _Optional[_Union[RoutingProvider, _Mapping]] = ..., provider_model: _Optional[_Union[ActiveProviderModel, _Mapping]] = ..., model: _Optional[_Union[ActiveModel, _Mapping]] = ..., removed: _Optional[str] = ...) -> None: ...

class Bookmark(_message.Message):
    __slots__ = ("server_time", "draining", "table_age")
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    TABLE_AGE_FIELD_NUMBER: _ClassVar[int]
    server_time: _timestamp_pb2.Timestamp
    draining: bool
    table_age: _duration_pb2.Duration
    def __init__(self, server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., draining: bool = ..., table_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ReportAppliedRevisionRequest(_message.Message):
    __slots__ = ("watcher_id", "revision", "store_id", "stopping", "token", "session")
    WATCHER_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    watcher_id: str
    revision: int
    store_id: str
    stopping: bool
    token: str
    session: bytes
    def __init__(self, watcher_id: _Optional[str] = ..., revision: _Optional[int] = ..., store_id: _Optional[str] = ..., stopping: bool = ..., token: _Optional[str] = ..., session: _Optional[bytes] = ...) -> None: ...

class ReportAppliedRevisionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BatchGetSealedCredentialsRequest(_message.Message):
    __slots__ = ("providers",)
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    providers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, providers: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchGetSealedCredentialsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[SealedCredentialResult]
    def __init__(self, results: _Optional[_Iterable[_Union[SealedCredentialResult, _Mapping]]] = ...) -> None: ...

class SealedCredentialResult(_message.Message):
    __slots__ = ("sealed_credential", "error")
    SEALED_CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    sealed_credential: SealedCredential
    error: _status_pb2.Status
    def __init__(self, sealed_credential: _Optional[_Union[SealedCredential, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class SealedCredential(_message.Message):
    __slots__ = ("provider", "provider_uid", "kind", "type", "credential_version", "envelope", "wrapped_data_key", "key_version", "commitment", "context", "destinations")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_UID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_DATA_KEY_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    provider: str
    provider_uid: str
    kind: _provider_pb2.ProviderKind
    type: _provider_pb2.CredentialType
    credential_version: int
    envelope: bytes
    wrapped_data_key: bytes
    key_version: str
    commitment: bytes
    context: bytes
    destinations: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, provider: _Optional[str] = ..., provider_uid: _Optional[str] = ..., kind: _Optional[_Union[_provider_pb2.ProviderKind, str]] = ..., type: _Optional[_Union[_provider_pb2.CredentialType, str]] = ..., credential_version: _Optional[int] = ..., envelope: _Optional[bytes] = ..., wrapped_data_key: _Optional[bytes] = ..., key_version: _Optional[str] = ..., commitment: _Optional[bytes] = ..., context: _Optional[bytes] = ..., destinations: _Optional[_Iterable[str]] = ...) -> None: ...
