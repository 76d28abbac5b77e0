"""A rotation here, while serving, beside MLflow's `mlflow crypto rotate-kek` on as many secrets."""

from __future__ import annotations

import random
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc
from codevector.providers.v1 import provider_pb2, provider_service_pb2_grpc, system_service_pb2_grpc
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2 as system_pb2

from benchmarks.installation import fill, process, rotate, some_wrapped, verify
from benchmarks.mlflow_gateway import VERSION, Gateway, Spent, install, upstream
from benchmarks.processes import Server
from tests.support.servers.harness import instance
from tools.steps import StepFailed

ENDPOINTS = 9
"""Of MLflow: the first is called all along, the others for the first time after the rotation."""
NO_SUCH_KEK = 999
"""A KEK that no secret is under: its rotation is the command's own start."""
THEIRS = f"MLflow {VERSION} `rotate-kek`, server stopped"
NOTHING = "the same command with nothing to rotate"


@dataclass(slots=True)
class Calls:
    """What a client that calls all along got."""

    good: int = 0
    bad: int = 0
    worst_seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.good:,} of {self.good + self.bad:,}, slowest {self.worst_seconds:.2f} s"


@dataclass(frozen=True, slots=True)
class Trial:
    """One rotation under calls."""

    seconds: float
    opens: Calls
    creates: Calls
    total: int
    left: int
    """Under the former key when the rotation says it is done."""
    opened_after: str
    new_after: str


@dataclass(frozen=True, slots=True)
class Ours:
    """An installation of this project, serving."""

    home: Path
    kms: Server
    service: Server
    admin: grpc.Channel
    router: grpc.Channel
    registry: grpc.Channel
    secrets: int

    @property
    def system(self) -> system_service_pb2_grpc.SystemServiceStub:
        return system_service_pb2_grpc.SystemServiceStub(self.registry)

    def rotate(self) -> Spent:
        before = self.kms.cpu_seconds() + self.service.cpu_seconds()
        seconds = rotate(self.admin, self.system)
        return Spent(seconds, self.kms.cpu_seconds() + self.service.cpu_seconds() - before)

    def trial(self) -> Trial:
        """Rotate while a client opens and another creates."""
        unwraps = kms_grpc.KeyManagementServiceStub(self.router)
        items = [kms_pb2.UnwrapItem(wrapped=one) for one in some_wrapped(self.home)]

        def opens() -> bool:
            request = kms_pb2.BatchUnwrapDataKeysRequest(items=[random.choice(items)])
            outcome: str | None = unwraps.BatchUnwrapDataKeys(request).results[0].WhichOneof("outcome")
            return outcome == "plaintext"

        with _calling(opens) as opened, _calling(self.creates) as created:
            seconds = self.rotate().seconds
        status = self.system.GetEncryptionStatus(system_pb2.GetEncryptionStatusRequest())
        total = self.secrets + created.good
        assert status.data_key_count == total
        new = self.creates()
        sound = verify(self.system)
        return Trial(
            seconds,
            opened,
            created,
            total,
            status.stale_data_key_count,
            f"{sound - 1:,} of {total:,}",
            f"{int(new and sound == total + 1)} of 1, no restart",
        )

    def creates(self) -> bool:
        provider = provider_pb2.Provider(
            display_name=f"Bench {uuid.uuid4()}", kind=provider_pb2.PROVIDER_KIND_OPENAI
        )
        key = provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key="sk-" + "c" * 40))
        stub = provider_service_pb2_grpc.ProviderServiceStub(self.registry)
        return bool(stub.CreateProvider(pb.CreateProviderRequest(provider=provider, credential=key)).etag)


@dataclass(slots=True)
class Theirs:
    """MLflow's store, and the KEK it is under."""

    gateway: Gateway
    secrets: int
    kek: int = 1
    restarts: list[float] = field(default_factory=list)

    def rotate(self) -> Spent:
        """With no server, as its documentation wants it."""
        spent = self.gateway.rotate_kek(self.kek)
        self.kek += 1
        assert self.gateway.under(self.kek) == self.secrets
        return spent

    def trial(self) -> Trial:
        """Rotate under a running server, against its documentation, then start it anew with the new KEK."""
        numbers = iter(range(1_000_000))
        with self.gateway.serving(self.kek) as server:
            self.restarts.append(server.started_seconds)
            assert server.chat("endpoint-0")
            with (
                _calling(lambda: server.chat("endpoint-0")) as opened,
                _calling(lambda: bool(server.create_secret(f"during-{next(numbers)}"))) as created,
            ):
                seconds = self.gateway.rotate_kek(self.kek).seconds
            left = self.gateway.under(self.kek)
            uncached = [f"endpoint-{number}" for number in range(1, ENDPOINTS)]
            before = sum(map(server.chat, uncached))
            server.create_endpoint("after", server.create_secret("after"))
            new_before = server.chat("after")
        self.kek += 1
        with self.gateway.serving(self.kek) as server:
            self.restarts.append(server.started_seconds)
            after, new_after = sum(map(server.chat, uncached)), server.chat("after")
        return Trial(
            seconds,
            opened,
            created,
            self.secrets + created.good,
            left,
            f"{before} of {len(uncached)}; restarted with the new key {after} of {len(uncached)}",
            f"{int(new_before)} of 1; restarted with the new key {int(new_after)} of 1",
        )


def mlflow(secrets: int, rounds: int) -> None:
    """Both in turn on the same machine, then one rotation each under calls."""
    try:
        install()
    except StepFailed as failure:
        raise SystemExit(f"MLflow cannot be installed here, so nothing is compared: {failure}") from None
    with _ours(secrets) as ours, tempfile.TemporaryDirectory(prefix="bench-") as directory, upstream() as url:
        theirs = Theirs(Gateway(Path(directory) / "mlflow.db", url), secrets)
        theirs.gateway.fill(secrets, ENDPOINTS)
        steps: dict[str, Callable[[], Spent]] = {
            "here, serving: requested until all moved": ours.rotate,
            THEIRS: theirs.rotate,
            NOTHING: lambda: theirs.gateway.rotate_kek(NO_SUCH_KEK),
        }
        spent: dict[str, list[Spent]] = {name: [] for name in steps}
        for _ in range(rounds):
            for name in random.sample(list(steps), len(steps)):
                spent[name].append(steps[name]())
        trials = {"here": ours.trial(), f"MLflow {VERSION}": theirs.trial()}
    print(f"\n## Rotation beside MLflow: {secrets:,} secrets, SQLite, medians of {rounds}\n")
    print("| what | seconds | CPU seconds | CPU µs a secret, without the start |")
    print("|---|---|---|---|")
    for name, values in spent.items():
        cpu = median(one.cpu for one in values)
        start = median(one.cpu for one in spent[NOTHING]) if name == THEIRS else 0
        each = "" if name == NOTHING else f"{(cpu - start) / secrets * 1e6:,.0f}"
        print(f"| {name} | {median(one.seconds for one in values):.2f} | {cpu:.2f} | {each} |")
    print(f"| MLflow's server, from start to its first response | {median(theirs.restarts):.2f} | | |")
    _print_trials(trials)


def _print_trials(trials: dict[str, Trial]) -> None:
    print("\nOne rotation each while serving calls, which MLflow's documentation forbids:\n")
    print("| | " + " | ".join(trials) + " |")
    print("|---|" + "---|" * len(trials))
    rows: dict[str, Callable[[Trial], object]] = {
        "seconds": lambda one: f"{one.seconds:.2f}",
        "credentials opened meanwhile": lambda one: one.opens,
        "credentials created meanwhile": lambda one: one.creates,
        "left under the former key at the end": lambda one: f"{one.left:,} of {one.total:,}",
        "old credentials that open afterwards": lambda one: one.opened_after,
        "a credential created afterwards opens": lambda one: one.new_after,
    }
    for name, cell in rows.items():
        print(f"| {name} | " + " | ".join(str(cell(one)) for one in trials.values()) + " |")


@contextmanager
def _ours(secrets: int) -> Iterator[Ours]:
    with instance({"CODEVECTOR_LOG_LEVEL": "info"}) as made, process(made, "kms", "kms serving") as kms:
        fill(made, secrets)
        with (
            process(made, "service", "service serving") as service,
            grpc.insecure_channel(made.address) as registry,
            grpc.insecure_channel(f"unix:{made.home}/kms/admin.sock") as admin,
            grpc.insecure_channel(f"unix:{made.router_socket}") as router,
        ):
            yield Ours(made.home, kms, service, admin, router, registry, secrets)


@contextmanager
def _calling(call: Callable[[], bool]) -> Iterator[Calls]:
    """A client that calls, one call after the other, for as long as the block lasts."""
    done, calls = threading.Event(), Calls()

    def client() -> None:
        while not done.is_set():
            started = time.perf_counter()
            try:
                good = call()
            except (grpc.RpcError, OSError, ValueError):  # ValueError: a response that is not JSON
                good = False
            calls.worst_seconds = max(calls.worst_seconds, time.perf_counter() - started)
            calls.good, calls.bad = calls.good + good, calls.bad + (not good)

    thread = threading.Thread(target=client)
    thread.start()
    try:
        yield calls
    finally:
        done.set()
        thread.join()
