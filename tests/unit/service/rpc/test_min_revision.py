"""`x-min-revision`: what is answered from the table waits for what the caller has seen."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import grpc
import pytest
from codevector.providers.v1 import provider_service_pb2, routing_service_pb2, system_service_pb2
from google.protobuf.duration_pb2 import Duration

from service.domain.history import parse_token
from tests.support.servers.api import SECONDS, Api, before_the_deadline, refusal_of, refused

Call = Callable[..., Any]
MOST = 2**63 - 1


def snapshot(api: Api) -> Call:
    return partial(api.instance.routing.GetRoutingSnapshot, routing_service_pb2.GetRoutingSnapshotRequest())


def models(api: Api) -> Call:
    return partial(
        api.instance.routing.ListActiveProviderModels, routing_service_pb2.ListActiveProviderModelsRequest()
    )


def filtered(api: Api) -> Call:
    request = routing_service_pb2.ListActiveProviderModelsRequest(filter='labels.tier = "none"')
    return partial(api.instance.routing.ListActiveProviderModels, request)


def report(api: Api) -> Call:
    return partial(
        api.instance.routing.ReportAppliedRevision,
        routing_service_pb2.ReportAppliedRevisionRequest(watcher_id="of-no-watch"),
    )


def credentials(api: Api) -> Call:
    return partial(
        api.instance.routing.BatchGetSealedCredentials,
        routing_service_pb2.BatchGetSealedCredentialsRequest(providers=["providers/missing"]),
    )


def watch(api: Api) -> Call:
    def first(**options: Any) -> Any:
        stream = api.instance.routing.WatchRouting(routing_service_pb2.WatchRoutingRequest(), **options)
        message = next(stream)
        stream.cancel()
        return message

    return first


def wait(api: Api) -> Call:
    return partial(
        api.instance.system.AwaitAppliedRevision,
        system_service_pb2.AwaitAppliedRevisionRequest(timeout=Duration()),
    )


ALL = [snapshot, models, filtered, report, credentials, watch, wait]


def asking(call: Call, wanted: object, *, seconds: float = SECONDS) -> Any:
    return call(timeout=seconds, metadata=[("x-min-revision", str(wanted))])


@pytest.mark.parametrize("of", ALL)
class TestEveryCall:
    def test_is_answered_where_the_table_has_it(self, api: Api, of: Callable[[Api], Call]) -> None:
        api.create()
        for wanted in ("0", api.trailers["x-revision"], api.trailers["x-revision-token"]):
            asking(of(api), wanted)

    def test_is_refused_what_is_neither_a_number_nor_a_token(
        self, api: Api, of: Callable[[Api], Call]
    ) -> None:
        for wanted in ("newest", "-1", "1.0", str(MOST + 1), "9" * 5000):
            found = refused(lambda wanted=wanted: asking(of(api), wanted))  # type: ignore[misc]
            assert (found.code, found.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("x-min-revision",))
            assert found.reason == "INVALID_FIELD"

    def test_is_unavailable_where_the_table_does_not_come_to_it(
        self, api: Api, of: Callable[[Api], Call]
    ) -> None:
        found = refusal_of(before_the_deadline(lambda: error_of(of(api))))
        assert (found.code, found.reason) == (grpc.StatusCode.UNAVAILABLE, "REVISION_NOT_REACHED")
        assert found.metadata == {
            "current_revision": str(api.snapshot().revision),
            "min_revision": str(MOST),
        }
        assert found.retry_seconds


def error_of(call: Call) -> grpc.RpcError:
    """Return how a call ends that waits for what does not come; raises where its deadline ended it."""
    with pytest.raises(grpc.RpcError) as caught:
        asking(call, MOST, seconds=1)
    error = caught.value
    assert isinstance(error, grpc.Call)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        raise error
    return error


class TestWaiting:
    def test_ends_with_the_write(self, api: Api) -> None:
        wanted = api.snapshot().revision + 1
        with ThreadPoolExecutor(len(ALL)) as pool:
            waiting = [pool.submit(asking, of(api), wanted) for of in ALL]
            api.create()
            assert waiting[0].result(SECONDS).snapshot.revision >= wanted
            for one in waiting:
                one.result(SECONDS)

    def test_other_services_read_the_database(self, api: Api) -> None:
        request = provider_service_pb2.ListProvidersRequest()
        asking(partial(api.instance.providers.ListProviders, request), "not even a number")


class TestTokens:
    def test_of_a_lost_write_are_told_so(self, api: Api) -> None:
        api.create()
        own = parse_token(api.trailers["x-revision-token"])
        assert own is not None
        lost = [
            (replace(own, content_id=uuid4()), "STORE_CHANGED"),
            (replace(own, store_id=uuid4()), "STORE_CHANGED"),
            (replace(own, revision=MOST), "REVISION_AHEAD"),
        ]
        for token, reason in lost:
            found = refused(lambda token=token: asking(snapshot(api), token))  # type: ignore[misc]
            assert (found.code, found.reason) == (grpc.StatusCode.OUT_OF_RANGE, reason)
            assert found.metadata == {"current_revision": str(api.snapshot().revision)}
