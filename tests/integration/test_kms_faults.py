"""A sidecar that fails in every way we know, met by every operation that needs it.

Each failure is a typed error; nothing is half-written; no wrapper is replaced by one that does not open; and
when the fault is over everything works again by itself.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import codevector_providers
import grpc
import pytest
from codevector.providers.v1 import provider_pb2, system_service_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1.system_service_pb2_grpc import SystemServiceStub
from codevector_providers.errors import ProvidersError

from tests.support.doubles.kms_proxy import FAULTS, SAID, KmsProxy, kms_proxy
from tests.support.servers.api import api_key, refused
from tests.support.servers.harness import Instance, instance, wait_until
from tests.support.storms.rotation_driver import RotationDriver
from tests.support.values.canaries import Canaries

OPENAI = provider_pb2.PROVIDER_KIND_OPENAI
STORED = 7
CALL_SECONDS = 60.0
HURRY_SECONDS = 2.5
"""For calls of a sidecar that never answers."""
AWAY = frozenset({"UNAVAILABLE"})
LATE = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
FINE = frozenset({"OK"})


@dataclass(frozen=True, slots=True)
class Ends:
    """How operations may end under a fault: a status, or the name of the library's error."""

    write: frozenset[str]
    rewrap: frozenset[str]
    verify: frozenset[str]
    unwrap: frozenset[str]


def ends(*, write: frozenset[str], rewrap: frozenset[str], verify: frozenset[str], unwrap: str) -> Ends:
    return Ends(write, rewrap, verify, frozenset(unwrap.split()))


EXPECTED = {
    "refuses": ends(write=AWAY, rewrap=AWAY, verify=AWAY, unwrap="KmsUnavailable"),
    "sealed": ends(write=AWAY, rewrap=AWAY, verify=AWAY, unwrap="KmsUnavailable"),
    "throttled": ends(write=AWAY, rewrap=AWAY, verify=AWAY, unwrap="ProvidersError"),
    "token expired": ends(write=AWAY, rewrap=AWAY, verify=AWAY, unwrap="NotAllowed"),
    "has a bug": ends(write=AWAY, rewrap=AWAY, verify=AWAY, unwrap="ProvidersError"),
    "hangs": ends(write=LATE, rewrap=LATE, verify=LATE, unwrap="KmsUnavailable"),
    "slow": ends(write=FINE, rewrap=FINE, verify=FINE, unwrap="OK"),
    "resets in a batch": ends(write=AWAY, rewrap=AWAY, verify=AWAY, unwrap="KmsUnavailable ProvidersError"),
    "garbage": ends(write=AWAY, rewrap=AWAY, verify=AWAY, unwrap="ProvidersError"),
    "one item in a hundred corrupt": ends(
        write=AWAY, rewrap=FINE, verify=FINE, unwrap="CredentialCorrupt ProvidersError"
    ),
    "one item in a hundred unavailable": ends(write=AWAY, rewrap=FINE, verify=AWAY, unwrap="KmsUnavailable"),
    "reordered": ends(write=FINE, rewrap=FINE, verify=FINE, unwrap="OK"),
    "duplicated": ends(write=AWAY, rewrap=AWAY, verify=AWAY, unwrap="CredentialCorrupt"),
    "the first for all": ends(write=FINE, rewrap=FINE, verify=FINE, unwrap="OK"),
    "one too few": ends(write=AWAY, rewrap=AWAY, verify=AWAY, unwrap="CredentialCorrupt"),
    "empty results": ends(write=AWAY, rewrap=FINE, verify=FINE, unwrap="CredentialCorrupt"),
    "wrong key": ends(write=AWAY, rewrap=FINE, verify=FINE, unwrap="CredentialCorrupt"),
    "stale key version": ends(write=AWAY, rewrap=FINE, verify=FINE, unwrap="OK"),
    "upsert trap": ends(write=AWAY | {"ABORTED"}, rewrap=FINE, verify=FINE, unwrap="OK"),
}


@dataclass
class Installation:
    """Both processes with a proxy between each of them and what it needs of the sidecar."""

    made: Instance
    registry_proxy: KmsProxy
    router_proxy: KmsProxy
    driver: RotationDriver
    canaries: Canaries
    seconds: float = CALL_SECONDS
    keys: dict[str, str] = field(default_factory=dict)
    """Every stored credential as its last acknowledged write left it."""

    @property
    def system(self) -> SystemServiceStub:
        assert self.made.channel is not None
        return SystemServiceStub(self.made.channel)

    def create(self, name: str) -> str:
        request = pb.CreateProviderRequest(
            provider_id=name,
            provider=provider_pb2.Provider(display_name=name, kind=OPENAI),
            credential=api_key(self.canaries.api_key()),
        )
        return self.write(
            name,
            request.credential,
            lambda: self.made.providers.CreateProvider(request, timeout=self.seconds),
        )

    def replace(self, name: str) -> str:
        request = pb.SetProviderCredentialRequest(
            name=f"providers/{name}", credential=api_key(self.canaries.api_key())
        )
        return self.write(
            name,
            request.credential,
            lambda: self.made.providers.SetProviderCredential(request, timeout=self.seconds),
        )

    def update(self, name: str) -> str:
        request = pb.UpdateProviderRequest(
            provider=provider_pb2.Provider(name=f"providers/{name}", display_name=self.canaries.text()[:9]),
            credential=api_key(self.canaries.api_key()),
        )
        return self.write(
            name,
            request.credential,
            lambda: self.made.providers.UpdateProvider(request, timeout=self.seconds),
        )

    def write(self, name: str, credential: provider_pb2.CredentialInput, call: Callable[[], object]) -> str:
        """One write; if it fails it has changed nothing."""
        before = self.stored()
        ended = self.outcome(call)
        if ended == "OK":
            self.keys[name] = credential.api_key.api_key
        else:
            assert self.stored() == before, "half-written"
        return ended

    def rewrap(self) -> str:
        request = system_service_pb2.RewrapDataKeysRequest()
        return self.outcome(lambda: self.system.RewrapDataKeys(request, timeout=self.seconds))

    def verify(self) -> str:
        request = system_service_pb2.VerifyDataKeysRequest()
        return self.outcome(lambda: self.system.VerifyDataKeys(request, timeout=self.seconds))

    def unwrap(self, name: str) -> str:
        """As a router does, through its own proxy."""
        with codevector_providers.connect(
            self.made.address, kms_socket=self.router_proxy.socket, deadline_seconds=self.seconds
        ) as router:
            try:
                opened = router.credential(f"providers/{name}").reveal("api_key")
            except ProvidersError as error:
                refusal = error
            else:
                assert opened == self.keys[name]
                return "OK"
        assert self.canaries.hits("error", f"{refusal} {refusal!r}".encode()) == []
        return type(refusal).__name__

    def outcome(self, call: Callable[[], object]) -> str:
        """How a call of the registry ended. What the sidecar wrote is never passed on."""
        try:
            call()
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:  # by the caller's own clock
                return "DEADLINE_EXCEEDED"
            caught = error
        else:
            return "OK"

        def again() -> object:
            raise caught

        refusal = refused(again)
        assert SAID not in refusal.raw
        if refusal.code is grpc.StatusCode.UNAVAILABLE:
            assert refusal.reason == "KMS_UNAVAILABLE"
            assert refusal.retry_seconds is not None
        return str(refusal.code.name)

    def stored(self) -> tuple[bytes, list[tuple[str, int]], list[str]]:
        """Digest of the providers' rows, which credential has which key, and the keys there are."""
        digest = self.system.DigestProviders(
            system_service_pb2.DigestProvidersRequest(), timeout=CALL_SECONDS
        ).sha256
        with closing(sqlite3.connect(self.made.home / "registry.db")) as database:
            credentials = database.execute("SELECT dek_id, version FROM credentials ORDER BY 1").fetchall()
            data_keys = [row[0] for row in database.execute("SELECT dek_id FROM data_keys ORDER BY 1")]
        assert data_keys == [dek_id for dek_id, _ in credentials]
        return digest, credentials, data_keys

    def recover(self) -> None:
        """With the fault over: everything is moved, sound, and opens."""
        request = system_service_pb2.RewrapDataKeysRequest(release_quarantined=True)

        def all_moved() -> bool:
            try:
                return self.system.RewrapDataKeys(request, timeout=60).remaining_count == 0
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    return False
                raise

        wait_until(all_moved, what="the registry finds its sidecar again")
        counts, failures = self.driver.usage()
        assert failures == []
        assert len(counts) == 1
        for name in self.keys:
            assert self.unwrap(name) == "OK"


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    canaries = Canaries(random.Random(random.getrandbits(64)))
    with instance({"GRPC_VERBOSITY": "debug"}) as made:
        made.start_kms()
        sockets = made.home / "kms"
        with (
            kms_proxy(sockets / "registry.sock", made.home / "registry.sock") as registry_proxy,
            kms_proxy(sockets / "router.sock", made.home / "router.sock") as router_proxy,
        ):
            made.environment["CODEVECTOR_KMS_REGISTRY_SOCKET"] = str(registry_proxy.socket)
            made.start_service()
            driver = RotationDriver(str(sockets / "admin.sock"), [made.address], random.Random(0))
            ready = Installation(made, registry_proxy, router_proxy, driver, canaries)
            for number in range(STORED):
                assert ready.create(f"p{number}") == "OK"
            ready.unwrap("p0")
            driver.rotate()
            ready.recover()
            yield ready
            driver.close()
            made.stop_service()
        made.stop_kms()
        assert canaries.hits_under(made.home) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_every_operation_under(installation: Installation, fault: str) -> None:
    there, expected = installation, EXPECTED[fault]
    proxies = (there.registry_proxy, there.router_proxy)
    there.driver.rotate()
    there.seconds = HURRY_SECONDS if fault == "hangs" else CALL_SECONDS
    with proxies[0].failing(FAULTS[fault]), proxies[1].failing(FAULTS[fault]):
        assert there.create(f"new-{list(FAULTS).index(fault)}") in expected.write
        assert there.replace("p0") in expected.write
        assert there.update("p1") in expected.write
        assert there.rewrap() in expected.rewrap
        assert there.verify() in expected.verify
        assert there.unwrap("p2") in expected.unwrap
        assert all(proxy.met for proxy in proxies)
    there.seconds = CALL_SECONDS
    there.recover()


def test_every_fault_has_its_ends() -> None:
    assert EXPECTED.keys() == FAULTS.keys()
