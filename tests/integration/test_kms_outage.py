"""The outage matrix: what works and what does not while the sidecar is gone, hangs, or is slow."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from codevector.providers.v1 import provider_pb2, routing_service_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2 as system_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from tests.integration.test_rotation import Rotated, a_key, rotated
from tests.support.servers.api import KINDS, Api, api_key
from tests.support.servers.harness import Instance, running, wait_until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
CALL_SECONDS = 30.0
LIVENESS = (
    "",
    "codevector.providers.v1.ProviderService",
    "codevector.providers.v1.RoutingService",
    "codevector.providers.v1.SystemService",
)
CAPABILITIES = ("kms.wrap", "kms.unwrap")

Operation = Callable[[Rotated], object]


def draft(name: str) -> provider_pb2.Provider:
    return provider_pb2.Provider(display_name=name, kind=provider_pb2.PROVIDER_KIND_OPENAI)


def create(installation: Rotated, *, validate_only: bool = False) -> object:
    request = pb.CreateProviderRequest(
        provider_id="new", provider=draft("new"), credential=a_key("new"), validate_only=validate_only
    )
    return installation.made.providers.CreateProvider(request, timeout=CALL_SECONDS)


def replace(installation: Rotated) -> object:
    request = pb.SetProviderCredentialRequest(name="providers/p1", credential=a_key("again"))
    return installation.made.providers.SetProviderCredential(request, timeout=CALL_SECONDS)


def live_without_keys(installation: Rotated) -> None:
    """A provider without a credential through its whole life, and one with a credential to its end."""
    providers = installation.made.providers
    compatible = provider_pb2.Provider(
        display_name="Keyless",
        kind=provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE,
        config=provider_pb2.ProviderConfig(
            openai_compatible=provider_pb2.OpenAICompatibleConfig(base_url="https://llm.example.com/v1")
        ),
    )
    providers.CreateProvider(pb.CreateProviderRequest(provider_id="keyless", provider=compatible))
    providers.DisableProvider(pb.DisableProviderRequest(name="providers/p2"))
    providers.EnableProvider(pb.EnableProviderRequest(name="providers/p2"))
    providers.DeleteProvider(pb.DeleteProviderRequest(name="providers/keyless"))
    providers.DeleteProvider(pb.DeleteProviderRequest(name="providers/p3"))


NEED_THE_SIDECAR: dict[str, Operation] = {
    "create": create,
    "replace": replace,
    "rewrap": lambda at: at.system.RewrapDataKeys(system_pb2.RewrapDataKeysRequest(), timeout=CALL_SECONDS),
    "verify": lambda at: at.system.VerifyDataKeys(system_pb2.VerifyDataKeysRequest(), timeout=CALL_SECONDS),
}
NEED_IT_NOT: dict[str, Operation] = {
    "preview": lambda at: create(at, validate_only=True),
    "get": lambda at: at.made.providers.GetProvider(pb.GetProviderRequest(name="providers/p1")),
    "list": lambda at: at.made.providers.ListProviders(pb.ListProvidersRequest()),
    "snapshot": lambda at: at.snapshot(),
    "page": lambda at: at.made.routing.ListActiveProviderModels(
        routing_service_pb2.ListActiveProviderModelsRequest()
    ),
    "sealed credentials": lambda at: at.sealed("p0", "p1"),
    "digest": lambda at: at.digest(),
    "life": live_without_keys,
}


def kms_pid(made: Instance) -> int:
    assert made.kms is not None
    return made.kms.child.pid


@contextmanager
def killed(made: Instance) -> Iterator[None]:
    made.kill_kms()
    yield
    made.start_kms()


@contextmanager
def hung(made: Instance) -> Iterator[None]:
    os.kill(kms_pid(made), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kms_pid(made), signal.SIGCONT)


def works(pid: int) -> bool:
    """Whether one of a process's threads computes, waits for a core or writes to a disk."""
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            if path.read_text().rpartition(")")[2].split()[0] in "RD":
                return True
    return False


@contextmanager
def slow(made: Instance) -> Iterator[None]:
    """It is stopped for 0.4 s, again and again, once it has had 0.1 s and has done what there was to do."""
    over = threading.Event()

    def hinder() -> None:
        while not over.is_set():
            os.kill(kms_pid(made), signal.SIGSTOP)
            over.wait(0.4)
            os.kill(kms_pid(made), signal.SIGCONT)
            over.wait(0.1)
            while works(kms_pid(made)) and not over.is_set():
                over.wait(0.01)

    hinders = threading.Thread(target=hinder)
    hinders.start()
    try:
        yield
    finally:
        over.set()
        hinders.join()


def health(installation: Rotated, name: str) -> int:
    channel = installation.made.channel
    assert channel is not None
    check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
    return int(check(health_pb2.HealthCheckRequest(service=name), timeout=CALL_SECONDS).status)


def refusal_of(operation: Operation, installation: Rotated) -> grpc.RpcError | None:
    try:
        operation(installation)
    except grpc.RpcError as error:
        return error
    return None


def check_refused(error: grpc.RpcError | None) -> None:
    """UNAVAILABLE, with the reason and when to come back."""
    assert isinstance(error, grpc.Call)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    status = rpc_status.from_call(error)
    assert status is not None
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for message in (info, retry):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    assert info.reason == "KMS_UNAVAILABLE"
    assert 0 < retry.retry_delay.ToMilliseconds() <= 5000


@pytest.mark.parametrize("outage", [killed, hung])
def test_away(outage: Callable[[Instance], Iterator[None]]) -> None:
    with rotated() as installation:
        for number in range(10):
            installation.create(f"p{number}")
        wait_until(
            lambda: all(health(installation, name) == SERVING for name in CAPABILITIES), what="healthy"
        )
        before = installation.digest()
        with outage(installation.made):  # type: ignore[attr-defined]
            with ThreadPoolExecutor(len(NEED_THE_SIDECAR)) as pool:
                for error in pool.map(lambda one: refusal_of(one, installation), NEED_THE_SIDECAR.values()):
                    check_refused(error)
            assert installation.digest() == before
            status = installation.status()
            assert not status.kms_healthy
            assert status.kms_message
            assert status.data_key_count == 10
            for name, operation in NEED_IT_NOT.items():
                assert refusal_of(operation, installation) is None, name
            wait_until(
                lambda: all(health(installation, name) == NOT_SERVING for name in CAPABILITIES),
                what="capabilities say that they are gone",
            )
            assert all(health(installation, name) == SERVING for name in LIVENESS)
        wait_until(lambda: refusal_of(create, installation) is None, what="creates work again")
        for name, operation in NEED_THE_SIDECAR.items():
            assert name == "create" or refusal_of(operation, installation) is None, name
        wait_until(
            lambda: all(health(installation, name) == SERVING for name in CAPABILITIES), what="healthy"
        )
        installation.wait_until_done(installation.rotate())
        assert installation.verify()[2] == []


def test_slow() -> None:
    with rotated() as installation:
        for number in range(10):
            installation.create(f"p{number}")
        with slow(installation.made):
            for name, operation in {**NEED_IT_NOT, **NEED_THE_SIDECAR}.items():
                assert refusal_of(operation, installation) is None, name
            installation.wait_until_done(installation.rotate())
        assert installation.verify()[2] == []


class TestTheSidecarComesBack:
    def test_creates_work_again_and_deletes_never_need_it(self) -> None:
        with running() as instance:
            api = Api(instance)
            doomed = api.create(kind=KINDS.PROVIDER_KIND_OPENAI, credential=api_key())
            instance.stop_kms()
            api.delete(doomed.name)
            instance.start_kms()
            made = api.create(kind=KINDS.PROVIDER_KIND_OPENAI, credential=api_key())
            assert made.credential.version == 1
