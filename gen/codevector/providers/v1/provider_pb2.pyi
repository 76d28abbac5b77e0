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

class ProviderKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROVIDER_KIND_UNSPECIFIED: _ClassVar[ProviderKind]
    PROVIDER_KIND_OPENAI: _ClassVar[ProviderKind]
    PROVIDER_KIND_ANTHROPIC: _ClassVar[ProviderKind]
    PROVIDER_KIND_AZURE: _ClassVar[ProviderKind]
    PROVIDER_KIND_BEDROCK: _ClassVar[ProviderKind]
    PROVIDER_KIND_GOOGLE: _ClassVar[ProviderKind]
    PROVIDER_KIND_VERTEX: _ClassVar[ProviderKind]
    PROVIDER_KIND_VERTEX_ANTHROPIC: _ClassVar[ProviderKind]
    PROVIDER_KIND_GROQ: _ClassVar[ProviderKind]
    PROVIDER_KIND_COHERE: _ClassVar[ProviderKind]
    PROVIDER_KIND_DEEPSEEK: _ClassVar[ProviderKind]
    PROVIDER_KIND_MOONSHOT: _ClassVar[ProviderKind]
    PROVIDER_KIND_OPENAI_COMPATIBLE: _ClassVar[ProviderKind]

class CredentialType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CREDENTIAL_TYPE_UNSPECIFIED: _ClassVar[CredentialType]
    CREDENTIAL_TYPE_API_KEY: _ClassVar[CredentialType]
    CREDENTIAL_TYPE_AWS_ACCESS_KEY: _ClassVar[CredentialType]
    CREDENTIAL_TYPE_GCP_SERVICE_ACCOUNT_KEY: _ClassVar[CredentialType]
    CREDENTIAL_TYPE_AZURE_CLIENT_SECRET: _ClassVar[CredentialType]
    CREDENTIAL_TYPE_AMBIENT: _ClassVar[CredentialType]
PROVIDER_KIND_UNSPECIFIED: ProviderKind
PROVIDER_KIND_OPENAI: ProviderKind
PROVIDER_KIND_ANTHROPIC: ProviderKind
PROVIDER_KIND_AZURE: ProviderKind
PROVIDER_KIND_BEDROCK: ProviderKind
PROVIDER_KIND_GOOGLE: ProviderKind
PROVIDER_KIND_VERTEX: ProviderKind
PROVIDER_KIND_VERTEX_ANTHROPIC: ProviderKind
PROVIDER_KIND_GROQ: ProviderKind
PROVIDER_KIND_COHERE: ProviderKind
PROVIDER_KIND_DEEPSEEK: ProviderKind
PROVIDER_KIND_MOONSHOT: ProviderKind
PROVIDER_KIND_OPENAI_COMPATIBLE: ProviderKind
CREDENTIAL_TYPE_UNSPECIFIED: CredentialType
CREDENTIAL_TYPE_API_KEY: CredentialType
CREDENTIAL_TYPE_AWS_ACCESS_KEY: CredentialType
CREDENTIAL_TYPE_GCP_SERVICE_ACCOUNT_KEY: CredentialType
CREDENTIAL_TYPE_AZURE_CLIENT_SECRET: CredentialType
CREDENTIAL_TYPE_AMBIENT: CredentialType

class Provider(_message.Message):
    __slots__ = ("name", "uid", "display_name", "kind", "state", "config", "credential", "details", "active_model_count", "model_count", "routable", "unroutable_reason", "labels", "annotations", "create_time", "update_time", "revision", "etag", "corrupt_fields")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Provider.State]
        STATE_ACTIVE: _ClassVar[Provider.State]
        STATE_DISABLED: _ClassVar[Provider.State]
        STATE_CORRUPT: _ClassVar[Provider.State]
    STATE_UNSPECIFIED: Provider.State
    STATE_ACTIVE: Provider.State
    STATE_DISABLED: Provider.State
    STATE_CORRUPT: Provider.State
    class UnroutableReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNROUTABLE_REASON_UNSPECIFIED: _ClassVar[Provider.UnroutableReason]
        UNROUTABLE_REASON_DISABLED: _ClassVar[Provider.UnroutableReason]
        UNROUTABLE_REASON_NO_CREDENTIAL: _ClassVar[Provider.UnroutableReason]
        UNROUTABLE_REASON_CORRUPT: _ClassVar[Provider.UnroutableReason]
    UNROUTABLE_REASON_UNSPECIFIED: Provider.UnroutableReason
    UNROUTABLE_REASON_DISABLED: Provider.UnroutableReason
    UNROUTABLE_REASON_NO_CREDENTIAL: Provider.UnroutableReason
    UNROUTABLE_REASON_CORRUPT: Provider.UnroutableReason
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AnnotationsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_MODEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    MODEL_COUNT_FIELD_NUMBER: _ClassVar[int]
    ROUTABLE_FIELD_NUMBER: _ClassVar[int]
    UNROUTABLE_REASON_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    CORRUPT_FIELDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    uid: str
    display_name: str
    kind: ProviderKind
    state: Provider.State
    config: ProviderConfig
    credential: Credential
    details: str
    active_model_count: int
    model_count: int
    routable: bool
    unroutable_reason: Provider.UnroutableReason
    labels: _containers.ScalarMap[str, str]
    annotations: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    revision: int
    etag: str
    corrupt_fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., uid: _Optional[str] = ..., display_name: _Optional[str] = ..., kind: _Optional[_Union[ProviderKind, str]] = ..., state: _Optional[_Union[Provider.State, str]] = ..., config: _Optional[_Union[ProviderConfig, _Mapping]] = ..., credential: _Optional[_Union[Credential, _Mapping]] = ..., details: _Optional[str] = ..., active_model_count: _Optional[int] = ..., model_count: _Optional[int] = ..., routable: bool = ..., unroutable_reason: _Optional[_Union[Provider.UnroutableReason, str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., etag: _Optional[str] = ..., corrupt_fields: _Optional[_Iterable[str]] = ...) -> None: ...

class ProviderConfig(_message.Message):
    __slots__ = ("openai", "anthropic", "azure", "bedrock", "google", "vertex", "vertex_anthropic", "groq", "cohere", "deepseek", "moonshot", "openai_compatible")
    OPENAI_FIELD_NUMBER: _ClassVar[int]
    ANTHROPIC_FIELD_NUMBER: _ClassVar[int]
    AZURE_FIELD_NUMBER: _ClassVar[int]
    BEDROCK_FIELD_NUMBER: _ClassVar[int]
    GOOGLE_FIELD_NUMBER: _ClassVar[int]
    VERTEX_FIELD_NUMBER: _ClassVar[int]
    VERTEX_ANTHROPIC_FIELD_NUMBER: _ClassVar[int]
    GROQ_FIELD_NUMBER: _ClassVar[int]
    COHERE_FIELD_NUMBER: _ClassVar[int]
    DEEPSEEK_FIELD_NUMBER: _ClassVar[int]
    MOONSHOT_FIELD_NUMBER: _ClassVar[int]
    OPENAI_COMPATIBLE_FIELD_NUMBER: _ClassVar[int]
    openai: OpenAIConfig
    anthropic: AnthropicConfig
    azure: AzureConfig
    bedrock: BedrockConfig
    google: GoogleConfig
    vertex: VertexConfig
    vertex_anthropic: VertexConfig
    groq: GroqConfig
    cohere: CohereConfig
    deepseek: DeepSeekConfig
    moonshot: MoonshotConfig
    openai_compatible: OpenAICompatibleConfig
    def __init__(self, openai: _Optional[_Union[OpenAIConfig, _Mapping]] = ..., anthropic: _Optional[_Union[AnthropicConfig, _Mapping]] = ..., azure: _Optional[_Union[AzureConfig, _Mapping]] = ..., bedrock: _Optional[_Union[BedrockConfig, _Mapping]] = ..., google: _Optional[_Union[GoogleConfig, _Mapping]] = ..., vertex: _Optional[_Union[VertexConfig, _Mapping]] = ..., vertex_anthropic: _Optional[_Union[VertexConfig, _Mapping]] = ..., groq: _Optional[_Union[GroqConfig, _Mapping]] = ..., cohere: _Optional[_Union[CohereConfig, _Mapping]] = ..., deepseek: _Optional[_Union[DeepSeekConfig, _Mapping]] = ..., moonshot: _Optional[_Union[MoonshotConfig, _Mapping]] = ..., openai_compatible: _Optional[_Union[OpenAICompatibleConfig, _Mapping]] = ...) -> None: ...

class OpenAIConfig(_message.Message):
    __slots__ = ("base_url", "organization", "project")
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    base_url: str
    organization: str
    project: str
    def __init__(self, base_url: _Optional[str] = ..., organization: _Optional[str] = ..., project: _Optional[str] = ...) -> None: ...

class AnthropicConfig(_message.Message):
    __slots__ = ("base_url", "api_version")
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    base_url: str
    api_version: str
    def __init__(self, base_url: _Optional[str] = ..., api_version: _Optional[str] = ...) -> None: ...

class AzureConfig(_message.Message):
    __slots__ = ("endpoint", "api_version")
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    endpoint: str
    api_version: str
    def __init__(self, endpoint: _Optional[str] = ..., api_version: _Optional[str] = ...) -> None: ...

class BedrockConfig(_message.Message):
    __slots__ = ("region", "endpoint_url")
    REGION_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_URL_FIELD_NUMBER: _ClassVar[int]
    region: str
    endpoint_url: str
    def __init__(self, region: _Optional[str] = ..., endpoint_url: _Optional[str] = ...) -> None: ...

class GoogleConfig(_message.Message):
    __slots__ = ("base_url",)
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    base_url: str
    def __init__(self, base_url: _Optional[str] = ...) -> None: ...

class VertexConfig(_message.Message):
    __slots__ = ("project_id", "location")
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    project_id: str
    location: str
    def __init__(self, project_id: _Optional[str] = ..., location: _Optional[str] = ...) -> None: ...

class GroqConfig(_message.Message):
    __slots__ = ("base_url",)
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    base_url: str
    def __init__(self, base_url: _Optional[str] = ...) -> None: ...

class CohereConfig(_message.Message):
    __slots__ = ("base_url",)
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    base_url: str
    def __init__(self, base_url: _Optional[str] = ...) -> None: ...

class DeepSeekConfig(_message.Message):
    __slots__ = ("base_url",)
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    base_url: str
    def __init__(self, base_url: _Optional[str] = ...) -> None: ...

class MoonshotConfig(_message.Message):
    __slots__ = ("base_url",)
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    base_url: str
    def __init__(self, base_url: _Optional[str] = ...) -> None: ...

class OpenAICompatibleConfig(_message.Message):
    __slots__ = ("base_url", "headers")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    BASE_URL_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    base_url: str
    headers: _containers.ScalarMap[str, str]
    def __init__(self, base_url: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Credential(_message.Message):
    __slots__ = ("type", "prefix", "update_time", "version", "expire_time")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    type: CredentialType
    prefix: str
    update_time: _timestamp_pb2.Timestamp
    version: int
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, type: _Optional[_Union[CredentialType, str]] = ..., prefix: _Optional[str] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CredentialInput(_message.Message):
    __slots__ = ("api_key", "aws_access_key", "gcp_service_account_key", "azure_client_secret", "ambient", "expire_time")
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    AWS_ACCESS_KEY_FIELD_NUMBER: _ClassVar[int]
    GCP_SERVICE_ACCOUNT_KEY_FIELD_NUMBER: _ClassVar[int]
    AZURE_CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    AMBIENT_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    api_key: ApiKeyCredential
    aws_access_key: AwsAccessKeyCredential
    gcp_service_account_key: GcpServiceAccountKeyCredential
    azure_client_secret: AzureClientSecretCredential
    ambient: AmbientCredential
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, api_key: _Optional[_Union[ApiKeyCredential, _Mapping]] = ..., aws_access_key: _Optional[_Union[AwsAccessKeyCredential, _Mapping]] = ..., gcp_service_account_key: _Optional[_Union[GcpServiceAccountKeyCredential, _Mapping]] = ..., azure_client_secret: _Optional[_Union[AzureClientSecretCredential, _Mapping]] = ..., ambient: _Optional[_Union[AmbientCredential, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ApiKeyCredential(_message.Message):
    __slots__ = ("api_key",)
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    api_key: str
    def __init__(self, api_key: _Optional[str] = ...) -> None: ...

class AwsAccessKeyCredential(_message.Message):
    __slots__ = ("access_key_id", "secret_access_key", "session_token", "assume_role_arn")
    ACCESS_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_ACCESS_KEY_FIELD_NUMBER: _ClassVar[int]
    SESSION_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ASSUME_ROLE_ARN_FIELD_NUMBER: _ClassVar[int]
    access_key_id: str
    secret_access_key: str
    session_token: str
    assume_role_arn: str
    def __init__(self, access_key_id: _Optional[str] = ..., secret_access_key: _Optional[str] = ..., session_token: _Optional[str] = ..., assume_role_arn: _Optional[str] = ...) -> None: ...

class GcpServiceAccountKeyCredential(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: str
    def __init__(self, json: _Optional[str] = ...) -> None: ...

class AzureClientSecretCredential(_message.Message):
    __slots__ = ("tenant_id", "client_id", "client_secret")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SECRET_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    client_id: str
    client_secret: str
    def __init__(self, tenant_id: _Optional[str] = ..., client_id: _Optional[str] = ..., client_secret: _Optional[str] = ...) -> None: ...

class AmbientCredential(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ProviderValidation(_message.Message):
    __slots__ = ("outcome", "message", "http_status_code", "latency_ms", "validate_time", "credential_version", "reason")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[ProviderValidation.Outcome]
        OUTCOME_SUCCEEDED: _ClassVar[ProviderValidation.Outcome]
        OUTCOME_CREDENTIAL_REJECTED: _ClassVar[ProviderValidation.Outcome]
        OUTCOME_UNREACHABLE: _ClassVar[ProviderValidation.Outcome]
        OUTCOME_RATE_LIMITED: _ClassVar[ProviderValidation.Outcome]
        OUTCOME_UNSUPPORTED: _ClassVar[ProviderValidation.Outcome]
    OUTCOME_UNSPECIFIED: ProviderValidation.Outcome
    OUTCOME_SUCCEEDED: ProviderValidation.Outcome
    OUTCOME_CREDENTIAL_REJECTED: ProviderValidation.Outcome
    OUTCOME_UNREACHABLE: ProviderValidation.Outcome
    OUTCOME_RATE_LIMITED: ProviderValidation.Outcome
    OUTCOME_UNSUPPORTED: ProviderValidation.Outcome
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HTTP_STATUS_CODE_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    outcome: ProviderValidation.Outcome
    message: str
    http_status_code: int
    latency_ms: int
    validate_time: _timestamp_pb2.Timestamp
    credential_version: int
    reason: str
    def __init__(self, outcome: _Optional[_Union[ProviderValidation.Outcome, str]] = ..., message: _Optional[str] = ..., http_status_code: _Optional[int] = ..., latency_ms: _Optional[int] = ..., validate_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., credential_version: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
