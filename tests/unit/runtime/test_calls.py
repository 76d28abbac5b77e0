"""Calls of a real server on loopback, and of servers that are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc import error_details_pb2, status_pb2

from runtime import statuses
from runtime.calls import CallRefused, Metadata, Peer, closing, no_metadata
from runtime.statuses import Violation

Behaviour = Callable[[Empty, grpc.ServicerContext], Empty]


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """A server with one method, /test.Test/Call; its address."""
    handler = grpc.unary_unary_rpc_method_handler(
        behaviour, request_deserializer=Empty.FromString, response_serializer=Empty.SerializeToString
    )
    server = grpc.server(
        ThreadPoolExecutor(2), handlers=[grpc.method_handlers_generic_handler("test.Test", {"Call": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def call(
    target: str,
    *,
    seconds: float = 20.0,
    socket: Path | None = None,
    metadata: Callable[[], Metadata] = no_metadata,
    request_id: str | None = None,
) -> Empty:
    peer = Peer("the server", target, socket=socket, metadata=metadata)
    rpc = peer.channel.unary_unary(
        "/test.Test/Call", request_serializer=Empty.SerializeToString, response_deserializer=Empty.FromString
    )
    with closing(peer):
        return peer.call(rpc, Empty(), seconds=seconds, request_id=request_id)


def refused(target: str, **options: object) -> CallRefused:
    with pytest.raises(CallRefused) as caught:
        call(target, **options)  # type: ignore[arg-type]
    return caught.value


def refusing(status: status_pb2.Status, *more: tuple[str, str]) -> Behaviour:
    def behaviour(_: Empty, context: grpc.ServicerContext) -> Empty:
        context.abort_with_status(statuses.Aborted(status, *more))
        raise AssertionError

    return behaviour


class TestSent:
    @staticmethod
    def sent(**options: object) -> list[tuple[str, str | bytes]]:
        seen: list[tuple[str, str | bytes]] = []

        def behaviour(_: Empty, context: grpc.ServicerContext) -> Empty:
            seen.extend((key, value) for key, value in context.invocation_metadata())
            return Empty()

        with serving(behaviour) as target:
            call(target, **options)  # type: ignore[arg-type]
        return seen

    def test_a_request_id_of_its_own_for_each_call(self) -> None:
        first, second = (dict(self.sent())["x-request-id"] for _ in range(2))
        assert first != second

    def test_the_request_id_of_the_caller(self) -> None:
        assert ("x-request-id", "mine-1") in self.sent(request_id="mine-1")

    def test_what_the_hook_returns(self) -> None:
        assert ("authorization", "Bearer t") in self.sent(metadata=lambda: (("authorization", "Bearer t"),))

    def test_the_hook_is_asked_for_each_call(self) -> None:
        tokens = iter(("one", "two"))
        seen: list[str | bytes] = []

        def behaviour(_: Empty, context: grpc.ServicerContext) -> Empty:
            seen.append(dict(context.invocation_metadata())["token"])
            return Empty()

        with serving(behaviour) as target:
            peer = Peer("the server", target, metadata=lambda: (("token", next(tokens)),))
            rpc = peer.channel.unary_unary(
                "/test.Test/Call",
                request_serializer=Empty.SerializeToString,
                response_deserializer=Empty.FromString,
            )
            with closing(peer):
                peer.call(rpc, Empty())
                peer.call(rpc, Empty())
        assert seen == ["one", "two"]


class TestRefused:
    STATUS = statuses.make(
        grpc.StatusCode.INVALID_ARGUMENT,
        "a.b is required",
        reason="INVALID_FIELD",
        metadata={"field": "a.b"},
        details=[
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field="a.b", description="is required", reason="required"
                    )
                ]
            )
        ],
    )

    def test_all_that_the_server_said(self) -> None:
        with serving(refusing(self.STATUS, ("x-request-id", "theirs"))) as target:
            error = refused(target, request_id="mine")
        assert str(error) == "the server: a.b is required"
        assert error.status == "INVALID_ARGUMENT"
        assert error.refusal.reason == "INVALID_FIELD"
        assert error.refusal.metadata == {"field": "a.b"}
        assert error.refusal.fields == (Violation("a.b", "is required", "required"),)
        assert error.refusal.request_id == "theirs"

    def test_the_request_id_that_was_sent_where_the_server_names_none(self) -> None:
        with serving(refusing(self.STATUS)) as target:
            assert refused(target, request_id="mine").refusal.request_id == "mine"

    def test_the_token_is_not_in_it(self) -> None:
        with serving(refusing(self.STATUS)) as target:
            error = refused(target, metadata=lambda: (("authorization", "Bearer canary-token"),))
        assert "canary-token" not in f"{error!r} {error.refusal!r}"
        assert error.__cause__ is None
        assert error.__suppress_context__

    @pytest.mark.parametrize(
        ("code", "retryable"),
        [
            (grpc.StatusCode.UNAVAILABLE, True),
            (grpc.StatusCode.DEADLINE_EXCEEDED, True),
            (grpc.StatusCode.RESOURCE_EXHAUSTED, True),
            (grpc.StatusCode.ABORTED, False),
            (grpc.StatusCode.INTERNAL, False),
        ],
        ids=lambda value: getattr(value, "name", str(value)),
    )
    def test_retryable(self, code: grpc.StatusCode, retryable: bool) -> None:
        with serving(refusing(statuses.make(code, "no", reason="R", metadata={}))) as target:
            assert refused(target).retryable is retryable


class TestSilence:
    def test_a_port_that_nobody_listens_on(self) -> None:
        with serving(lambda request, context: request) as target:
            pass
        error = refused(target)
        assert str(error) == "the server: cannot connect: is it running?"
        assert error.status == "UNAVAILABLE"
        assert error.refusal.reason == ""
        assert error.refusal.request_id == ""
        assert error.refusal.metadata["grpc"]

    def test_a_socket_that_does_not_exist(self, tmp_path: Path) -> None:
        socket = tmp_path / "s.sock"
        error = refused(f"unix:{socket}", socket=socket)
        assert str(error) == "the server: the socket does not exist: is the sidecar running?"

    def test_a_server_that_takes_too_long(self) -> None:
        released = Event()

        def slow(request: Empty, context: grpc.ServicerContext) -> Empty:
            context.add_callback(released.set)
            released.wait(60)
            return request

        with serving(slow) as target:
            error = refused(target, seconds=0.1)
        assert str(error) == "the server: no response in time"
        assert error.status == "DEADLINE_EXCEEDED"
        assert error.retryable

    def test_an_error_of_grpc_itself_keeps_its_text(self) -> None:
        def bug(request: Empty, context: grpc.ServicerContext) -> Empty:
            context.abort(grpc.StatusCode.INTERNAL, "a proxy's words")
            return request

        with serving(bug) as target:
            assert str(refused(target)) == "the server: a proxy's words"
