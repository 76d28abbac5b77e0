"""A registry and a sidecar for tests of the command line: real gRPC, state and faults as tests order them."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import grpc
from codevector.kms.v1 import key_admin_service_pb2 as admin_pb
from codevector.kms.v1 import key_admin_service_pb2_grpc, key_management_service_pb2_grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb
from codevector.kms.v1.key_management_service_pb2 import KeyVersion
from codevector.providers.v1 import (
    catalog_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    provider_pb2,
    provider_service_pb2,
    provider_service_pb2_grpc,
    system_service_pb2_grpc,
)
from codevector.providers.v1 import system_service_pb2 as pb
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from cli.__main__ import run
from cli.session import World
from runtime.hardening import connections_of
from runtime.release import release

START = datetime(2026, 4, 15, 8, 0, 0, tzinfo=UTC)
DEPLOYMENT = "01" * 16
PAGE = 40


@dataclass
class Clock:
    """Time that passes by sleeping, and a little with each look."""

    now: datetime = START
    elapsed: float = 0.0
    slept: list[float] = field(default_factory=list)

    def tell(self) -> datetime:
        return self.now + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed += seconds


@dataclass
class Wrapper:
    """A data key: the version its row names and the one its own bytes name, and what is wrong with it."""

    row: str
    inner: str
    sick: str = ""
    failed: int = 0

    @property
    def quarantined(self) -> bool:
        return self.failed >= 3


class Refused(Exception):
    """A fault that a double answers with."""

    def __init__(self, code: int, reason: str, message: str, **metadata: str) -> None:
        super().__init__(message)
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="codevector", metadata=metadata))
        self.status = status_pb2.Status(code=code, message=message, details=[detail])


AWAY = Refused(code_pb2.UNAVAILABLE, "KMS_UNAVAILABLE", "away")


@dataclass
class Installation:
    """All that both servers know. ``before`` and ``after`` see each call, number and name; both may raise."""

    clock: Clock = field(default_factory=Clock)
    versions: list[KeyVersion] = field(default_factory=list)
    requests: dict[str, str] = field(default_factory=dict)
    wrappers: dict[str, Wrapper] = field(default_factory=dict)
    providers: dict[str, provider_pb2.Provider] = field(default_factory=dict)
    release: str = field(default_factory=release)
    recorded: str = ""
    open_files: int = 1 << 20
    break_count: int = 0
    unreadable_rows: list[pb.UnreadableRows] = field(default_factory=list)
    last_break: pb.HistoryBreak | None = None
    notices: bool = True
    revision: int = 7
    store_id: str = "store-1"
    silent_replicas: list[str] = field(default_factory=list)
    routers: dict[str, pb.Router] = field(default_factory=dict)
    rows: bytes = b"rows"
    deployment_id: str = DEPLOYMENT
    vault: bool = False
    healthy: bool = True
    keyring_seq: int = 1
    audit: admin_pb.VerifyAuditResponse = field(
        default_factory=lambda: admin_pb.VerifyAuditResponse(
            intact=True, first_seq=1, audit_seq=10, audit_head=b"h" * 32, signed_seq=9, checkpoint_count=2
        )
    )
    exposure: admin_pb.ListExposureResponse = field(default_factory=admin_pb.ListExposureResponse)
    expected_audits: list[tuple[int, bytes]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    before: Callable[[int, str], None] = lambda number, name: None
    after: Callable[[int, str], None] = lambda number, name: None

    def add_version(self, state: KeyVersion.State, name: str = "") -> KeyVersion:
        version = KeyVersion(
            name=name or f"keyVersions/local-v{len(self.versions) + 1}", state=state, algorithm="AES_256_GCM"
        )
        version.create_time.FromDatetime(self.clock.tell())
        self.versions.append(version)
        return version

    def add_providers(self, count: int) -> None:
        """Providers with a credential each, wrapped under the primary."""
        for index in range(count):
            name = f"providers/p{index:04d}"
            provider = provider_pb2.Provider(name=name, uid=f"uid-{index:04d}")
            provider.credential.version = 1
            self.providers[name] = provider
            self.wrappers[name] = Wrapper(self.primary.name, self.primary.name)
        self.recorded = self.primary.name

    def add_router(self, watcher_id: str, applied: int, *, watching: bool = True) -> pb.Router:
        """A router that was seen now; the one of this name before is no more."""
        router = pb.Router(
            watcher_id=watcher_id, applied_revision=applied, watching=watching, peer="ipv4:127.0.0.1:40512"
        )
        router.seen_time.FromDatetime(self.clock.tell())
        if not watching:
            router.forget_time.FromDatetime(self.clock.tell() + timedelta(minutes=10))
        self.routers[watcher_id] = router
        return router

    @property
    def primary(self) -> KeyVersion:
        return next(each for each in self.versions if each.state == KeyVersion.STATE_PRIMARY)

    def version(self, name: str) -> KeyVersion:
        for each in self.versions:
            if each.name == name:
                return each
        raise Refused(code_pb2.NOT_FOUND, "RESOURCE_NOT_FOUND", f"there is no {name}")

    def notice(self) -> None:
        if self.notices:
            self.recorded = self.primary.name

    def stale(self) -> list[Wrapper]:
        return [each for each in self.wrappers.values() if each.row != self.recorded]


class Doubles(
    system_service_pb2_grpc.SystemServiceServicer,
    model_service_pb2_grpc.ModelServiceServicer,
    provider_service_pb2_grpc.ProviderServiceServicer,
    key_admin_service_pb2_grpc.KeyAdminServiceServicer,
    key_management_service_pb2_grpc.KeyManagementServiceServicer,
):
    """Every method that the command line calls."""

    def __init__(self, made: Installation) -> None:
        self.made = made

    def GetSystemInfo(self, request: Message, _: object) -> pb.GetSystemInfoResponse:  # noqa: N802
        made = self.made
        return pb.GetSystemInfoResponse(
            version=made.release,
            open_file_limit=made.open_files,
            connection_limit=connections_of(made.open_files),
            history_break_count=made.break_count,
            last_history_break=made.last_break,
            unreadable_rows=made.unreadable_rows,
        )

    def GetEncryptionStatus(self, request: Message, _: object) -> pb.GetEncryptionStatusResponse:  # noqa: N802
        made = self.made
        stale = made.stale()
        quarantined = [(name, each) for name, each in made.wrappers.items() if each.quarantined]
        state = pb.GetEncryptionStatusResponse.SWEEP_STATE_DONE
        if stale:
            state = pb.GetEncryptionStatusResponse.SWEEP_STATE_WAITING
        if quarantined and len(stale) == len(quarantined):
            state = pb.GetEncryptionStatusResponse.SWEEP_STATE_BLOCKED
        rows = Counter(each.row for each in made.wrappers.values())
        return pb.GetEncryptionStatusResponse(
            primary_key_version=made.recorded,
            usage=[
                pb.KeyVersionUsage(key_version=name, data_key_count=count) for name, count in rows.items()
            ],
            data_key_count=len(made.wrappers),
            stale_data_key_count=len(stale),
            kms_healthy=made.healthy,
            kms_message="" if made.healthy else "the sidecar is away",
            quarantined_count=len(quarantined),
            sweep_state=state,
            quarantined=[
                pb.RewrapFailure(
                    resource=name, reason=each.sick, failed_count=each.failed, key_version=each.row
                )
                for name, each in quarantined[:100]
            ],
            kms_primary_key_version=made.primary.name,
            keyring_seq=1,
            audit_seq=8,
            audit_head=b"g" * 32,
            deployment_id=made.deployment_id,
        )

    def RewrapDataKeys(self, request: pb.RewrapDataKeysRequest, _: object) -> pb.RewrapDataKeysResponse:  # noqa: N802
        made = self.made
        made.notice()
        failures, moved = [], 0
        if request.release_quarantined:
            for each in made.wrappers.values():
                each.failed = 0
        for name, each in made.wrappers.items():
            if each.row == made.recorded or each.quarantined or moved == min(request.batch_size, PAGE):
                continue
            if each.sick:
                each.failed += 1
                failures.append(
                    pb.RewrapFailure(
                        resource=name, reason=each.sick, failed_count=each.failed, key_version=each.row
                    )
                )
            else:
                each.row = each.inner = made.recorded
                moved += 1
        made.clock.elapsed += 0.1
        stale = made.stale()
        quarantined = sum(each.quarantined for each in made.wrappers.values())
        return pb.RewrapDataKeysResponse(
            rewrapped_count=moved,
            remaining_count=sum(not each.quarantined for each in stale),
            primary_key_version=made.recorded,
            failures=failures,
            quarantined_count=quarantined,
        )

    def VerifyDataKeys(self, request: pb.VerifyDataKeysRequest, _: object) -> pb.VerifyDataKeysResponse:  # noqa: N802
        start = int(request.page_token or 0)
        page = list(self.made.wrappers.items())[start : start + PAGE]
        sick = [(name, each) for name, each in page if each.sick]
        usage = Counter(each.inner for _, each in page if each.inner)
        end = start + PAGE
        return pb.VerifyDataKeysResponse(
            verified_count=len(page) - len(sick),
            failed_count=len(sick),
            usage=[
                pb.KeyVersionUsage(key_version=name, data_key_count=count) for name, count in usage.items()
            ],
            failures=[
                pb.VerifyFailure(resource=name, reason=each.sick, key_version=each.inner)
                for name, each in sick
            ],
            next_page_token=str(end) if end < len(self.made.wrappers) else "",
        )

    def DigestProviders(self, request: Message, _: object) -> pb.DigestProvidersResponse:  # noqa: N802
        made = self.made
        return pb.DigestProvidersResponse(
            sha256=hashlib.sha256(made.rows).digest(),
            provider_count=len(made.providers),
            credential_count=len(made.wrappers),
            revision=made.revision,
            store_id=made.store_id,
        )

    def ListRouters(self, request: pb.ListRoutersRequest, _: object) -> pb.ListRoutersResponse:  # noqa: N802
        made = self.made
        start = int(request.page_token or 0)
        routers = [made.routers[name] for name in sorted(made.routers) if request.filter in name]
        end = start + PAGE
        return pb.ListRoutersResponse(
            routers=routers[start:end],
            next_page_token=str(end) if end < len(routers) else "",
            total_size=len(routers),
            revision=made.revision,
            min_applied_revision=min(
                (each.applied_revision for each in made.routers.values()), default=made.revision
            ),
            silent_replicas=made.silent_replicas,
        )

    def AwaitAppliedRevision(  # noqa: N802
        self, request: pb.AwaitAppliedRevisionRequest, _: object
    ) -> pb.AwaitAppliedRevisionResponse:
        made = self.made
        if request.revision > made.revision:
            raise Refused(code_pb2.OUT_OF_RANGE, "REVISION_AHEAD", f"the registry is at {made.revision}")
        wanted = request.revision or made.revision
        lagging = [each for _, each in sorted(made.routers.items()) if each.applied_revision < wanted]
        if lagging or made.silent_replicas:
            made.clock.elapsed += request.timeout.ToTimedelta().total_seconds()
        return pb.AwaitAppliedRevisionResponse(
            reached=not lagging and not made.silent_replicas,
            revision=wanted,
            router_count=len(made.routers),
            applied_count=len(made.routers) - len(lagging),
            lagging=lagging[:100],
            silent_replicas=made.silent_replicas,
        )

    def ListProviders(self, request: Any, _: object) -> provider_service_pb2.ListProvidersResponse:  # noqa: N802
        start = int(request.page_token or 0)
        providers = list(self.made.providers.values())
        if request.filter == "state = CORRUPT":
            providers = [each for each in providers if each.state == each.STATE_CORRUPT]
        end = start + PAGE
        return provider_service_pb2.ListProvidersResponse(
            providers=providers[start:end],
            next_page_token=str(end) if end < len(providers) else "",
            total_size=len(providers),
        )

    def ListProviderModels(  # noqa: N802
        self, request: Message, _: object
    ) -> provider_service_pb2.ListProviderModelsResponse:
        return provider_service_pb2.ListProviderModelsResponse()

    def ListModels(self, request: Message, _: object) -> model_service_pb2.ListModelsResponse:  # noqa: N802
        return model_service_pb2.ListModelsResponse()

    def ListCatalogs(self, request: Message, _: object) -> provider_service_pb2.ListCatalogsResponse:  # noqa: N802
        return provider_service_pb2.ListCatalogsResponse(catalogs=[catalog_pb2.Catalog(name="catalogs/x")])

    def ListKeyVersions(self, request: Message, _: object) -> admin_pb.ListKeyVersionsResponse:  # noqa: N802
        return admin_pb.ListKeyVersionsResponse(key_versions=self.made.versions)

    def CreateKeyVersion(self, request: admin_pb.CreateKeyVersionRequest, _: object) -> KeyVersion:  # noqa: N802
        made = self.made
        if request.request_id in made.requests:
            return made.version(made.requests[request.request_id])
        latest = made.versions[-1].name
        if request.expected_latest != latest:
            raise Refused(
                code_pb2.ABORTED, "CONFLICT", f"the newest version is {latest}", current_latest=latest
            )
        if made.vault:
            made.primary.state = KeyVersion.STATE_DECRYPT_ONLY
        version = made.add_version(KeyVersion.STATE_PRIMARY if made.vault else KeyVersion.STATE_PENDING)
        made.requests[request.request_id] = version.name
        return version

    def ActivateKeyVersion(self, request: Any, _: object) -> KeyVersion:  # noqa: N802
        version = self.made.version(request.name)
        if version.state == KeyVersion.STATE_PRIMARY:
            return version
        if version.state != KeyVersion.STATE_PENDING:
            raise _state(version, "cannot become primary")
        self.made.primary.state = KeyVersion.STATE_DECRYPT_ONLY
        version.state = KeyVersion.STATE_PRIMARY
        return version

    def DisableKeyVersion(self, request: Any, _: object) -> KeyVersion:  # noqa: N802
        version = self.made.version(request.name)
        if version.state == KeyVersion.STATE_PRIMARY or not request.confirmed_unreferenced:
            raise _state(version, "cannot be disabled")
        version.state = KeyVersion.STATE_DISABLED
        return version

    def EnableKeyVersion(self, request: Any, _: object) -> KeyVersion:  # noqa: N802
        version = self.made.version(request.name)
        version.state = KeyVersion.STATE_DECRYPT_ONLY
        return version

    def ScheduleKeyVersionDestruction(self, request: Any, _: object) -> KeyVersion:  # noqa: N802
        version = self.made.version(request.name)
        version.state = KeyVersion.STATE_DESTROY_SCHEDULED
        wait = timedelta(seconds=request.delay.seconds or 30 * 86400)
        version.destroy_time.FromDatetime(self.made.clock.tell() + wait)
        return version

    def CancelKeyVersionDestruction(self, request: Any, _: object) -> KeyVersion:  # noqa: N802
        version = self.made.version(request.name)
        version.state = KeyVersion.STATE_DISABLED
        version.ClearField("destroy_time")
        return version

    def VerifyAudit(self, request: Any, _: object) -> admin_pb.VerifyAuditResponse:  # noqa: N802
        self.made.expected_audits.append((request.expected_seq, request.expected_head))
        return self.made.audit

    def ListExposure(self, request: Any, _: object) -> admin_pb.ListExposureResponse:  # noqa: N802
        return self.made.exposure

    def GetStatus(self, request: Message, _: object) -> kms_pb.GetStatusResponse:  # noqa: N802
        made = self.made
        answer = kms_pb.GetStatusResponse(
            backend=kms_pb.GetStatusResponse.BACKEND_LOCAL_KEYRING,
            primary_key_version=made.primary.name,
            wrap_healthy=made.healthy,
            unwrap_healthy=made.healthy,
            deployment_id=DEPLOYMENT,
            keyring_seq=made.keyring_seq,
            audit_seq=10,
        )
        answer.server_time.FromDatetime(made.clock.tell())
        return answer


def _state(version: KeyVersion, why: str) -> Refused:
    return Refused(code_pb2.FAILED_PRECONDITION, "KEY_VERSION_STATE", f"{version.name} {why}")


class _Ordered(grpc.ServerInterceptor):
    """Counts calls, lets the tests have their faults, and turns them into statuses."""

    def __init__(self, made: Installation) -> None:
        self.made = made

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        name = details.method.rpartition("/")[2]

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            self.made.calls.append(name)
            number = len(self.made.calls)
            try:
                self.made.before(number, name)
                answer = handler.unary_unary(request, context)
                self.made.after(number, name)
            except Refused as refused:
                self._abort(context, refused)
            return answer

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _abort(self, context: grpc.ServicerContext, refused: Refused) -> NoReturn:
        context.abort_with_status(rpc_status.to_status(refused.status))
        raise AssertionError("abort_with_status returned")


@dataclass
class Told:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class Bench:
    """Doubles that serve, and a home for the command line."""

    made: Installation
    home: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> Told:
        """One command, in this process, with the clock of the installation."""
        out, err = io.StringIO(), io.StringIO()
        clock = self.made.clock
        world = World(
            environment=self.environment,
            stdin=io.StringIO(),
            stdout=out,
            stderr=err,
            now=clock.tell,
            monotonic=clock.monotonic,
            sleep=clock.sleep,
            random=lambda: 0.5,
            ask_secret=lambda prompt: "",
        )
        code = run(arguments, world)
        return Told(int(code), out.getvalue(), err.getvalue())

    def receipts(self) -> Sequence[Path]:
        return sorted((self.home / "receipts").glob("rotation-2*.json"))


@contextmanager
def serving(made: Installation) -> Iterator[Bench]:
    """Both servers for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="cvd", dir="/tmp") as folder:
        home = Path(folder)
        (home / "kms").mkdir()
        server = grpc.server(
            ThreadPoolExecutor(4), interceptors=[_Ordered(made)], options=[("grpc.so_reuseport", 0)]
        )
        doubles = Doubles(made)  # type: ignore[abstract]
        system_service_pb2_grpc.add_SystemServiceServicer_to_server(doubles, server)
        provider_service_pb2_grpc.add_ProviderServiceServicer_to_server(doubles, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(doubles, server)
        key_admin_service_pb2_grpc.add_KeyAdminServiceServicer_to_server(doubles, server)
        key_management_service_pb2_grpc.add_KeyManagementServiceServicer_to_server(doubles, server)
        port = server.add_insecure_port("127.0.0.1:0")
        for role in ("registry", "router", "admin"):
            server.add_insecure_port(f"unix:{home}/kms/{role}.sock")
        server.start()
        try:
            yield Bench(made, home, {"CODEVECTOR_HOME": folder, "CODEVECTOR_GRPC_PORT": str(port)})
        finally:
            server.stop(None).wait()
