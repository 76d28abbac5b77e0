"""The registry's client of the sidecar: what it accepts, and what it says when the sidecar fails."""

from __future__ import annotations

import socket as sockets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from google.rpc import code_pb2, status_pb2

from runtime.statuses import TRAILER
from service.domain.errors import FailedPrecondition, Reason, Unavailable
from service.domain.model import StoredWrapper
from service.sealing.kms_client import DataKey, KmsClient, NotPrimary, WrappedDataKey
from service.sealing.kms_failures import ItemFailure
from service.sealing.wrappers import key_version_of
from tests.support.doubles import kms_double
from tests.support.doubles.kms_double import KmsDouble, serving
from tests.support.values import oracle_envelope

OLD_REF = "local-0123abcd-v0-0123456789abcdef"


def data_key(number: int = 0) -> DataKey:
    context = f"context {number}".encode()
    dek = bytes([number % 256]) * 32
    return DataKey(context=context, commitment=oracle_envelope.commitment(dek, context), dek=bytearray(dek))


class TestHonestSidecar:
    def test_status(self, tmp_path: Path) -> None:
        with serving(KmsDouble(), tmp_path / "r.sock") as path, KmsClient(path) as client:
            status = client.status()
        assert status.deployment_id == kms_double.DEPLOYMENT_ID
        assert status.primary_key_version == kms_double.KEY_VERSION
        assert status.accepted_key_versions == (kms_double.KEY_VERSION,)
        assert status.wrap_healthy
        assert status.unwrap_healthy
        assert status.keyring_seq == 7
        assert status.server_time.isoformat() == "2026-04-15T12:00:00+00:00"

    def test_wraps_in_batches_and_keeps_the_order(self, tmp_path: Path) -> None:
        double = KmsDouble()
        keys = [data_key(number) for number in range(300)]
        with serving(double, tmp_path / "r.sock") as path, KmsClient(path) as client:
            wrapped = client.wrap(keys)
        assert double.batch_sizes == [256, 44]
        assert [item.wrapped for item in wrapped] == [kms_double.wrap(bytes(key.dek)) for key in keys]
        assert {item.key_version for item in wrapped} == {kms_double.KEY_VERSION}

    def test_nothing_to_wrap_asks_nothing(self, tmp_path: Path) -> None:
        with KmsClient(tmp_path / "nobody.sock") as client:
            assert client.wrap([]) == ()


class TestRequestIds:
    def test_every_message_and_every_try_carries_the_caller_s(self, tmp_path: Path) -> None:
        double = KmsDouble(abort=grpc.StatusCode.UNAVAILABLE, abort_count=1)
        with (
            serving(double, tmp_path / "r.sock") as path,
            KmsClient(path, sleep=lambda _: None) as client,
        ):
            client.wrap([data_key(number) for number in range(300)], request_id="call-1")
            client.status(request_id="call-2")
            client.verify([stored(0)], request_id="call-3")
            client.rewrap([stored(0)], kms_double.KEY_VERSION, request_id="call-4")
        assert double.request_ids == ["call-1"] * 3 + ["call-2", "call-3", "call-4"]

    def test_none_is_sent_where_there_is_none(self, tmp_path: Path) -> None:
        double = KmsDouble()
        with serving(double, tmp_path / "r.sock") as path, KmsClient(path) as client:
            client.wrap([data_key()])
        assert double.request_ids == []


class Garbled(KmsDouble):
    """Refuses with details that somebody on the way has spoilt."""

    def GetStatus(  # noqa: N802 - the generated name
        self, request: kms_pb2.GetStatusRequest, context: grpc.ServicerContext
    ) -> kms_pb2.GetStatusResponse:
        context.set_trailing_metadata(((TRAILER, b"\xff"),))
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "refused by the test")


def other_context(answer: kms_pb2.BatchWrapDataKeysResponse) -> None:
    answer.results[0].wrapped.context += b"!"


def other_commitment(answer: kms_pb2.BatchWrapDataKeysResponse) -> None:
    answer.results[0].wrapped.commitment = bytes(32)


def other_version(answer: kms_pb2.BatchWrapDataKeysResponse) -> None:
    answer.results[0].wrapped.key_version += "0"


def not_a_wrapper(answer: kms_pb2.BatchWrapDataKeysResponse) -> None:
    answer.results[0].wrapped.wrapped_data_key = b"CVW1"


def too_few(answer: kms_pb2.BatchWrapDataKeysResponse) -> None:
    del answer.results[1:]


def too_many(answer: kms_pb2.BatchWrapDataKeysResponse) -> None:
    answer.results.add()


def exchanged(answer: kms_pb2.BatchWrapDataKeysResponse) -> None:
    first = kms_pb2.WrapResult()
    first.CopyFrom(answer.results[0])
    answer.results[0].CopyFrom(answer.results[1])
    answer.results[1].CopyFrom(first)


def no_outcome(answer: kms_pb2.BatchWrapDataKeysResponse) -> None:
    answer.results[1].Clear()


def item_error(answer: kms_pb2.BatchWrapDataKeysResponse) -> None:
    answer.results[1].error.CopyFrom(status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message="x"))


def first_error(answer: kms_pb2.BatchWrapDataKeysResponse) -> None:
    answer.results[0].error.CopyFrom(status_pb2.Status(code=code_pb2.FAILED_PRECONDITION, message="x"))


class TestWrongAnswers:
    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (other_context, "other values"),
            (other_commitment, "other values"),
            (other_version, "other values"),
            (not_a_wrapper, "other values"),
            (too_few, "other values"),
            (too_many, "other values"),
            (exchanged, "other values"),
            (no_outcome, "other values"),
            (item_error, "no usable primary"),
        ],
    )
    def test_nothing_is_returned(
        self, tmp_path: Path, spoil: Callable[[kms_pb2.BatchWrapDataKeysResponse], None], message: str
    ) -> None:
        with (
            serving(KmsDouble(spoil_wrap=spoil), tmp_path / "r.sock") as path,
            KmsClient(path) as client,
            pytest.raises(Unavailable, match=message) as caught,
        ):
            client.wrap([data_key(1), data_key(2)])
        assert caught.value.reason is Reason.KMS_UNAVAILABLE

    def test_deployment_id_that_is_no_hex(self, tmp_path: Path) -> None:
        with (
            serving(KmsDouble(deployment_id="mine"), tmp_path / "r.sock") as path,
            KmsClient(path) as client,
            pytest.raises(Unavailable, match="other values"),
        ):
            client.status()


class TestFailures:
    @pytest.mark.parametrize(
        ("code", "message"),
        [
            (grpc.StatusCode.UNAVAILABLE, "see that it runs"),
            (grpc.StatusCode.DEADLINE_EXCEEDED, "in time"),
            (grpc.StatusCode.PERMISSION_DENIED, "CODEVECTOR_KMS_REGISTRY_SOCKET"),
            (grpc.StatusCode.INVALID_ARGUMENT, "CODEVECTOR_DEPLOYMENT_ID"),
            (grpc.StatusCode.FAILED_PRECONDITION, "no usable primary"),
            (grpc.StatusCode.INTERNAL, "see its log"),
        ],
    )
    def test_every_status_is_one_error_that_says_what_to_do(
        self, tmp_path: Path, code: grpc.StatusCode, message: str
    ) -> None:
        with serving(KmsDouble(abort=code), tmp_path / "r.sock") as path, KmsClient(path) as client:
            for call in (client.status, lambda: client.wrap([data_key()])):
                with pytest.raises(Unavailable, match=message) as caught:
                    call()
                assert caught.value.reason is Reason.KMS_UNAVAILABLE
                assert caught.value.retry_after_seconds > 0

    def test_details_that_are_no_status(self, tmp_path: Path) -> None:
        with (
            serving(Garbled(), tmp_path / "r.sock") as path,
            KmsClient(path) as client,
            pytest.raises(Unavailable, match="registry's role"),
        ):
            client.status()

    def test_no_sidecar(self, tmp_path: Path) -> None:
        with KmsClient(tmp_path / "nobody.sock") as client, pytest.raises(Unavailable, match="runs"):
            client.wrap([data_key()])

    @pytest.mark.parametrize("timeout_seconds", [0.05, 0.0, -1.0])
    def test_callers_deadline_is_kept(self, tmp_path: Path, timeout_seconds: float) -> None:
        path = tmp_path / "r.sock"
        with sockets.socket(sockets.AF_UNIX) as silent:
            silent.bind(str(path))
            silent.listen()
            with KmsClient(path) as client, pytest.raises(Unavailable):
                client.status(timeout_seconds=timeout_seconds)

    def test_a_sidecar_that_comes_back_is_found(self, tmp_path: Path) -> None:
        path = tmp_path / "r.sock"
        with KmsClient(path) as client:
            with pytest.raises(Unavailable):
                client.status()
            with serving(KmsDouble(), path):
                while True:
                    try:
                        client.status()
                    except Unavailable:
                        continue
                    break


def stored(number: int = 0, *, ref: str = OLD_REF) -> StoredWrapper:
    """A wrapper under a version of the past."""
    key = data_key(number)
    wrapped = kms_double.wrap(bytes(key.dek), ref)
    return StoredWrapper(f"dek-{number}", wrapped, f"keyVersions/{ref}", key.context, key.commitment)


class TestRewrap:
    def test_moves_to_the_primary_and_keeps_the_order(self, tmp_path: Path) -> None:
        double = KmsDouble()
        items = [stored(number) for number in range(300)]
        with serving(double, tmp_path / "r.sock") as path, KmsClient(path) as client:
            moved = client.rewrap(items, kms_double.KEY_VERSION)
        assert double.batch_sizes == [256, 44]
        assert moved == [
            WrappedDataKey(kms_double.wrap(kms_double.unwrap(item.wrapped)), kms_double.KEY_VERSION)
            for item in items
        ]

    def test_tells_that_the_target_is_not_primary(self, tmp_path: Path) -> None:
        with (
            serving(KmsDouble(), tmp_path / "r.sock") as path,
            KmsClient(path) as client,
            pytest.raises(NotPrimary),
        ):
            client.rewrap([stored()], "keyVersions/another")

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (other_context, "WRONG_ANSWER"),
            (other_commitment, "WRONG_ANSWER"),
            (other_version, "WRONG_ANSWER"),
            (not_a_wrapper, "WRONG_ANSWER"),
            (first_error, "FAILED_PRECONDITION"),
        ],
    )
    def test_a_wrong_answer_is_the_failure_of_its_item(
        self, tmp_path: Path, spoil: Callable[[kms_pb2.BatchWrapDataKeysResponse], None], reason: str
    ) -> None:
        with serving(KmsDouble(spoil_wrap=spoil), tmp_path / "r.sock") as path, KmsClient(path) as client:
            first, second = client.rewrap([stored(1), stored(2)], kms_double.KEY_VERSION)
        assert first == ItemFailure(reason)
        assert isinstance(second, WrappedDataKey)

    @pytest.mark.parametrize("spoil", [too_few, too_many])
    def test_an_answer_of_another_length_is_none(
        self, tmp_path: Path, spoil: Callable[[kms_pb2.BatchWrapDataKeysResponse], None]
    ) -> None:
        with (
            serving(KmsDouble(spoil_wrap=spoil), tmp_path / "r.sock") as path,
            KmsClient(path) as client,
            pytest.raises(Unavailable, match="other values"),
        ):
            client.rewrap([stored(1), stored(2)], kms_double.KEY_VERSION)

    def test_what_is_out_of_shape_is_not_sent(self, tmp_path: Path) -> None:
        double = KmsDouble()
        good = stored(1)
        items = [
            replace(good, wrapped=b""),
            replace(good, key_version=kms_double.KEY_VERSION),
            replace(good, commitment=b""),
            replace(good, context=b""),
            good,
        ]
        with serving(double, tmp_path / "r.sock") as path, KmsClient(path) as client:
            outcomes = client.rewrap(items, kms_double.KEY_VERSION)
        assert [getattr(outcome, "reason", None) for outcome in outcomes] == [
            "WRAPPER_MALFORMED",
            "KEY_VERSION_MISMATCH",
            "WRAPPER_MALFORMED",
            "WRAPPER_MALFORMED",
            None,
        ]
        assert double.batch_sizes == [1]

    def test_messages_stay_below_the_limit_of_the_sidecar(self, tmp_path: Path) -> None:
        double = KmsDouble()
        large = replace(stored(1), wrapped=stored(1).wrapped.ljust(8000, b"x"))
        with serving(double, tmp_path / "r.sock") as path, KmsClient(path) as client:
            client.verify([large] * 300)
        assert sum(double.batch_sizes) == 300
        assert max(double.batch_sizes) < 120


class TestVerify:
    def test_tells_of_each_in_order(self, tmp_path: Path) -> None:
        bad = replace(stored(2), commitment=bytes(32))
        with serving(KmsDouble(), tmp_path / "r.sock") as path, KmsClient(path) as client:
            outcomes = client.verify([stored(1), bad, stored(3)])
        assert outcomes == [None, ItemFailure("DATA_LOSS"), None]

    def test_all_messages_together_have_the_callers_time(self, tmp_path: Path) -> None:
        double = KmsDouble()
        with (
            serving(double, tmp_path / "r.sock") as path,
            KmsClient(path, clock=lambda: 4.0 * double.call_count) as client,
        ):
            assert client.verify([stored()] * 3000) == [None] * 3000
            with pytest.raises(Unavailable, match="in time"):
                client.verify([stored()] * 3000, timeout_seconds=6.0)
        assert len(double.batch_sizes) == 3 + 2

    def test_of_a_sidecar_that_may_not_decrypt(self, tmp_path: Path) -> None:
        double = KmsDouble(abort=grpc.StatusCode.FAILED_PRECONDITION)
        with (
            serving(double, tmp_path / "r.sock") as path,
            KmsClient(path) as client,
            pytest.raises(FailedPrecondition) as caught,
        ):
            client.verify([stored()])
        assert caught.value.reason is Reason.KMS_CANNOT_VERIFY


class TestPatience:
    def test_nobody_there_is_tried_again_after_random_pauses(self, tmp_path: Path) -> None:
        double = KmsDouble(abort=grpc.StatusCode.UNAVAILABLE, abort_count=2)
        slept: list[float] = []
        with (
            serving(double, tmp_path / "r.sock") as path,
            KmsClient(path, sleep=slept.append, jitter=lambda low, high: high) as client,
        ):
            client.wrap([data_key()])
        assert double.call_count == 3
        assert slept == [0.1, 0.2]

    @pytest.mark.parametrize(
        "code",
        [code for code in grpc.StatusCode if code not in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)],
    )
    def test_an_answer_is_not_asked_for_again(self, tmp_path: Path, code: grpc.StatusCode) -> None:
        double = KmsDouble(abort=code)
        with (
            serving(double, tmp_path / "r.sock") as path,
            KmsClient(path) as client,
            pytest.raises(Unavailable),
        ):
            client.wrap([data_key()])
        assert double.call_count == 1

    def test_after_failures_in_a_row_nobody_is_made_to_wait(self, tmp_path: Path) -> None:
        now = [0.0]
        double = KmsDouble(abort=grpc.StatusCode.UNAVAILABLE)
        with (
            serving(double, tmp_path / "r.sock") as path,
            KmsClient(path, clock=lambda: now[0], sleep=lambda _: None) as client,
        ):
            for _ in range(5):
                with pytest.raises(Unavailable):
                    client.wrap([data_key()])
            asked = double.call_count
            with pytest.raises(Unavailable, match="left alone") as caught:
                client.wrap([data_key()])
            assert double.call_count == asked
            assert 0 < caught.value.retry_after_seconds <= 0.5
            double.abort = None
            now[0] += 0.5
            assert client.wrap([data_key()])
            assert client.wrap([data_key()])

    def test_a_healthy_status_closes_the_circuit(self, tmp_path: Path) -> None:
        double = KmsDouble(abort=grpc.StatusCode.UNAVAILABLE)
        with (
            serving(double, tmp_path / "r.sock") as path,
            KmsClient(path, clock=lambda: 0.0, sleep=lambda _: None) as client,
        ):
            for _ in range(5):
                with pytest.raises(Unavailable):
                    client.wrap([data_key()])
            double.abort = None
            client.status()
            assert client.wrap([data_key()])


class TestKeyVersionOf:
    @pytest.mark.parametrize(
        "wrapper",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"CVW1\x01\x01\x00", id="cut head"),
            pytest.param(b"CVW2\x01\x01\x00\x01abc", id="other magic"),
            pytest.param(b"CVW1\x01\x02\x00\x01abc", id="other suite"),
            pytest.param(b"CVW1\x01\x01\x00\x00abc", id="empty reference"),
            pytest.param(b"CVW1\x01\x01\x00\x09abc", id="cut reference"),
            pytest.param(b"CVW1\x01\x01\x00\x01\xffabc", id="not ASCII"),
        ],
    )
    def test_no_wrapper(self, wrapper: bytes) -> None:
        assert key_version_of(wrapper) is None

    def test_wrapper(self) -> None:
        assert key_version_of(kms_double.wrap(bytes(32))) == kms_double.KEY_VERSION


def test_a_data_key_does_not_show_itself() -> None:
    assert "dek" not in repr(data_key(1))
