import datetime

from buf.validate import validate_pb2 as _validate_pb2
from codevector.providers.v1 import catalog_pb2 as _catalog_pb2
from codevector.providers.v1 import provider_pb2 as _provider_pb2
from codevector.providers.v1 import provider_model_pb2 as _provider_model_pb2
from codevector.rules.v1 import rules_pb2 as _rules_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListProvidersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter", "order_by")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    order_by: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListProvidersResponse(_message.Message):
    __slots__ = ("providers", "next_page_token", "total_size")
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    providers: _containers.RepeatedCompositeFieldContainer[_provider_pb2.Provider]
    next_page_token: str
    total_size: int
    def __init__(self, providers: _Optional[_Iterable[_Union[_provider_pb2.Provider, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ...) -> None: ...

class GetProviderRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CreateProviderRequest(_message.Message):
    __slots__ = ("provider_id", "provider", "credential", "start_disabled", "validate_only", "request_id")
    PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    START_DISABLED_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    provider_id: str
    provider: _provider_pb2.Provider
    credential: _provider_pb2.CredentialInput
    start_disabled: bool
    validate_only: bool
    request_id: str
    def __init__(self, provider_id: _Optional[str] = ..., provider: _Optional[_Union[_provider_pb2.Provider, _Mapping]] = ..., credential: _Optional[_Union[_provider_pb2.CredentialInput, _Mapping]] = ..., start_disabled: bool = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateProviderRequest(_message.Message):
    __slots__ = ("provider", "update_mask", "allow_missing", "validate_only", "credential")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    provider: _provider_pb2.Provider
    update_mask: _field_mask_pb2.FieldMask
    allow_missing: bool
    validate_only: bool
    credential: _provider_pb2.CredentialInput
    def __init__(self, provider: _Optional[_Union[_provider_pb2.Provider, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., allow_missing: bool = ..., validate_only: bool = ..., credential: _Optional[_Union[_provider_pb2.CredentialInput, _Mapping]] = ...) -> None: ...

class DeleteProviderRequest(_message.Message):
    __slots__ = ("name", "etag", "force", "allow_missing", "validate_only", "impact_token")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    IMPACT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    force: bool
    allow_missing: bool
    validate_only: bool
    impact_token: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., force: bool = ..., allow_missing: bool = ..., validate_only: bool = ..., impact_token: _Optional[str] = ...) -> None: ...

class DeleteProviderResponse(_message.Message):
    __slots__ = ("impact", "revision")
    IMPACT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    impact: DeletionImpact
    revision: int
    def __init__(self, impact: _Optional[_Union[DeletionImpact, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class DeletionImpact(_message.Message):
    __slots__ = ("provider_models", "provider_model_count", "backends", "backend_count", "models_left_unroutable", "credential_destroyed", "impact_token", "models_left_unroutable_count")
    PROVIDER_MODELS_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    BACKENDS_FIELD_NUMBER: _ClassVar[int]
    BACKEND_COUNT_FIELD_NUMBER: _ClassVar[int]
    MODELS_LEFT_UNROUTABLE_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_DESTROYED_FIELD_NUMBER: _ClassVar[int]
    IMPACT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MODELS_LEFT_UNROUTABLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    provider_models: _containers.RepeatedScalarFieldContainer[str]
    provider_model_count: int
    backends: _containers.RepeatedCompositeFieldContainer[BackendImpact]
    backend_count: int
    models_left_unroutable: _containers.RepeatedScalarFieldContainer[str]
    credential_destroyed: bool
    impact_token: str
    models_left_unroutable_count: int
    def __init__(self, provider_models: _Optional[_Iterable[str]] = ..., provider_model_count: _Optional[int] = ..., backends: _Optional[_Iterable[_Union[BackendImpact, _Mapping]]] = ..., backend_count: _Optional[int] = ..., models_left_unroutable: _Optional[_Iterable[str]] = ..., credential_destroyed: bool = ..., impact_token: _Optional[str] = ..., models_left_unroutable_count: _Optional[int] = ...) -> None: ...

class BackendImpact(_message.Message):
    __slots__ = ("model", "provider_model", "remaining_routable_backends")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODEL_FIELD_NUMBER: _ClassVar[int]
    REMAINING_ROUTABLE_BACKENDS_FIELD_NUMBER: _ClassVar[int]
    model: str
    provider_model: str
    remaining_routable_backends: int
    def __init__(self, model: _Optional[str] = ..., provider_model: _Optional[str] = ..., remaining_routable_backends: _Optional[int] = ...) -> None: ...

class EnableProviderRequest(_message.Message):
    __slots__ = ("name", "etag", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class DisableProviderRequest(_message.Message):
    __slots__ = ("name", "etag", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class SetProviderCredentialRequest(_message.Message):
    __slots__ = ("name", "credential", "expected_version", "verify", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERIFY_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    credential: _provider_pb2.CredentialInput
    expected_version: int
    verify: bool
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., credential: _Optional[_Union[_provider_pb2.CredentialInput, _Mapping]] = ..., expected_version: _Optional[int] = ..., verify: bool = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class ValidateProviderRequest(_message.Message):
    __slots__ = ("name", "provider", "candidate_credential")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    provider: _provider_pb2.Provider
    candidate_credential: _provider_pb2.CredentialInput
    def __init__(self, name: _Optional[str] = ..., provider: _Optional[_Union[_provider_pb2.Provider, _Mapping]] = ..., candidate_credential: _Optional[_Union[_provider_pb2.CredentialInput, _Mapping]] = ...) -> None: ...

class ValidateProviderResponse(_message.Message):
    __slots__ = ("validation",)
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    validation: _provider_pb2.ProviderValidation
    def __init__(self, validation: _Optional[_Union[_provider_pb2.ProviderValidation, _Mapping]] = ...) -> None: ...

class DiscoverProviderModelsRequest(_message.Message):
    __slots__ = ("name", "provider", "candidate_credential")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    provider: _provider_pb2.Provider
    candidate_credential: _provider_pb2.CredentialInput
    def __init__(self, name: _Optional[str] = ..., provider: _Optional[_Union[_provider_pb2.Provider, _Mapping]] = ..., candidate_credential: _Optional[_Union[_provider_pb2.CredentialInput, _Mapping]] = ...) -> None: ...

class DiscoverProviderModelsResponse(_message.Message):
    __slots__ = ("validation", "models", "complete", "skipped_count", "catalog_version", "not_offered_provider_models")
    VALIDATION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    NOT_OFFERED_PROVIDER_MODELS_FIELD_NUMBER: _ClassVar[int]
    validation: _provider_pb2.ProviderValidation
    models: _containers.RepeatedCompositeFieldContainer[DiscoveredModel]
    complete: bool
    skipped_count: int
    catalog_version: str
    not_offered_provider_models: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, validation: _Optional[_Union[_provider_pb2.ProviderValidation, _Mapping]] = ..., models: _Optional[_Iterable[_Union[DiscoveredModel, _Mapping]]] = ..., complete: bool = ..., skipped_count: _Optional[int] = ..., catalog_version: _Optional[str] = ..., not_offered_provider_models: _Optional[_Iterable[str]] = ...) -> None: ...

class DiscoveredModel(_message.Message):
    __slots__ = ("upstream_model_id", "display_name", "kind", "context_window", "max_output_tokens", "retire_time", "deprecated", "indirect", "in_catalog", "provider_model")
    UPSTREAM_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    RETIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    DEPRECATED_FIELD_NUMBER: _ClassVar[int]
    INDIRECT_FIELD_NUMBER: _ClassVar[int]
    IN_CATALOG_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODEL_FIELD_NUMBER: _ClassVar[int]
    upstream_model_id: str
    display_name: str
    kind: _provider_model_pb2.ModelKind
    context_window: int
    max_output_tokens: int
    retire_time: _timestamp_pb2.Timestamp
    deprecated: bool
    indirect: bool
    in_catalog: bool
    provider_model: str
    def __init__(self, upstream_model_id: _Optional[str] = ..., display_name: _Optional[str] = ..., kind: _Optional[_Union[_provider_model_pb2.ModelKind, str]] = ..., context_window: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., retire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deprecated: bool = ..., indirect: bool = ..., in_catalog: bool = ..., provider_model: _Optional[str] = ...) -> None: ...

class ListProviderModelsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "filter", "order_by")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListProviderModelsResponse(_message.Message):
    __slots__ = ("provider_models", "next_page_token", "total_size")
    PROVIDER_MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    provider_models: _containers.RepeatedCompositeFieldContainer[_provider_model_pb2.ProviderModel]
    next_page_token: str
    total_size: int
    def __init__(self, provider_models: _Optional[_Iterable[_Union[_provider_model_pb2.ProviderModel, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ...) -> None: ...

class GetProviderModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CreateProviderModelRequest(_message.Message):
    __slots__ = ("parent", "provider_model_id", "provider_model", "validate_only", "request_id")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODEL_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    parent: str
    provider_model_id: str
    provider_model: _provider_model_pb2.ProviderModel
    validate_only: bool
    request_id: str
    def __init__(self, parent: _Optional[str] = ..., provider_model_id: _Optional[str] = ..., provider_model: _Optional[_Union[_provider_model_pb2.ProviderModel, _Mapping]] = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class UpdateProviderModelRequest(_message.Message):
    __slots__ = ("provider_model", "update_mask", "allow_missing", "validate_only")
    PROVIDER_MODEL_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    provider_model: _provider_model_pb2.ProviderModel
    update_mask: _field_mask_pb2.FieldMask
    allow_missing: bool
    validate_only: bool
    def __init__(self, provider_model: _Optional[_Union[_provider_model_pb2.ProviderModel, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., allow_missing: bool = ..., validate_only: bool = ...) -> None: ...

class DeleteProviderModelRequest(_message.Message):
    __slots__ = ("name", "etag", "force", "allow_missing", "validate_only", "impact_token")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    IMPACT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    force: bool
    allow_missing: bool
    validate_only: bool
    impact_token: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., force: bool = ..., allow_missing: bool = ..., validate_only: bool = ..., impact_token: _Optional[str] = ...) -> None: ...

class DeleteProviderModelResponse(_message.Message):
    __slots__ = ("impact", "revision")
    IMPACT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    impact: DeletionImpact
    revision: int
    def __init__(self, impact: _Optional[_Union[DeletionImpact, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...

class EnableProviderModelRequest(_message.Message):
    __slots__ = ("name", "etag", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class DisableProviderModelRequest(_message.Message):
    __slots__ = ("name", "etag", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class BatchEnableProviderModelsRequest(_message.Message):
    __slots__ = ("names", "validate_only", "parent")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    validate_only: bool
    parent: str
    def __init__(self, names: _Optional[_Iterable[str]] = ..., validate_only: bool = ..., parent: _Optional[str] = ...) -> None: ...

class BatchEnableProviderModelsResponse(_message.Message):
    __slots__ = ("results", "changed_count", "failed_count", "revision")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ProviderModelResult]
    changed_count: int
    failed_count: int
    revision: int
    def __init__(self, results: _Optional[_Iterable[_Union[ProviderModelResult, _Mapping]]] = ..., changed_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class BatchDisableProviderModelsRequest(_message.Message):
    __slots__ = ("names", "validate_only", "parent")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    validate_only: bool
    parent: str
    def __init__(self, names: _Optional[_Iterable[str]] = ..., validate_only: bool = ..., parent: _Optional[str] = ...) -> None: ...

class BatchDisableProviderModelsResponse(_message.Message):
    __slots__ = ("results", "changed_count", "failed_count", "revision")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ProviderModelResult]
    changed_count: int
    failed_count: int
    revision: int
    def __init__(self, results: _Optional[_Iterable[_Union[ProviderModelResult, _Mapping]]] = ..., changed_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class BatchDeleteProviderModelsRequest(_message.Message):
    __slots__ = ("names", "validate_only", "force", "impact_token", "parent")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    IMPACT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    validate_only: bool
    force: bool
    impact_token: str
    parent: str
    def __init__(self, names: _Optional[_Iterable[str]] = ..., validate_only: bool = ..., force: bool = ..., impact_token: _Optional[str] = ..., parent: _Optional[str] = ...) -> None: ...

class BatchDeleteProviderModelsResponse(_message.Message):
    __slots__ = ("results", "changed_count", "failed_count", "revision", "impact")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    IMPACT_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ProviderModelResult]
    changed_count: int
    failed_count: int
    revision: int
    impact: DeletionImpact
    def __init__(self, results: _Optional[_Iterable[_Union[ProviderModelResult, _Mapping]]] = ..., changed_count: _Optional[int] = ..., failed_count: _Optional[int] = ..., revision: _Optional[int] = ..., impact: _Optional[_Union[DeletionImpact, _Mapping]] = ...) -> None: ...

class ProviderModelResult(_message.Message):
    __slots__ = ("provider_model", "action", "error")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[ProviderModelResult.Action]
        ACTION_UNCHANGED: _ClassVar[ProviderModelResult.Action]
        ACTION_ENABLED: _ClassVar[ProviderModelResult.Action]
        ACTION_DISABLED: _ClassVar[ProviderModelResult.Action]
        ACTION_DELETED: _ClassVar[ProviderModelResult.Action]
    ACTION_UNSPECIFIED: ProviderModelResult.Action
    ACTION_UNCHANGED: ProviderModelResult.Action
    ACTION_ENABLED: ProviderModelResult.Action
    ACTION_DISABLED: ProviderModelResult.Action
    ACTION_DELETED: ProviderModelResult.Action
    PROVIDER_MODEL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    provider_model: str
    action: ProviderModelResult.Action
    error: _status_pb2.Status
    def __init__(self, provider_model: _Optional[str] = ..., action: _Optional[_Union[ProviderModelResult.Action, str]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class ListRetirementsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "within_days", "parent")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    WITHIN_DAYS_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    within_days: int
    parent: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., within_days: _Optional[int] = ..., parent: _Optional[str] = ...) -> None: ...

class ListRetirementsResponse(_message.Message):
    __slots__ = ("retirements", "next_page_token", "total_size", "affected_model_count", "models_left_unroutable", "models_left_unroutable_count", "horizon_time")
    RETIREMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    AFFECTED_MODEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    MODELS_LEFT_UNROUTABLE_FIELD_NUMBER: _ClassVar[int]
    MODELS_LEFT_UNROUTABLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    HORIZON_TIME_FIELD_NUMBER: _ClassVar[int]
    retirements: _containers.RepeatedCompositeFieldContainer[Retirement]
    next_page_token: str
    total_size: int
    affected_model_count: int
    models_left_unroutable: _containers.RepeatedScalarFieldContainer[str]
    models_left_unroutable_count: int
    horizon_time: _timestamp_pb2.Timestamp
    def __init__(self, retirements: _Optional[_Iterable[_Union[Retirement, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ..., affected_model_count: _Optional[int] = ..., models_left_unroutable: _Optional[_Iterable[str]] = ..., models_left_unroutable_count: _Optional[int] = ..., horizon_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Retirement(_message.Message):
    __slots__ = ("provider_model", "upstream_model_id", "display_name", "retire_time", "routable", "backends", "backend_count", "models_left_unroutable", "models_left_unroutable_count")
    PROVIDER_MODEL_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    RETIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ROUTABLE_FIELD_NUMBER: _ClassVar[int]
    BACKENDS_FIELD_NUMBER: _ClassVar[int]
    BACKEND_COUNT_FIELD_NUMBER: _ClassVar[int]
    MODELS_LEFT_UNROUTABLE_FIELD_NUMBER: _ClassVar[int]
    MODELS_LEFT_UNROUTABLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    provider_model: str
    upstream_model_id: str
    display_name: str
    retire_time: _timestamp_pb2.Timestamp
    routable: bool
    backends: _containers.RepeatedCompositeFieldContainer[BackendImpact]
    backend_count: int
    models_left_unroutable: _containers.RepeatedScalarFieldContainer[str]
    models_left_unroutable_count: int
    def __init__(self, provider_model: _Optional[str] = ..., upstream_model_id: _Optional[str] = ..., display_name: _Optional[str] = ..., retire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., routable: bool = ..., backends: _Optional[_Iterable[_Union[BackendImpact, _Mapping]]] = ..., backend_count: _Optional[int] = ..., models_left_unroutable: _Optional[_Iterable[str]] = ..., models_left_unroutable_count: _Optional[int] = ...) -> None: ...

class ImportProviderModelsRequest(_message.Message):
    __slots__ = ("parent", "upstream_model_ids", "existing_policy", "start_disabled", "catalog_version", "validate_only", "request_id", "plan_digest", "adopt_custom", "existing_only")
    class ExistingPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        EXISTING_POLICY_UNSPECIFIED: _ClassVar[ImportProviderModelsRequest.ExistingPolicy]
        EXISTING_POLICY_SKIP: _ClassVar[ImportProviderModelsRequest.ExistingPolicy]
        EXISTING_POLICY_REFRESH: _ClassVar[ImportProviderModelsRequest.ExistingPolicy]
    EXISTING_POLICY_UNSPECIFIED: ImportProviderModelsRequest.ExistingPolicy
    EXISTING_POLICY_SKIP: ImportProviderModelsRequest.ExistingPolicy
    EXISTING_POLICY_REFRESH: ImportProviderModelsRequest.ExistingPolicy
    PARENT_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    EXISTING_POLICY_FIELD_NUMBER: _ClassVar[int]
    START_DISABLED_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ADOPT_CUSTOM_FIELD_NUMBER: _ClassVar[int]
    EXISTING_ONLY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    upstream_model_ids: _containers.RepeatedScalarFieldContainer[str]
    existing_policy: ImportProviderModelsRequest.ExistingPolicy
    start_disabled: bool
    catalog_version: str
    validate_only: bool
    request_id: str
    plan_digest: str
    adopt_custom: bool
    existing_only: bool
    def __init__(self, parent: _Optional[str] = ..., upstream_model_ids: _Optional[_Iterable[str]] = ..., existing_policy: _Optional[_Union[ImportProviderModelsRequest.ExistingPolicy, str]] = ..., start_disabled: bool = ..., catalog_version: _Optional[str] = ..., validate_only: bool = ..., request_id: _Optional[str] = ..., plan_digest: _Optional[str] = ..., adopt_custom: bool = ..., existing_only: bool = ...) -> None: ...

class ImportProviderModelsResponse(_message.Message):
    __slots__ = ("catalog_version", "results", "created_count", "skipped_count", "refreshed_count", "unchanged_count", "gone_count", "kept_custom_count", "adopted_count", "plan_digest")
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CREATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REFRESHED_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    GONE_COUNT_FIELD_NUMBER: _ClassVar[int]
    KEPT_CUSTOM_COUNT_FIELD_NUMBER: _ClassVar[int]
    ADOPTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    catalog_version: str
    results: _containers.RepeatedCompositeFieldContainer[ImportResult]
    created_count: int
    skipped_count: int
    refreshed_count: int
    unchanged_count: int
    gone_count: int
    kept_custom_count: int
    adopted_count: int
    plan_digest: str
    def __init__(self, catalog_version: _Optional[str] = ..., results: _Optional[_Iterable[_Union[ImportResult, _Mapping]]] = ..., created_count: _Optional[int] = ..., skipped_count: _Optional[int] = ..., refreshed_count: _Optional[int] = ..., unchanged_count: _Optional[int] = ..., gone_count: _Optional[int] = ..., kept_custom_count: _Optional[int] = ..., adopted_count: _Optional[int] = ..., plan_digest: _Optional[str] = ...) -> None: ...

class ImportResult(_message.Message):
    __slots__ = ("upstream_model_id", "provider_model", "action", "changed_fields", "changes", "kept_fields")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[ImportResult.Action]
        ACTION_CREATED: _ClassVar[ImportResult.Action]
        ACTION_SKIPPED_EXISTING: _ClassVar[ImportResult.Action]
        ACTION_REFRESHED: _ClassVar[ImportResult.Action]
        ACTION_UNCHANGED: _ClassVar[ImportResult.Action]
        ACTION_GONE: _ClassVar[ImportResult.Action]
        ACTION_KEPT_CUSTOM: _ClassVar[ImportResult.Action]
        ACTION_ADOPTED: _ClassVar[ImportResult.Action]
    ACTION_UNSPECIFIED: ImportResult.Action
    ACTION_CREATED: ImportResult.Action
    ACTION_SKIPPED_EXISTING: ImportResult.Action
    ACTION_REFRESHED: ImportResult.Action
    ACTION_UNCHANGED: ImportResult.Action
    ACTION_GONE: ImportResult.Action
    ACTION_KEPT_CUSTOM: ImportResult.Action
    ACTION_ADOPTED: ImportResult.Action
    UPSTREAM_MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_MODEL_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELDS_FIELD_NUMBER: _ClassVar[int]
    upstream_model_id: str
    provider_model: str
    action: ImportResult.Action
    changed_fields: _containers.RepeatedScalarFieldContainer[str]
    changes: _containers.RepeatedCompositeFieldContainer[FieldChange]
    kept_fields: _containers.RepeatedCompositeFieldContainer[KeptField]
    def __init__(self, upstream_model_id: _Optional[str] = ..., provider_model: _Optional[str] = ..., action: _Optional[_Union[ImportResult.Action, str]] = ..., changed_fields: _Optional[_Iterable[str]] = ..., changes: _Optional[_Iterable[_Union[FieldChange, _Mapping]]] = ..., kept_fields: _Optional[_Iterable[_Union[KeptField, _Mapping]]] = ...) -> None: ...

class FieldChange(_message.Message):
    __slots__ = ("field", "old_value", "new_value")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    OLD_VALUE_FIELD_NUMBER: _ClassVar[int]
    NEW_VALUE_FIELD_NUMBER: _ClassVar[int]
    field: str
    old_value: str
    new_value: str
    def __init__(self, field: _Optional[str] = ..., old_value: _Optional[str] = ..., new_value: _Optional[str] = ...) -> None: ...

class KeptField(_message.Message):
    __slots__ = ("field", "value", "imported_value", "catalog_value")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    IMPORTED_VALUE_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VALUE_FIELD_NUMBER: _ClassVar[int]
    field: str
    value: str
    imported_value: str
    catalog_value: str
    def __init__(self, field: _Optional[str] = ..., value: _Optional[str] = ..., imported_value: _Optional[str] = ..., catalog_value: _Optional[str] = ...) -> None: ...

class ListCatalogsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCatalogsResponse(_message.Message):
    __slots__ = ("catalogs", "next_page_token")
    CATALOGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    catalogs: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.Catalog]
    next_page_token: str
    def __init__(self, catalogs: _Optional[_Iterable[_Union[_catalog_pb2.Catalog, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetCatalogRequest(_message.Message):
    __slots__ = ("name", "catalog_version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    catalog_version: str
    def __init__(self, name: _Optional[str] = ..., catalog_version: _Optional[str] = ...) -> None: ...

class ListProviderKindsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListProviderKindsResponse(_message.Message):
    __slots__ = ("provider_kinds", "next_page_token")
    PROVIDER_KINDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    provider_kinds: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.ProviderKindInfo]
    next_page_token: str
    def __init__(self, provider_kinds: _Optional[_Iterable[_Union[_catalog_pb2.ProviderKindInfo, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
