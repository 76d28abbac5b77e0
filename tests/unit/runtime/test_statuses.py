"""A status as it is made, sent and read."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details_pb2
from google.rpc import status_pb2

from runtime import statuses
from runtime.statuses import Details, Violation


def made(*details: Message) -> status_pb2.Status:
    return statuses.make(
        grpc.StatusCode.ABORTED, "no", reason="ETAG_MISMATCH", metadata={"current": "2"}, details=details
    )


class TestMake:
    def test_the_error_info_comes_first_and_once(self) -> None:
        status = made(details_pb2.BadRequest())
        assert [detail.TypeName() for detail in status.details] == [
            "google.rpc.ErrorInfo",
            "google.rpc.BadRequest",
        ]
        info = details_pb2.ErrorInfo()
        status.details[0].Unpack(info)
        assert info.domain == statuses.DOMAIN
        assert (status.code, status.message) == (10, "no")

    @pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: str(code.name))
    def test_a_code_comes_back_as_it_was(self, code: grpc.StatusCode) -> None:
        assert statuses.code_of(statuses.make(code, "", reason="R", metadata={})) is code

    def test_a_number_that_is_no_code_is_unknown(self) -> None:
        assert statuses.code_of(status_pb2.Status(code=999)) is grpc.StatusCode.UNKNOWN


class TestRead:
    def test_reason_and_metadata(self) -> None:
        assert statuses.read(made()) == Details(reason="ETAG_MISMATCH", metadata={"current": "2"})

    def test_fields(self) -> None:
        bad = details_pb2.BadRequest(
            field_violations=[
                details_pb2.BadRequest.FieldViolation(
                    field="a.b", description="is required", reason="required"
                )
            ]
        )
        read = statuses.read(made(bad))
        assert read.fields == (Violation("a.b", "is required", "required"),)
        assert str(read.fields[0]) == "a.b: is required"

    def test_preconditions(self) -> None:
        failed = details_pb2.PreconditionFailure(
            violations=[details_pb2.PreconditionFailure.Violation(type="T", subject="s", description="d")]
        )
        assert statuses.read(made(failed)).preconditions == (Violation("s", "d", "T"),)

    def test_the_pause_before_the_next_try(self) -> None:
        retry = details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))
        assert statuses.read(made(retry)).retry_seconds == 1.5

    def test_no_pause_is_not_a_pause_of_nothing(self) -> None:
        assert statuses.read(made()).retry_seconds is None

    def test_other_types_are_left_out(self) -> None:
        assert statuses.read(made(details_pb2.Help())) == statuses.read(made())

    def test_a_detail_that_does_not_parse_is_left_out(self) -> None:
        status = made()
        status.details.add(type_url="type.googleapis.com/google.rpc.BadRequest", value=b"\xff")
        assert statuses.read(status) == statuses.read(made())

    def test_a_bare_status_says_nothing(self) -> None:
        assert statuses.read(status_pb2.Status(code=5, message="no")) == Details()


class TestStatusOf:
    def test_an_error_that_is_no_call_has_none(self) -> None:
        assert statuses.status_of(grpc.RpcError()) is None
