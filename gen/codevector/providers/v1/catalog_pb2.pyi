import datetime

from codevector.providers.v1 import provider_pb2 as _provider_pb2
from codevector.providers.v1 import provider_model_pb2 as _provider_model_pb2
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

class Catalog(_message.Message):
    __slots__ = ("name", "kind", "version", "release_time", "model_count", "digest", "models")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RELEASE_TIME_FIELD_NUMBER: _ClassVar[int]
    MODEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: _provider_pb2.ProviderKind
    version: str
    release_time: _timestamp_pb2.Timestamp
    model_count: int
    digest: str
    models: _containers.RepeatedCompositeFieldContainer[CatalogModel]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[_provider_pb2.ProviderKind, str]] = ..., version: _Optional[str] = ..., release_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model_count: _Optional[int] = ..., digest: _Optional[str] = ..., models: _Optional[_Iterable[_Union[CatalogModel, _Mapping]]] = ...) -> None: ...

class CatalogModel(_message.Message):
    __slots__ = ("upstream_model_id", "display_name", "kind", "context_window", "max_output_tokens", "embedding_dimensions", "pricing", "capabilities", "retire_time", "needs_review")
    UPSTREAM_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    PRICING_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    RETIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    NEEDS_REVIEW_FIELD_NUMBER: _ClassVar[int]
    upstream_model_id: str
    display_name: str
    kind: _provider_model_pb2.ModelKind
    context_window: int
    max_output_tokens: int
    embedding_dimensions: int
    pricing: _provider_model_pb2.Pricing
    capabilities: _containers.RepeatedScalarFieldContainer[_provider_model_pb2.ModelCapability]
    retire_time: _timestamp_pb2.Timestamp
    needs_review: bool
    def __init__(self, upstream_model_id: _Optional[str] = ..., display_name: _Optional[str] = ..., kind: _Optional[_Union[_provider_model_pb2.ModelKind, str]] = ..., context_window: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., embedding_dimensions: _Optional[int] = ..., pricing: _Optional[_Union[_provider_model_pb2.Pricing, _Mapping]] = ..., capabilities: _Optional[_Iterable[_Union[_provider_model_pb2.ModelCapability, str]]] = ..., retire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., needs_review: bool = ...) -> None: ...

class ProviderKindInfo(_message.Message):
    __slots__ = ("kind", "display_name", "documentation_uri", "config_field", "config_fields", "credential_forms", "catalog_available", "catalog_version", "credential_prefixes", "description", "credential_required")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTATION_URI_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELDS_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FORMS_FIELD_NUMBER: _ClassVar[int]
    CATALOG_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_PREFIXES_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_REQUIRED_FIELD_NUMBER: _ClassVar[int]
    kind: _provider_pb2.ProviderKind
    display_name: str
    documentation_uri: str
    config_field: str
    config_fields: _containers.RepeatedCompositeFieldContainer[FormField]
    credential_forms: _containers.RepeatedCompositeFieldContainer[CredentialForm]
    catalog_available: bool
    catalog_version: str
    credential_prefixes: _containers.RepeatedScalarFieldContainer[str]
    description: str
    credential_required: bool
    def __init__(self, kind: _Optional[_Union[_provider_pb2.ProviderKind, str]] = ..., display_name: _Optional[str] = ..., documentation_uri: _Optional[str] = ..., config_field: _Optional[str] = ..., config_fields: _Optional[_Iterable[_Union[FormField, _Mapping]]] = ..., credential_forms: _Optional[_Iterable[_Union[CredentialForm, _Mapping]]] = ..., catalog_available: bool = ..., catalog_version: _Optional[str] = ..., credential_prefixes: _Optional[_Iterable[str]] = ..., description: _Optional[str] = ..., credential_required: bool = ...) -> None: ...

class CredentialForm(_message.Message):
    __slots__ = ("type", "field", "display_name", "fields", "description", "key_uri", "test_confirms", "test_note")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    KEY_URI_FIELD_NUMBER: _ClassVar[int]
    TEST_CONFIRMS_FIELD_NUMBER: _ClassVar[int]
    TEST_NOTE_FIELD_NUMBER: _ClassVar[int]
    type: _provider_pb2.CredentialType
    field: str
    display_name: str
    fields: _containers.RepeatedCompositeFieldContainer[FormField]
    description: str
    key_uri: str
    test_confirms: bool
    test_note: str
    def __init__(self, type: _Optional[_Union[_provider_pb2.CredentialType, str]] = ..., field: _Optional[str] = ..., display_name: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[FormField, _Mapping]]] = ..., description: _Optional[str] = ..., key_uri: _Optional[str] = ..., test_confirms: bool = ..., test_note: _Optional[str] = ...) -> None: ...

class FormField(_message.Message):
    __slots__ = ("field", "label", "control", "required", "placeholder", "help_text", "options", "default_value", "suggested_value", "group", "validation_text", "json", "prefixes")
    class Control(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CONTROL_UNSPECIFIED: _ClassVar[FormField.Control]
        CONTROL_TEXT: _ClassVar[FormField.Control]
        CONTROL_SECRET: _ClassVar[FormField.Control]
        CONTROL_URI: _ClassVar[FormField.Control]
        CONTROL_SELECT: _ClassVar[FormField.Control]
        CONTROL_KEY_VALUE: _ClassVar[FormField.Control]
        CONTROL_MULTILINE_SECRET: _ClassVar[FormField.Control]
    CONTROL_UNSPECIFIED: FormField.Control
    CONTROL_TEXT: FormField.Control
    CONTROL_SECRET: FormField.Control
    CONTROL_URI: FormField.Control
    CONTROL_SELECT: FormField.Control
    CONTROL_KEY_VALUE: FormField.Control
    CONTROL_MULTILINE_SECRET: FormField.Control
    FIELD_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    PLACEHOLDER_FIELD_NUMBER: _ClassVar[int]
    HELP_TEXT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_VALUE_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    VALIDATION_TEXT_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    field: str
    label: str
    control: FormField.Control
    required: bool
    placeholder: str
    help_text: str
    options: _containers.RepeatedScalarFieldContainer[str]
    default_value: str
    suggested_value: str
    group: str
    validation_text: str
    json: bool
    prefixes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field: _Optional[str] = ..., label: _Optional[str] = ..., control: _Optional[_Union[FormField.Control, str]] = ..., required: bool = ..., placeholder: _Optional[str] = ..., help_text: _Optional[str] = ..., options: _Optional[_Iterable[str]] = ..., default_value: _Optional[str] = ..., suggested_value: _Optional[str] = ..., group: _Optional[str] = ..., validation_text: _Optional[str] = ..., json: bool = ..., prefixes: _Optional[_Iterable[str]] = ...) -> None: ...
