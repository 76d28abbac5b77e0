from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor
PROVIDER_NAME_FIELD_NUMBER: _ClassVar[int]
provider_name: _descriptor.FieldDescriptor
PROVIDER_PARENT_FIELD_NUMBER: _ClassVar[int]
provider_parent: _descriptor.FieldDescriptor
PROVIDER_ID_FIELD_NUMBER: _ClassVar[int]
provider_id: _descriptor.FieldDescriptor
PROVIDER_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
provider_model_name: _descriptor.FieldDescriptor
MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
model_name: _descriptor.FieldDescriptor
MODEL_ID_FIELD_NUMBER: _ClassVar[int]
model_id: _descriptor.FieldDescriptor
CATALOG_NAME_FIELD_NUMBER: _ClassVar[int]
catalog_name: _descriptor.FieldDescriptor
CATALOG_VERSION_FIELD_NUMBER: _ClassVar[int]
catalog_version: _descriptor.FieldDescriptor
LABEL_KEY_FIELD_NUMBER: _ClassVar[int]
label_key: _descriptor.FieldDescriptor
PRICE_FIELD_NUMBER: _ClassVar[int]
price: _descriptor.FieldDescriptor
ONE_LINE_FIELD_NUMBER: _ClassVar[int]
one_line: _descriptor.FieldDescriptor
ASCII_FIELD_NUMBER: _ClassVar[int]
ascii: _descriptor.FieldDescriptor
AWS_REGION_FIELD_NUMBER: _ClassVar[int]
aws_region: _descriptor.FieldDescriptor
AWS_ACCESS_KEY_ID_FIELD_NUMBER: _ClassVar[int]
aws_access_key_id: _descriptor.FieldDescriptor
GCP_PROJECT_FIELD_NUMBER: _ClassVar[int]
gcp_project: _descriptor.FieldDescriptor
GCP_LOCATION_FIELD_NUMBER: _ClassVar[int]
gcp_location: _descriptor.FieldDescriptor
CURRENCY_FIELD_NUMBER: _ClassVar[int]
currency: _descriptor.FieldDescriptor
PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
plan_digest: _descriptor.FieldDescriptor
