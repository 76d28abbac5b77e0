import datetime

from buf.validate import validate_pb2 as _validate_pb2
from codevector.rules.v1 import rules_pb2 as _rules_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_KIND_UNSPECIFIED: _ClassVar[ModelKind]
    MODEL_KIND_CHAT: _ClassVar[ModelKind]
    MODEL_KIND_EMBEDDING: _ClassVar[ModelKind]

class ModelCapability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_CAPABILITY_UNSPECIFIED: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_STREAMING: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_TOOLS: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_VISION: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_JSON_SCHEMA: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_REASONING: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_PROMPT_CACHING: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_PDF: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_PARALLEL_TOOLS: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_WEB_SEARCH: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_COMPUTER_USE: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_AUDIO_IN: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_AUDIO_OUT: _ClassVar[ModelCapability]
    MODEL_CAPABILITY_VIDEO_IN: _ClassVar[ModelCapability]
MODEL_KIND_UNSPECIFIED: ModelKind
MODEL_KIND_CHAT: ModelKind
MODEL_KIND_EMBEDDING: ModelKind
MODEL_CAPABILITY_UNSPECIFIED: ModelCapability
MODEL_CAPABILITY_STREAMING: ModelCapability
MODEL_CAPABILITY_TOOLS: ModelCapability
MODEL_CAPABILITY_VISION: ModelCapability
MODEL_CAPABILITY_JSON_SCHEMA: ModelCapability
MODEL_CAPABILITY_REASONING: ModelCapability
MODEL_CAPABILITY_PROMPT_CACHING: ModelCapability
MODEL_CAPABILITY_PDF: ModelCapability
MODEL_CAPABILITY_PARALLEL_TOOLS: ModelCapability
MODEL_CAPABILITY_WEB_SEARCH: ModelCapability
MODEL_CAPABILITY_COMPUTER_USE: ModelCapability
MODEL_CAPABILITY_AUDIO_IN: ModelCapability
MODEL_CAPABILITY_AUDIO_OUT: ModelCapability
MODEL_CAPABILITY_VIDEO_IN: ModelCapability

class ProviderModel(_message.Message):
    __slots__ = ("name", "uid", "upstream_model_id", "display_name", "kind", "state", "context_window", "max_output_tokens", "embedding_dimensions", "pricing", "capabilities", "source", "catalog_version", "overridden_fields", "routable", "retire_time", "needs_review", "labels", "create_time", "update_time", "revision", "etag", "corrupt_fields")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[ProviderModel.State]
        STATE_ACTIVE: _ClassVar[ProviderModel.State]
        STATE_DISABLED: _ClassVar[ProviderModel.State]
        STATE_CORRUPT: _ClassVar[ProviderModel.State]
    STATE_UNSPECIFIED: ProviderModel.State
    STATE_ACTIVE: ProviderModel.State
    STATE_DISABLED: ProviderModel.State
    STATE_CORRUPT: ProviderModel.State
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[ProviderModel.Source]
        SOURCE_CATALOG: _ClassVar[ProviderModel.Source]
        SOURCE_CUSTOM: _ClassVar[ProviderModel.Source]
    SOURCE_UNSPECIFIED: ProviderModel.Source
    SOURCE_CATALOG: ProviderModel.Source
    SOURCE_CUSTOM: ProviderModel.Source
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    PRICING_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    OVERRIDDEN_FIELDS_FIELD_NUMBER: _ClassVar[int]
    ROUTABLE_FIELD_NUMBER: _ClassVar[int]
    RETIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    NEEDS_REVIEW_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CORRUPT_FIELDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: str
    upstream_model_id: str
    display_name: str
    kind: ModelKind
    state: ProviderModel.State
    context_window: int
    max_output_tokens: int
    embedding_dimensions: int
    pricing: Pricing
    capabilities: _containers.RepeatedScalarFieldContainer[ModelCapability]
    source: ProviderModel.Source
    catalog_version: str
    overridden_fields: _containers.RepeatedScalarFieldContainer[str]
    routable: bool
    retire_time: _timestamp_pb2.Timestamp
    needs_review: bool
    labels: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    revision: int
    etag: str
    corrupt_fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[str] = ..., upstream_model_id: _Optional[str] = ..., display_name: _Optional[str] = ..., kind: _Optional[_Union[ModelKind, str]] = ..., state: _Optional[_Union[ProviderModel.State, str]] = ..., context_window: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., embedding_dimensions: _Optional[int] = ..., pricing: _Optional[_Union[Pricing, _Mapping]] = ..., capabilities: _Optional[_Iterable[_Union[ModelCapability, str]]] = ..., source: _Optional[_Union[ProviderModel.Source, str]] = ..., catalog_version: _Optional[str] = ..., overridden_fields: _Optional[_Iterable[str]] = ..., routable: bool = ..., retire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., needs_review: bool = ..., labels: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., etag: _Optional[str] = ..., corrupt_fields: _Optional[_Iterable[str]] = ...) -> None: ...

class Pricing(_message.Message):
    __slots__ = ("currency_code", "input_per_million_tokens", "output_per_million_tokens", "cached_input_per_million_tokens", "cache_write_per_million_tokens", "tiers")
    CURRENCY_CODE_FIELD_NUMBER: _ClassVar[int]
    INPUT_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    currency_code: str
    input_per_million_tokens: str
    output_per_million_tokens: str
    cached_input_per_million_tokens: str
    cache_write_per_million_tokens: str
    tiers: _containers.RepeatedCompositeFieldContainer[PricingTier]
    def __init__(self, currency_code: _Optional[str] = ..., input_per_million_tokens: _Optional[str] = ..., output_per_million_tokens: _Optional[str] = ..., cached_input_per_million_tokens: _Optional[str] = ..., cache_write_per_million_tokens: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[PricingTier, _Mapping]]] = ...) -> None: ...

class PricingTier(_message.Message):
    __slots__ = ("above_input_tokens", "input_per_million_tokens", "output_per_million_tokens", "cached_input_per_million_tokens", "cache_write_per_million_tokens")
    ABOVE_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    INPUT_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHE_WRITE_PER_MILLION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    above_input_tokens: int
    input_per_million_tokens: str
    output_per_million_tokens: str
    cached_input_per_million_tokens: str
    cache_write_per_million_tokens: str
    def __init__(self, above_input_tokens: _Optional[int] = ..., input_per_million_tokens: _Optional[str] = ..., output_per_million_tokens: _Optional[str] = ..., cached_input_per_million_tokens: _Optional[str] = ..., cache_write_per_million_tokens: _Optional[str] = ...) -> None: ...
