import datetime

from buf.validate import validate_pb2 as _validate_pb2
from codevector.kms.v1 import key_management_service_pb2 as _key_management_service_pb2
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

class VerifyAuditRequest(_message.Message):
    __slots__ = ("expected_seq", "expected_head")
    EXPECTED_SEQ_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_HEAD_FIELD_NUMBER: _ClassVar[int]
    expected_seq: int
    expected_head: bytes
    def __init__(self, expected_seq: _Optional[int] = ..., expected_head: _Optional[bytes] = ...) -> None: ...

class VerifyAuditResponse(_message.Message):
    __slots__ = ("intact", "fault", "first_seq", "audit_seq", "audit_head", "signed_seq", "checkpoint_count", "repair_count", "public_key")
    INTACT_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SEQ_FIELD_NUMBER: _ClassVar[int]
    AUDIT_HEAD_FIELD_NUMBER: _ClassVar[int]
    SIGNED_SEQ_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPAIR_COUNT_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    intact: bool
    fault: AuditFault
    first_seq: int
    audit_seq: int
    audit_head: bytes
    signed_seq: int
    checkpoint_count: int
    repair_count: int
    public_key: bytes
    def __init__(self, intact: bool = ..., fault: _Optional[_Union[AuditFault, _Mapping]] = ..., first_seq: _Optional[int] = ..., audit_seq: _Optional[int] = ..., audit_head: _Optional[bytes] = ..., signed_seq: _Optional[int] = ..., checkpoint_count: _Optional[int] = ..., repair_count: _Optional[int] = ..., public_key: _Optional[bytes] = ...) -> None: ...

class AuditFault(_message.Message):
    __slots__ = ("reason", "file", "line", "seq", "description")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[AuditFault.Reason]
        REASON_MALFORMED: _ClassVar[AuditFault.Reason]
        REASON_CHAIN_BROKEN: _ClassVar[AuditFault.Reason]
        REASON_BAD_SIGNATURE: _ClassVar[AuditFault.Reason]
        REASON_CUT_TAIL: _ClassVar[AuditFault.Reason]
        REASON_UNEXPECTED_HEAD: _ClassVar[AuditFault.Reason]
        REASON_CHECKPOINT_MISSING: _ClassVar[AuditFault.Reason]
    REASON_UNSPECIFIED: AuditFault.Reason
    REASON_MALFORMED: AuditFault.Reason
    REASON_CHAIN_BROKEN: AuditFault.Reason
    REASON_BAD_SIGNATURE: AuditFault.Reason
    REASON_CUT_TAIL: AuditFault.Reason
    REASON_UNEXPECTED_HEAD: AuditFault.Reason
    REASON_CHECKPOINT_MISSING: AuditFault.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    reason: AuditFault.Reason
    file: str
    line: int
    seq: int
    description: str
    def __init__(self, reason: _Optional[_Union[AuditFault.Reason, str]] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., seq: _Optional[int] = ..., description: _Optional[str] = ...) -> None: ...

class ListExposureRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "since", "principal")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    since: _timestamp_pb2.Timestamp
    principal: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., principal: _Optional[str] = ...) -> None: ...

class ListExposureResponse(_message.Message):
    __slots__ = ("exposed_credentials", "next_page_token", "audit_start_time", "fault")
    EXPOSED_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    AUDIT_START_TIME_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    exposed_credentials: _containers.RepeatedCompositeFieldContainer[ExposedCredential]
    next_page_token: str
    audit_start_time: _timestamp_pb2.Timestamp
    fault: AuditFault
    def __init__(self, exposed_credentials: _Optional[_Iterable[_Union[ExposedCredential, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., audit_start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fault: _Optional[_Union[AuditFault, _Mapping]] = ...) -> None: ...

class ExposedCredential(_message.Message):
    __slots__ = ("provider_uid", "credential_version", "data_key_id", "key_versions", "principals", "first_time", "last_time", "access_count")
    PROVIDER_UID_FIELD_NUMBER: _ClassVar[int]
    CREDENTIAL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DATA_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    PRINCIPALS_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    ACCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    provider_uid: str
    credential_version: int
    data_key_id: str
    key_versions: _containers.RepeatedScalarFieldContainer[str]
    principals: _containers.RepeatedScalarFieldContainer[str]
    first_time: _timestamp_pb2.Timestamp
    last_time: _timestamp_pb2.Timestamp
    access_count: int
    def __init__(self, provider_uid: _Optional[str] = ..., credential_version: _Optional[int] = ..., data_key_id: _Optional[str] = ..., key_versions: _Optional[_Iterable[str]] = ..., principals: _Optional[_Iterable[str]] = ..., first_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., access_count: _Optional[int] = ...) -> None: ...
