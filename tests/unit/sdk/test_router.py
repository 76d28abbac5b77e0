"""The router against a registry and a sidecar on real sockets, which the tests make misbehave."""

from __future__ import annotations

import asyncio
import gc
import socket as sockets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import codevector_providers as sdk
import grpc
import httpx
import pytest
from codevector.providers.v1 import model_pb2, provider_model_pb2, provider_pb2
from codevector.providers.v1 import routing_service_pb2 as pb
from codevector_providers import router as _router
from google.rpc import code_pb2

from tests.support.doubles import kms_double, registry_double
from tests.support.doubles.kms_double import KmsDouble
from tests.support.doubles.loopback import Recorder, listening
from tests.support.doubles.registry_double import RegistryDouble, Watch
from tests.support.values.envelope_vectors import load
from tests.support.values.wire_values import KEY, NAME, entry, replaced, sealed, snapshot

Reason = sdk.ResetReason
PATIENCE_SECONDS = 60.0


def put(*models: str) -> list[pb.RoutingChange]:
    """Provider models of these names, as changes."""
    return [pb.RoutingChange(provider_model=model(name)) for name in models]


def removed(name: str) -> pb.RoutingChange:
    return pb.RoutingChange(removed=name)


def model(name: str) -> pb.ActiveProviderModel:
    return pb.ActiveProviderModel(
        name=f"{NAME}/models/{name}", provider=NAME, kind=provider_model_pb2.MODEL_KIND_CHAT
    )


@dataclass
class Stage:
    registry: RegistryDouble
    kms: KmsDouble
    address: str
    socket: Path
    routers: list[sdk.Router] = field(default_factory=list)

    def router(self, **options: object) -> sdk.Router:
        router = sdk.Router(
            self.address,
            **{  # type: ignore[arg-type]
                "kms_socket": self.socket,
                "watcher_id": "test",
                "max_reconnect_seconds": 0.05,
                "deadline_seconds": PATIENCE_SECONDS,
                **options,
            },
        )
        self.routers.append(router)
        return router


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    registry = RegistryDouble(snapshot=snapshot(entry()), sealed={NAME: sealed()})
    registry.snapshot.provider_models.append(model("a"))
    kms = KmsDouble()
    with (
        registry_double.serving(registry) as address,
        kms_double.serving(kms, tmp_path / "router.sock") as socket,
    ):
        made = Stage(registry, kms, address, socket)
        try:
            yield made
        finally:
            for router in made.routers:
                router.close()


def names(router: sdk.Router) -> list[str]:
    return sorted(name.rpartition("/")[2] for name in router.table.provider_models)


def wait_until(router: sdk.Router, holds: Callable[[sdk.RouterStatus], bool]) -> sdk.RouterStatus:
    """The status once something holds of it; polled, since not all of it is told by the table."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.01)):
        status = router.status()
        if holds(status):
            return status
        pause.wait(0.01)
    raise AssertionError(f"still {status}")


class TestFollowing:
    def test_the_first_table_is_a_snapshot(self, stage: Stage) -> None:
        router = stage.router()
        assert names(router) == ["a"]
        status = wait_until(router, lambda status: status.connected)
        assert (status.store_id, status.revision, status.resets) == ("s", 1, (Reason.INITIAL,))
        assert (status.providers, status.provider_models, status.models) == (1, 1, 0)
        assert 0 <= status.age_seconds < PATIENCE_SECONDS
        assert status.last_error is None
        request = stage.registry.watch(1).request
        assert (request.watcher_id, request.resume_token) == ("test", "")
        assert request.bookmark_interval.seconds == 15

    def test_changes_one_after_the_other(self, stage: Stage) -> None:
        router = stage.router()
        registry = stage.registry
        registry.watch(1).send(
            registry.change_set(2, *put("b", "c")), registry.change_set(4, removed(f"{NAME}/models/a"))
        )
        assert router.wait_for(4, seconds=PATIENCE_SECONDS)
        assert names(router) == ["b", "c"]
        assert router.table.revision == 4

    def test_what_is_not_newer_is_ignored(self, stage: Stage) -> None:
        router = stage.router()
        registry = stage.registry
        registry.watch(1).send(
            registry.change_set(3, *put("b")),
            registry.change_set(3, *put("again")),
            registry.change_set(2, removed(f"{NAME}/models/b")),
            registry.bookmark(1),
            registry.change_set(4, *put("c")),
        )
        assert router.wait_for(4, seconds=PATIENCE_SECONDS)
        assert names(router) == ["a", "b", "c"]

    def test_bookmarks_move_the_revision(self, stage: Stage) -> None:
        router = stage.router()
        stage.registry.watch(1).send(stage.registry.bookmark(9))
        assert router.wait_for(9, seconds=PATIENCE_SECONDS)
        assert names(router) == ["a"]

    def test_a_snapshot_is_in_use_once_it_is_whole(self, stage: Stage) -> None:
        router = stage.router()
        assert names(router) == ["a"]
        watch = stage.registry.watch(1)
        first, last = (
            pb.WatchRoutingResponse(store_id="other"),
            pb.WatchRoutingResponse(store_id="other", revision=1),
        )
        first.snapshot_chunk.CopyFrom(
            pb.SnapshotChunk(
                first=True, reason=pb.SnapshotChunk.REASON_STORE_CHANGED, provider_models=[model("x")]
            )
        )
        last.snapshot_chunk.CopyFrom(pb.SnapshotChunk(last=True, provider_models=[model("y")]))
        watch.send(first, pb.WatchRoutingResponse(store_id="other", bookmark=pb.Bookmark()))
        assert not router.wait_for(2, seconds=0.05)
        assert names(router) == ["a"]
        watch.send(last)
        status = wait_until(router, lambda status: status.store_id == "other")
        assert names(router) == ["x", "y"]
        assert status.resets == (Reason.INITIAL, Reason.STORE_CHANGED)

    def test_a_table_that_was_taken_stays(self, stage: Stage) -> None:
        router = stage.router()
        before = router.table
        stage.registry.watch(1).send(stage.registry.change_set(2, removed(f"{NAME}/models/a")))
        assert router.wait_for(2, seconds=PATIENCE_SECONDS)
        assert list(before.provider_models) == [f"{NAME}/models/a"]
        assert list(router.table.provider_models) == []

    def test_what_a_newer_registry_says(self, stage: Stage) -> None:
        """Events, changes and reasons that this library does not know are signs of life and no more."""
        router = stage.router()
        registry = stage.registry
        unknown = pb.WatchRoutingResponse(store_id="s", revision=2)
        registry.watch(1).send(
            unknown, registry.change_set(3, pb.RoutingChange()), registry.change_set(4, *put("b"))
        )
        assert router.wait_for(4, seconds=PATIENCE_SECONDS)
        assert names(router) == ["a", "b"]
        registry.watch(1).send(registry.chunk(99))  # type: ignore[arg-type]
        assert wait_until(router, lambda status: status.revision == 1).resets[-1] is Reason.UNSPECIFIED

    def test_a_database_that_was_put_back(self, stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
        router = stage.router()
        stage.registry.watch(1).send(
            stage.registry.bookmark(7), stage.registry.chunk(pb.SnapshotChunk.REASON_REVISION_AHEAD)
        )
        status = wait_until(router, lambda status: len(status.resets) == 2)
        assert (status.resets[-1], status.revision) == (Reason.REVISION_AHEAD, 1)
        assert "another history" in caplog.text

    @pytest.mark.parametrize(
        ("reason", "opened_again"),
        [
            (pb.SnapshotChunk.REASON_REVISION_AHEAD, True),
            (pb.SnapshotChunk.REASON_STORE_CHANGED, True),
            (pb.SnapshotChunk.REASON_COMPACTED, False),
        ],
    )
    def test_no_credential_of_another_history_is_used(
        self, stage: Stage, reason: pb.SnapshotChunk.Reason, opened_again: bool
    ) -> None:
        """Version numbers repeat there: the same one may be of another secret."""
        router = stage.router()
        assert router.credential(NAME)
        stage.registry.watch(1).send(stage.registry.chunk(reason))
        wait_until(router, lambda status: len(status.resets) == 2)
        assert router.credential(NAME)
        assert stage.registry.fetch_count == (2 if opened_again else 1)


class TestTakingUpAgain:
    def failed(self, watch: Watch) -> None:
        watch.fail()

    def ended(self, watch: Watch) -> None:
        watch.end()

    def drained(self, watch: Watch) -> None:
        watch.send(
            pb.WatchRoutingResponse(
                store_id="s", revision=5, token="s@5", bookmark=pb.Bookmark(draining=True)
            )
        )

    @pytest.mark.parametrize("how", ["failed", "ended", "drained"])
    def test_resumes_where_it_was(self, stage: Stage, how: str) -> None:
        router = stage.router()
        first = stage.registry.watch(1)
        first.send(stage.registry.bookmark(5))
        assert router.wait_for(5, seconds=PATIENCE_SECONDS)
        getattr(self, how)(first)
        again = stage.registry.watch(2)
        assert again.request.resume_token == "s@5"
        again.send(stage.registry.change_set(6, *put("b")))
        assert router.wait_for(6, seconds=PATIENCE_SECONDS)
        status = router.status()
        assert names(router) == ["a", "b"]
        assert (status.resets, status.breaks) == ((Reason.INITIAL,), 1)

    def test_after_three_bookmarks_that_did_not_come(self, stage: Stage) -> None:
        router = stage.router(bookmark_seconds=1.0)
        assert stage.registry.watch(1).request.bookmark_interval.seconds == 1
        assert stage.registry.watch(2).request.resume_token == "s@1"
        error = router.status().last_error
        assert isinstance(error, sdk.RegistryUnavailable)
        assert "silent for 3 s" in error.message

    def test_a_registry_that_accepts_and_says_nothing(self, stage: Stage) -> None:
        stage.registry.greets = False
        router = stage.router(deadline_seconds=0.2)
        stage.registry.watch(2)
        with pytest.raises(sdk.RegistryUnavailable, match="silent"):
            _ = router.table

    def test_reads_on_while_the_registry_is_away(self, stage: Stage) -> None:
        router = stage.router()
        assert names(router) == ["a"]
        stage.registry.abort = registry_double.status(code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE")
        stage.registry.watch(1).fail()
        status = wait_until(router, lambda status: status.breaks > 3)
        assert not status.connected
        assert isinstance(status.last_error, sdk.RegistryUnavailable)
        assert names(router) == ["a"]
        stage.registry.abort = None
        assert wait_until(router, lambda status: status.connected).resets == (Reason.INITIAL,)
        assert router.status().age_seconds < PATIENCE_SECONDS

    @pytest.mark.parametrize(
        "malformed",
        [
            pb.WatchRoutingResponse(store_id="other", revision=9, change_set=pb.ChangeSet()),
            pb.WatchRoutingResponse(store_id="other", revision=9, bookmark=pb.Bookmark()),
            pb.WatchRoutingResponse(store_id="s", revision=9, snapshot_chunk=pb.SnapshotChunk(last=True)),
        ],
        ids=["change set of no table", "bookmark of no table", "end without a beginning"],
    )
    def test_what_cannot_be_read_starts_over(self, stage: Stage, malformed: pb.WatchRoutingResponse) -> None:
        """The thread lives on, the table stays, and a snapshot takes its place."""
        router = stage.router()
        first = stage.registry.watch(1)
        first.send(stage.registry.change_set(2, *put("b")), malformed)
        again = stage.registry.watch(2)
        assert again.request.resume_token == ""
        status = wait_until(router, lambda status: len(status.resets) == 2)
        assert names(router) == ["a"]
        assert type(status.last_error) is sdk.ProvidersError

    def test_a_change_within_a_snapshot_starts_over(self, stage: Stage) -> None:
        router = stage.router()
        first = stage.registry.watch(1)
        begun = pb.WatchRoutingResponse(store_id="s", snapshot_chunk=pb.SnapshotChunk(first=True))
        first.send(begun, stage.registry.change_set(2, *put("b")))
        assert stage.registry.watch(2).request.resume_token == ""
        assert names(router) == ["a"]

    def test_bytes_that_are_no_message(self, stage: Stage) -> None:
        """What gRPC itself cannot read ends the watch, and the next one resumes."""
        handler: Any = grpc.unary_stream_rpc_method_handler(
            lambda request, context: iter([b"\xff\xff"]),
            response_serializer=lambda octets: octets,
        )
        with serving_watch(handler) as address:
            router = sdk.Router(address, kms_socket=stage.socket, max_reconnect_seconds=0.05)
            with router:
                status = wait_until(router, lambda status: status.breaks > 2)
        assert isinstance(status.last_error, sdk.ProvidersError)


@contextmanager
def serving_watch(handler: Any) -> Iterator[str]:
    """A registry whose watch is this handler."""
    server = grpc.server(ThreadPoolExecutor(2))
    service = grpc.method_handlers_generic_handler(
        "codevector.providers.v1.RoutingService", {"WatchRouting": handler}
    )
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


class TestReports:
    def test_tells_what_it_has_applied(self, stage: Stage) -> None:
        router = stage.router()
        assert names(router) == ["a"]
        stage.registry.wait(lambda: bool(stage.registry.reports))
        stage.registry.watch(1).send(stage.registry.change_set(2, *put("b")), stage.registry.bookmark(3))
        stage.registry.wait(lambda: any(report.token == "s@3" for report in stage.registry.reports))
        for report in stage.registry.reports:
            assert (report.watcher_id, report.stopping) == ("test", False)

    def test_another_router_of_the_same_name_is_another_session(self, stage: Stage) -> None:
        for number in (1, 2):
            stage.router()
            stage.registry.watch(number)
        assert stage.registry.watch(1).request.session != stage.registry.watch(2).request.session

    def test_tells_again_after_taking_up_again(self, stage: Stage) -> None:
        """The registry may have been started anew, and know of no router."""
        stage.router()
        stage.registry.wait(lambda: len(stage.registry.reports) == 1)
        stage.registry.watch(1).fail()
        stage.registry.wait(lambda: len(stage.registry.reports) == 2)
        assert [report.token for report in stage.registry.reports] == ["s@1", "s@1"]

    def test_says_that_it_stops(self, stage: Stage) -> None:
        router = stage.router()
        assert names(router) == ["a"]
        router.close()
        (*_, last) = stage.registry.reports
        assert (last.watcher_id, last.stopping) == ("test", True)
        session = stage.registry.watch(1).request.session
        assert len(session) == 16
        assert {report.session for report in stage.registry.reports} == {session}, "one session throughout"
        router.close()

    def test_stops_without_a_registry(self, stage: Stage) -> None:
        with sockets.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{closed.getsockname()[1]}"
        with sdk.Router(address, kms_socket=stage.socket, deadline_seconds=0.1) as router:
            with pytest.raises(sdk.RegistryUnavailable, match="No routing table yet"):
                router.pick("models/m")
            with pytest.raises(sdk.RegistryUnavailable):
                router.credential(NAME)
            status = router.status()
        assert (status.revision, status.age_seconds, status.connected) == (0, float("inf"), False)
        assert status.watcher_id.startswith(sockets.gethostname())

    def test_nothing_is_left_running(self, stage: Stage) -> None:
        """What gRPC keeps of its own does not grow with the routers that there were."""
        before = set(threading.enumerate())
        for _ in range(10):
            router = stage.router()
            assert names(router) == ["a"]
            router.close()
            assert not any(thread.name.startswith("codevector") for thread in threading.enumerate())
        left = [thread.name for thread in set(threading.enumerate()) - before]
        assert len([name for name in left if not name.startswith("ThreadPoolExecutor")]) < 10, left


class TestPicking:
    def test_one_after_the_other(self, stage: Stage) -> None:
        backends = [
            model_pb2.ModelBackend(provider_model=f"{NAME}/models/{name}", priority=priority, weight=1)
            for name, priority in (("a", 0), ("b", 1))
        ]
        stage.registry.snapshot.provider_models.append(model("b"))
        stage.registry.snapshot.models.append(pb.ActiveModel(name="models/m", backends=backends))
        router = stage.router(rng=lambda: 0.5)
        tried = [route.provider_model.name for route in router.attempts("models/m")]
        assert tried == [f"{NAME}/models/a", f"{NAME}/models/b"]
        assert router.pick("models/m").provider.name == NAME
        with pytest.raises(sdk.ModelNotFound):
            router.pick("models/none")
        with pytest.raises(sdk.ModelNotFound):
            router.attempts("models/none")


class TestCredentials:
    def test_opened_once(self, stage: Stage) -> None:
        router = stage.router()
        assert [router.credential(NAME).reveal("api_key") for _ in range(3)] == [KEY] * 3
        assert stage.kms.unwrap_count == stage.registry.fetch_count == 1
        assert router.status().credentials == 1

    def test_of_a_provider_that_is_disabled(self, stage: Stage) -> None:
        router = stage.router()
        assert router.credential(NAME)
        stage.registry.watch(1).send(stage.registry.change_set(2, removed(NAME)))
        assert router.wait_for(2, seconds=PATIENCE_SECONDS)
        with pytest.raises(sdk.ProviderNotFound):
            router.credential(NAME)
        wait_until(router, lambda status: status.credentials == 0)

    def test_bad_one_beside_good_one(self, stage: Stage) -> None:
        other = "providers/q"
        stage.registry.snapshot.providers.append(entry(name=other))
        stage.registry.sealed[other] = sealed(envelope=bytes(340))
        router = stage.router()
        for _ in range(2):
            with pytest.raises(sdk.CredentialCorrupt):
                router.credential(other)
            assert router.credential(NAME).reveal("api_key") == KEY

    def test_newer_than_the_table(self, stage: Stage) -> None:
        """The registry answers a version of which the watch has not told yet: it is waited for."""
        behind = entry()
        behind.credential_version = 7
        stage.registry.snapshot.CopyFrom(snapshot(behind))
        router = stage.router()
        assert router.provider(NAME).credential_version == 7

        def tell(count: int) -> None:
            if count == 1:
                change = pb.RoutingChange(provider=entry())
                stage.registry.watch(1).send(stage.registry.change_set(2, change))

        stage.registry.on_fetch = tell
        assert router.credential(NAME).version == 1

    def test_an_older_one_that_stays(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        ahead = entry()
        ahead.credential_version = 2
        stage.registry.snapshot.CopyFrom(snapshot(ahead))
        monkeypatch.setattr(_router, "REREAD_SECONDS", 0.1)
        router = stage.router()
        with pytest.raises(sdk.CredentialCorrupt):
            router.credential(NAME)
        assert stage.kms.unwrap_count == 0

    def test_provider_without_one(self, stage: Stage) -> None:
        bare = entry()
        bare.credential_type = provider_pb2.CREDENTIAL_TYPE_UNSPECIFIED
        stage.registry.snapshot.CopyFrom(snapshot(bare))
        with pytest.raises(sdk.NoStoredCredential):
            stage.router().credential(NAME)

    def test_own_rules(self, stage: Stage) -> None:
        router = stage.router(allowed_destinations=["https://gateway.example"])
        with pytest.raises(sdk.DestinationRefused):
            router.credential(NAME)


class TestHttp:
    def sent_with(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"key": request.headers["Authorization"]})

    def test_takes_the_credential_as_it_is(self, stage: Stage) -> None:
        router = stage.router()
        with router.http(NAME, inner=httpx.MockTransport(self.sent_with)) as http:
            assert str(http.base_url) == "https://api.openai.com/v1/"
            assert http.get("models").json() == {"key": f"Bearer {KEY}"}
            assert http.get("models").json() == {"key": f"Bearer {KEY}"}
            assert stage.registry.fetch_count == 1
            self.replace(stage, router)
            assert http.get("models").json() == {"key": "Bearer sk-another"}

    def test_async(self, stage: Stage) -> None:
        router = stage.router()

        async def get() -> list[object]:
            async with router.async_http(NAME, inner=httpx.MockTransport(self.sent_with)) as http:
                before = (await http.get("models")).json()
                self.replace(stage, router)
                return [before, (await http.get("models")).json()]

        assert asyncio.run(get()) == [{"key": f"Bearer {KEY}"}, {"key": "Bearer sk-another"}]

    def test_disabled_meanwhile(self, stage: Stage) -> None:
        router = stage.router()
        with router.http(NAME, inner=httpx.MockTransport(self.sent_with)) as http:
            stage.registry.watch(1).send(stage.registry.change_set(2, removed(NAME)))
            assert router.wait_for(2, seconds=PATIENCE_SECONDS)
            with pytest.raises(sdk.ProviderNotFound):
                http.get("models")

    @staticmethod
    def credentials() -> list[sdk.Credential]:
        """All that are in memory, other tests' too."""
        gc.collect()
        return [one for one in gc.get_objects() if type(one) is sdk.Credential]

    def test_keeps_no_credential(self, stage: Stage) -> None:
        """A client lives long, and what it held would be in memory as long."""
        others = self.credentials()
        router = stage.router()
        with router.http(NAME, inner=httpx.MockTransport(self.sent_with)) as http:
            assert http.get("models").text
            assert len(self.credentials()) == len(others) + 1
            stage.registry.watch(1).send(stage.registry.change_set(2, removed(NAME)))
            wait_until(
                router,
                lambda status: (
                    status.revision == 2 and not status.credentials and len(self.credentials()) == len(others)
                ),
            )

    def test_redirects_and_other_hosts(self, stage: Stage) -> None:
        with listening(Recorder()) as canary:
            with stage.router().http(NAME) as http, pytest.raises(sdk.DestinationRefused):
                http.get(canary.url)
            assert canary.seen == []

    def test_what_signs_has_none(self, stage: Stage) -> None:
        vector = load("bedrock-aws-access-key")
        stage.kms.deployment_id = vector.deployment_id.hex()
        stage.registry.snapshot.CopyFrom(snapshot(entry(vector)))
        stage.registry.sealed[NAME] = sealed(vector)
        router = stage.router()
        for make in (router.http, router.async_http):
            with pytest.raises(sdk.SignerRequired):
                make(NAME)
        assert router.credential(NAME).reveal("secret_access_key")

    def replace(self, stage: Stage, router: sdk.Router) -> None:
        """Replace the credential, and wait until the router knows."""
        provider, stage.registry.sealed[NAME] = replaced("sk-another", 2)
        stage.registry.watch(1).send(stage.registry.change_set(2, pb.RoutingChange(provider=provider)))
        assert router.wait_for(2, seconds=PATIENCE_SECONDS)


class TestColdStart:
    def test_with_the_table_of_an_earlier_process(self, stage: Stage, tmp_path: Path) -> None:
        file = tmp_path / "table"
        router = stage.router(snapshot_file=file)
        stage.registry.watch(1).send(stage.registry.change_set(8, *put("b")))
        assert router.wait_for(8, seconds=PATIENCE_SECONDS)
        router.close()
        stage.registry.abort = registry_double.status(code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE")
        later = stage.router(snapshot_file=file)
        assert names(later) == ["a", "b"]
        status = later.status()
        assert (status.revision, status.resets, status.connected) == (8, (), False)
        assert 0 <= status.age_seconds < PATIENCE_SECONDS + 1
        stage.registry.abort = None
        status = wait_until(later, lambda status: status.resets == (Reason.INITIAL,))
        assert names(later) == ["a"]

    def test_is_not_gone_on_from(self, stage: Stage, tmp_path: Path) -> None:
        """What came between it and a later message is not known."""
        file = tmp_path / "table"
        earlier = stage.router(snapshot_file=file)
        assert names(earlier) == ["a"]
        earlier.close()
        stage.registry.abort = registry_double.status(code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE")
        router = stage.router(snapshot_file=file)
        assert names(router) == ["a"]
        stage.registry.greets = False
        stage.registry.abort = None
        stage.registry.watch(2).send(stage.registry.bookmark(9))
        assert stage.registry.watch(3).request.resume_token == ""
        assert router.table.revision == 1

    def test_is_not_looked_at_where_the_registry_answers(self, stage: Stage, tmp_path: Path) -> None:
        file = tmp_path / "table"
        earlier = stage.router(snapshot_file=file)
        assert names(earlier) == ["a"]
        earlier.close()
        router = stage.router(snapshot_file=file)
        assert stage.registry.watch(2).request.resume_token == ""
        assert names(router) == ["a"]

    def test_garbled(self, stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        file = tmp_path / "table"
        file.write_bytes(b"CVT1" + bytes(400))
        stage.registry.abort = registry_double.status(code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE")
        router = stage.router(snapshot_file=file, deadline_seconds=0.5)
        with pytest.raises(sdk.RegistryUnavailable):
            _ = router.table
        assert "no stored routing table" in caplog.text
        stage.registry.abort = None
        wait_until(router, lambda status: status.revision == 1)
        assert names(router) == ["a"]

    def test_no_place_to_store_it(
        self, stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        router = stage.router(snapshot_file=tmp_path / "no" / "table")
        assert names(router) == ["a"]
        router.close()
        assert "could not be stored" in caplog.text


class TestOptions:
    @pytest.mark.parametrize("seconds", [0.0, 0.99, 15.1, 3600.0, float("nan")])
    def test_bookmarks_by_which_credentials_could_not_live(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="bookmark_seconds"):
            sdk.Router(kms_socket="x.sock", bookmark_seconds=seconds)
