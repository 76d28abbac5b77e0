"""The registry's client of the sidecar: what it accepts, and what it says when the sidecar fails."""

from __future__ import annotations

import socket as sockets
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from google.rpc import code_pb2, status_pb2

from service.domain.errors import Reason, Unavailable
from service.sealing.kms_client import DataKey, KmsClient
from service.sealing.wrappers import key_version_of
from tests import kms_double, oracle_envelope
from tests.kms_double import KmsDouble, serving


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
