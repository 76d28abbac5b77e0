"""A rotation of real processes: noticed and swept by itself, while the registry serves and routers open."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

import grpc
from codevector.kms.v1 import key_admin_service_pb2 as admin_pb2
from codevector.kms.v1 import key_admin_service_pb2_grpc as admin_grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc
from codevector.providers.v1 import provider_model_pb2, provider_pb2, routing_service_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2 as system_pb2
from codevector.providers.v1 import system_service_pb2_grpc as system_grpc

from tests.support.servers.harness import Instance, running, wait_until

CREDENTIALS = 300
NOTICE_SECONDS = 120.0
DONE = system_pb2.GetEncryptionStatusResponse.SWEEP_STATE_DONE
BLOCKED = system_pb2.GetEncryptionStatusResponse.SWEEP_STATE_BLOCKED


@dataclass(frozen=True)
class Rotated:
    """An installation as its administrator, key administrator and router see it."""

    made: Instance
    admin: admin_grpc.KeyAdminServiceStub
    router: kms_grpc.KeyManagementServiceStub

    @property
    def system(self) -> system_grpc.SystemServiceStub:
        assert self.made.channel is not None
        return system_grpc.SystemServiceStub(self.made.channel)

    def create(self, name: str) -> provider_pb2.Provider:
        return self.made.providers.CreateProvider(
            pb.CreateProviderRequest(
                provider_id=name,
                provider=provider_pb2.Provider(display_name=name, kind=provider_pb2.PROVIDER_KIND_OPENAI),
                credential=a_key(name),
            )
        )

    def replace_credential(self, name: str) -> None:
        self.made.providers.SetProviderCredential(
            pb.SetProviderCredentialRequest(name=f"providers/{name}", credential=a_key(name + "-again"))
        )

    def rotate(self) -> str:
        """Create and activate, and tell the registry nothing. Returns the new primary version."""
        latest = self.admin.ListKeyVersions(admin_pb2.ListKeyVersionsRequest()).key_versions[-1].name
        request = admin_pb2.CreateKeyVersionRequest(request_id=str(uuid.uuid4()), expected_latest=latest)
        version = self.admin.CreateKeyVersion(request).name
        self.admin.ActivateKeyVersion(admin_pb2.ActivateKeyVersionRequest(name=version))
        return version

    def status(self) -> system_pb2.GetEncryptionStatusResponse:
        return self.system.GetEncryptionStatus(system_pb2.GetEncryptionStatusRequest())

    def rewrap(self, **options: bool) -> system_pb2.RewrapDataKeysResponse:
        return self.system.RewrapDataKeys(system_pb2.RewrapDataKeysRequest(**options))

    def digest(self) -> system_pb2.DigestProvidersResponse:
        return self.system.DigestProviders(system_pb2.DigestProvidersRequest())

    def snapshot(self) -> bytes:
        """What routers hold, byte for byte."""
        return self.made.routing.GetRoutingSnapshot(
            routing_service_pb2.GetRoutingSnapshotRequest()
        ).SerializeToString(deterministic=True)

    def sealed(self, *names: str) -> list[routing_service_pb2.SealedCredential]:
        results = self.made.routing.BatchGetSealedCredentials(
            routing_service_pb2.BatchGetSealedCredentialsRequest(
                providers=[f"providers/{one}" for one in names]
            )
        ).results
        return [result.sealed_credential for result in results]

    def all_open(self, *names: str) -> bool:
        """Whether a router gets the data key of each of at most 64 credentials."""
        items = [
            kms_pb2.UnwrapItem(
                wrapped=kms_pb2.WrappedDataKey(
                    wrapped_data_key=one.wrapped_data_key,
                    key_version=one.key_version,
                    commitment=one.commitment,
                    context=one.context,
                )
            )
            for one in self.sealed(*names)
        ]
        answer = self.router.BatchUnwrapDataKeys(kms_pb2.BatchUnwrapDataKeysRequest(items=items))
        return all(result.WhichOneof("outcome") == "plaintext" for result in answer.results)

    def verify(self) -> tuple[int, dict[str, int], list[tuple[str, str]]]:
        """(sound, data keys by the version their wrapper names, failures) over all pages."""
        sound, usage, failures, token = 0, dict[str, int](), list[tuple[str, str]](), ""
        while True:
            page = self.system.VerifyDataKeys(
                system_pb2.VerifyDataKeysRequest(page_size=128, page_token=token)
            )
            sound += page.verified_count
            failures += [(one.resource, one.reason) for one in page.failures]
            for one in page.usage:
                usage[one.key_version] = usage.get(one.key_version, 0) + one.data_key_count
            token = page.next_page_token
            if not token:
                return sound, usage, failures

    def wait_until_done(self, version: str) -> None:
        def done() -> bool:
            status = self.status()
            return status.primary_key_version == version and status.sweep_state == DONE

        wait_until(done, seconds=NOTICE_SECONDS, what="the sweep ends")


def a_key(text: str) -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(
        api_key=provider_pb2.ApiKeyCredential(api_key=f"sk-{text}".ljust(40, "x"))
    )


@contextmanager
def rotated() -> Iterator[Rotated]:
    with ExitStack() as stack:
        made = stack.enter_context(running({"CODEVECTOR_LOG_LEVEL": "info"}))
        admin = stack.enter_context(grpc.insecure_channel(f"unix:{made.home}/kms/admin.sock"))
        router = stack.enter_context(grpc.insecure_channel(f"unix:{made.router_socket}"))
        yield Rotated(made, admin_grpc.KeyAdminServiceStub(admin), kms_grpc.KeyManagementServiceStub(router))


@dataclass
class Worker:
    """Does something again and again in a thread, until stopped; any failure is kept."""

    work: Callable[[int], None]
    rounds: int = 0
    failure: Exception | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                self.work(self.rounds)
            except Exception as error:
                self.failure = error
                return
            self.rounds += 1


@contextmanager
def working(*works: Callable[[int], None]) -> Iterator[list[Worker]]:
    """The works in threads of their own while the block runs; fails if one of them did."""
    workers = [Worker(work) for work in works]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield workers
    finally:
        for worker, thread in zip(workers, threads, strict=True):
            worker._stop.set()
            thread.join()
    for worker in workers:
        if worker.failure is not None:
            raise worker.failure


def test_is_noticed_and_swept_by_itself_while_the_registry_serves() -> None:
    names = [f"p{number:03}" for number in range(CREDENTIALS)]
    with rotated() as installation:
        for name in names:
            installation.create(name)
        first = installation.status().primary_key_version

        def write(number: int) -> None:
            installation.create(f"w{number}")
            installation.replace_credential(f"w{number}")
            installation.replace_credential(names[number % CREDENTIALS])

        def route(number: int) -> None:
            start = number * 61 % CREDENTIALS
            assert installation.all_open(*(names + names)[start : start + 64])

        with working(write, route) as workers:
            second = installation.rotate()

            def moved() -> bool:
                # Nothing here tells the registry: neither a status call nor a credential of this version.
                found = {one.key_version for start in range(0, CREDENTIALS, 100)
                         for one in installation.sealed(*names[start : start + 100])}  # fmt: skip
                return found == {second}

            wait_until(moved, seconds=NOTICE_SECONDS, what="the registry notices and sweeps")
            rounds = [worker.rounds for worker in workers]

            def went_on() -> bool:
                pairs = zip(workers, rounds, strict=True)
                return all(worker.failure or worker.rounds > before + 3 for worker, before in pairs)

            wait_until(went_on, what="writers and routers go on")
        installation.wait_until_done(second)
        written = workers[0].rounds
        sound, usage, failures = installation.verify()
        assert failures == []
        assert usage == {second: sound}
        assert sound == CREDENTIALS + written
        assert first != second


def test_five_leave_no_trace_in_providers_or_in_what_routers_hold() -> None:
    with rotated() as installation:
        provider = installation.create("acme")
        for number in range(60):
            installation.create(f"p{number}")
        installation.made.providers.CreateProviderModel(
            pb.CreateProviderModelRequest(
                parent="providers/acme",
                provider_model=provider_model_pb2.ProviderModel(
                    upstream_model_id="gpt-5", kind=provider_model_pb2.MODEL_KIND_CHAT
                ),
            )
        )
        get = pb.GetProviderRequest(name="providers/acme")
        before = installation.digest(), installation.snapshot(), installation.made.providers.GetProvider(get)
        assert before[0].provider_count == before[0].credential_count == 61
        for _ in range(5):
            version = installation.rotate()
            installation.wait_until_done(version)
            after = (
                installation.digest(),
                installation.snapshot(),
                installation.made.providers.GetProvider(get),
            )
            assert after == before
        assert (after[2].etag, after[2].revision, after[2].update_time) == (
            before[2].etag,
            provider.revision,
            provider.update_time,
        )
        assert installation.verify() == (61, {version: 61}, [])


def test_a_registry_killed_while_it_holds_the_sweep_finishes_it_after_its_restart() -> None:
    names = [f"p{number}" for number in range(40)]
    with rotated() as installation:
        made = installation.made
        for name in names:
            installation.create(name)
        assert made.kms is not None
        before = installation.status().primary_key_version
        version = installation.rotate()
        # Noticed by a call that needs no more than the sidecar's status; then the sweep finds it frozen.
        installation.rewrap(validate_only=True)
        os.kill(made.kms.child.pid, signal.SIGSTOP)
        made.kill_service()
        os.kill(made.kms.child.pid, signal.SIGCONT)
        made.start_service()
        for start in range(0, 40, 20):
            assert installation.all_open(*names[start : start + 20])
        installation.wait_until_done(version)
        assert before != version
        assert installation.verify() == (40, {version: 40}, [])


def test_what_was_corrupted_by_sql_is_quarantined_shown_and_no_success() -> None:
    with rotated() as installation:
        for number in range(20):
            installation.create(f"p{number}")
        with closing(sqlite3.connect(installation.made.home / "registry.db")) as connection:
            connection.execute(
                "UPDATE data_keys "
                "SET wrapped = CAST(substr(wrapped, 1, length(wrapped) - 1) || x'00' AS BLOB) "
                "WHERE dek_id = (SELECT dek_id FROM credentials WHERE provider_id = 'p7')"
            )
            connection.commit()
        installation.rotate()
        wait_until(lambda: installation.rewrap().remaining_count == 0, what="all is moved or quarantined")
        answer = installation.rewrap()
        assert (answer.remaining_count, answer.quarantined_count) == (0, 1)
        status = installation.status()
        assert (status.sweep_state, status.stale_data_key_count, status.quarantined_count) == (BLOCKED, 1, 1)
        assert [(one.resource, one.reason) for one in status.quarantined] == [
            ("providers/p7", "CREDENTIAL_CORRUPT")
        ]
        sound, _, failures = installation.verify()
        assert (sound, failures) == (19, [("providers/p7", "CREDENTIAL_CORRUPT")])
        installation.replace_credential("p7")
        assert installation.status().sweep_state == DONE
        assert installation.verify()[2] == []
