"""Rotations under fire: two registries on one PostgreSQL, one sidecar, a driver, writers - and kills.

Whatever is killed at whatever moment, every stored credential opens, each is the one that was acknowledged
last, and a rotation that is run to its end leaves one key version.
"""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import codevector_providers
import grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc
from codevector.providers.v1 import provider_pb2, routing_service_pb2, system_service_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1.system_service_pb2_grpc import SystemServiceStub
from codevector_providers import _wire
from codevector_providers.model import CredentialType, ProviderKind
from codevector_providers.opening import Expected, SealedCredential, open_sealed

from service.telemetry import SWEEP_ENDED
from tests.support.servers.harness import PATIENCE_SECONDS, ROOT, Instance
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.registry_pairs import two_registries
from tests.support.storms.rotation_driver import RotationDriver

CALL_SECONDS = 60.0
WRITERS = 3
MOST_OF_A_WRITER = 12
LONGEST_PAUSE_SECONDS = 0.7
VICTIMS = ("first", "first", "second", "second", "sidecar", "sidecar", "driver")
_DESTINATIONS = ("api https://api.openai.com",)
_SEALED_AT_ONCE, _UNWRAPPED_AT_ONCE = 100, 64
_NOT_WRITTEN = frozenset({grpc.StatusCode.ABORTED})
_NOT_KNOWN = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Known:
    """A credential as a client knows it."""

    version: int
    key: str


@dataclass(slots=True)
class Writer:
    """One client with providers of its own. ``uncertain`` has both outcomes of writes that were cut off."""

    name: str
    chance: random.Random
    known: dict[str, Known] = field(default_factory=dict)
    uncertain: dict[str, tuple[Known | None, Known | None]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    done: int = 0

    def write(self, stub: Any) -> None:
        """One write; the names whose state is not known are left alone until they have been looked at."""
        settled = sorted(self.known.keys() - self.uncertain.keys())
        act = self.chance.choice(("create", "replace", "replace", "update", "delete"))
        if not settled or (act == "create" and len(settled) < MOST_OF_A_WRITER):
            name, after = f"providers/{self.name}-{next(self.numbers)}", Known(1, self._key())
            rpc, request = stub.CreateProvider, creation(name, after.key)
            self._call(rpc, request, name, None, after)
            return
        name = self.chance.choice(settled)
        before = self.known[name]
        if act in ("create", "delete"):
            self._call(
                stub.DeleteProvider, pb.DeleteProviderRequest(name=name, force=True), name, before, None
            )
            return
        after = Known(before.version + 1, self._key())
        if act == "replace":
            replacing = pb.SetProviderCredentialRequest(name=name, credential=api_key(after.key))
            self._call(stub.SetProviderCredential, replacing, name, before, after)
            return
        provider = provider_pb2.Provider(name=name, display_name=f"{name} {self.chance.getrandbits(32)}")
        updating = pb.UpdateProviderRequest(provider=provider, credential=api_key(after.key))
        self._call(stub.UpdateProvider, updating, name, before, after)

    def settle(self, there: dict[str, Known]) -> None:
        """Compare with what is there, and take from it how the writes ended that were cut off."""
        mine = {name: each for name, each in there.items() if name.startswith(f"providers/{self.name}-")}
        for name, outcomes in self.uncertain.items():
            assert mine.get(name) in outcomes, f"{name} is half-written"
            self._note(name, mine.get(name))
        self.uncertain.clear()
        assert mine == self.known

    def _call(self, rpc: Any, request: Any, name: str, before: Known | None, after: Known | None) -> None:
        try:
            rpc(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            if error.code() in _NOT_WRITTEN:
                return
            if error.code() not in _NOT_KNOWN:
                raise
            self.uncertain[name] = (before, after)
            return
        self.done += 1
        self._note(name, after)

    def _note(self, name: str, state: Known | None) -> None:
        if state is None:
            self.known.pop(name, None)
        else:
            self.known[name] = state

    def _key(self) -> str:
        return f"sk-proj-{self.chance.randbytes(16).hex()}"


def api_key(key: str) -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=key))


def creation(name: str, key: str) -> pb.CreateProviderRequest:
    provider = provider_pb2.Provider(display_name=name, kind=provider_pb2.PROVIDER_KIND_OPENAI)
    return pb.CreateProviderRequest(
        provider_id=name.partition("/")[2], provider=provider, credential=api_key(key)
    )


@dataclass
class Storm:
    """What runs, who writes, and how to look at all of it."""

    first: Instance
    second: Instance
    chance: random.Random
    pool: ThreadPoolExecutor
    fixed: dict[str, Known] = field(default_factory=dict)
    writers: list[Writer] = field(default_factory=list)
    driver: subprocess.Popen[bytes] | None = None
    kills: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    _starting: dict[str, Future[None]] = field(default_factory=dict)
    _writing: threading.Event = field(default_factory=threading.Event)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _busy: list[threading.Lock] = field(default_factory=list)

    @property
    def admin_socket(self) -> Path:
        return self.first.home / "kms" / "admin.sock"

    def fill(self, count: int) -> None:
        """The credentials that nobody writes: only their wrappers move."""
        for number in range(count):
            key = f"sk-proj-{self.chance.randbytes(16).hex()}"
            self.fixed[f"providers/fixed-{number}"] = Known(1, key)
        stub = self.first.providers

        def write(name: str) -> None:
            stub.CreateProvider(creation(name, self.fixed[name].key), timeout=CALL_SECONDS)

        list(self.pool.map(write, self.fixed))

    def start_driver(self) -> None:
        addresses = (self.first.address, self.second.address)
        self.driver = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.support.storms.rotation_driver",
                str(self.admin_socket),
                *addresses,
            ],
            cwd=ROOT,
            env=self.first.environment,
            stdin=subprocess.DEVNULL,
        )

    def stop_driver(self) -> None:
        if self.driver is not None:
            self.driver.kill()
            self.driver.wait(PATIENCE_SECONDS)
            self.driver = None

    def start_writers(self) -> list[Future[None]]:
        for number in range(WRITERS):
            self.writers.append(Writer(f"w{number}", random.Random(self.chance.random())))
            self._busy.append(threading.Lock())
        self._writing.set()
        return [
            self.pool.submit(self._write, writer, busy)
            for writer, busy in zip(self.writers, self._busy, strict=True)
        ]

    def stop_writers(self) -> None:
        self._stopped.set()
        self._writing.set()

    def kill_and_check(self) -> None:
        """Kill somebody at some moment, have them started again, and look at everything meanwhile."""
        threading.Event().wait(self.chance.uniform(0, LONGEST_PAUSE_SECONDS))
        victim = self.chance.choice(VICTIMS)
        if victim == "driver":
            self.stop_driver()
            self.start_driver()
        elif victim == "sidecar":
            self.first.kill_kms()
            self._starting[victim] = self.pool.submit(self.first.start_kms)
        else:
            other = "second" if victim == "first" else "first"
            for each in (victim, other):
                self.await_start(each)
            killed: Instance = getattr(self, victim)
            killed.kill_service()
            self._starting[victim] = self.pool.submit(killed.start_service)
        self.kills[victim] += 1
        self.await_start("sidecar")
        self.check()

    def await_start(self, who: str) -> None:
        """Until the one who was killed last is back."""
        starting = self._starting.pop(who, None)
        if starting is not None:
            starting.result(timeout=PATIENCE_SECONDS)

    def check(self) -> None:
        """With the writers paused and rotations going on: everything is there and opens."""
        self._writing.clear()
        for lock in self._busy:
            lock.acquire()
        try:
            there = self.read_back()
            assert {name: there.pop(name, None) for name in self.fixed} == self.fixed
            for writer in self.writers:
                writer.settle(there)
            assert there.keys() == {name for writer in self.writers for name in writer.known}
        finally:
            for lock in self._busy:
                lock.release()
            self._writing.set()

    def read_back(self) -> dict[str, Known]:
        """Every credential, from a registry that runs, opened with the router's sidecar and the SDK."""
        made = self.running_registry()
        listed = made.providers.ListProviders(pb.ListProvidersRequest(page_size=1000), timeout=CALL_SECONDS)
        assert listed.next_page_token == ""
        found = {provider.name: provider for provider in listed.providers}
        keys = self.open_all(made, list(found.values()))
        with codevector_providers.connect(made.address, kms_socket=self.first.router_socket) as router:
            for name in self.chance.sample(sorted(self.fixed), 3):
                assert router.credential(name).reveal("api_key") == keys[name]
        self.opened += len(keys)
        return {name: Known(provider.credential.version, keys[name]) for name, provider in found.items()}

    def running_registry(self) -> Instance:
        alive = [name for name in ("first", "second") if name not in self._starting]
        return getattr(self, self.chance.choice(alive))  # type: ignore[no-any-return]

    def open_all(self, made: Instance, providers: Sequence[provider_pb2.Provider]) -> dict[str, str]:
        """The keys by provider. What was moved, and its version retired, since it was read is read again."""
        opened: dict[str, str] = {}
        with grpc.insecure_channel(f"unix:{self.first.router_socket}") as channel:
            router = kms_grpc.KeyManagementServiceStub(channel)
            status = router.GetStatus(kms_pb2.GetStatusRequest(), timeout=CALL_SECONDS)
            deployment_id = bytes.fromhex(status.deployment_id)
            for _ in range(5):
                left = [provider for provider in providers if provider.name not in opened]
                if not left:
                    break
                sealed = fetch_sealed(made, [provider.name for provider in left])
                keys = unwrap(router, list(sealed.values()))
                for provider, key in zip(left, keys, strict=True):
                    if key is not None:
                        opened[provider.name] = open_one(provider, sealed[provider.name], key, deployment_id)
        assert opened.keys() == {provider.name for provider in providers}
        return opened

    def finish(self) -> dict[str, int]:
        """Let everybody come back, rotate once more to the end, and count what is under which version."""
        for who in ("first", "second", "sidecar"):
            self.await_start(who)
        self.stop_writers()
        self.stop_driver()
        driver = RotationDriver(
            str(self.admin_socket), (self.first.address, self.second.address), self.chance
        )
        try:
            primary = self._finish_rotation(driver)
            counts, failures = driver.usage()
        finally:
            driver.close()
        assert failures == []
        for made in (self.first, self.second):
            assert made.channel is not None
            system = SystemServiceStub(made.channel)
            status = system.GetEncryptionStatus(
                system_service_pb2.GetEncryptionStatusRequest(), timeout=CALL_SECONDS
            )
            assert (status.stale_data_key_count, status.quarantined_count) == (0, 0)
            assert status.primary_key_version == status.kms_primary_key_version == primary
        assert counts.keys() == {primary}
        return dict(counts)

    def _finish_rotation(self, driver: RotationDriver) -> str:
        """The driver that was killed last may have left a request behind which is done only now."""
        for _ in range(5):
            try:
                return driver.finish()
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.ABORTED:
                    raise
        return driver.finish()

    def _write(self, writer: Writer, busy: threading.Lock) -> None:
        while not self._stopped.is_set():
            self._writing.wait()
            with busy:
                stub = self._stub(writer)
                if stub is not None and self._writing.is_set() and not self._stopped.is_set():
                    writer.write(stub)
            self._stopped.wait(0.005)

    def _stub(self, writer: Writer) -> Any:
        """One of the registries that are not down just now, if there is one."""
        up = [made for made in (self.first, self.second) if made.channel is not None]
        if not up:
            return None
        try:
            return writer.chance.choice(up).providers
        except AssertionError:  # killed since it was looked at
            return None


def fetch_sealed(made: Instance, names: Sequence[str]) -> dict[str, SealedCredential]:
    """What a router gets of each."""
    sealed: dict[str, SealedCredential] = {}
    for start in range(0, len(names), _SEALED_AT_ONCE):
        some = names[start : start + _SEALED_AT_ONCE]
        request = routing_service_pb2.BatchGetSealedCredentialsRequest(providers=some)
        answer = made.routing.BatchGetSealedCredentials(request, timeout=CALL_SECONDS)
        for name, result in zip(some, answer.results, strict=True):
            assert result.WhichOneof("outcome") == "sealed_credential", (name, result)
            sealed[name] = _wire.sealed_credential(result.sealed_credential)
    return sealed


def unwrap(
    router: kms_grpc.KeyManagementServiceStub, sealed: Sequence[SealedCredential]
) -> list[bytes | None]:
    """The data key of each; None for one that is under a version which opens nothing any more."""
    keys: list[bytes | None] = []
    for start in range(0, len(sealed), _UNWRAPPED_AT_ONCE):
        items = [
            kms_pb2.UnwrapItem(
                wrapped=kms_pb2.WrappedDataKey(
                    wrapped_data_key=each.wrapped_data_key,
                    key_version=each.key_version,
                    commitment=each.commitment,
                    context=each.context,
                )
            )
            for each in sealed[start : start + _UNWRAPPED_AT_ONCE]
        ]
        request = kms_pb2.BatchUnwrapDataKeysRequest(items=items)
        for result in router.BatchUnwrapDataKeys(request, timeout=CALL_SECONDS).results:
            failed = result.WhichOneof("outcome") == "error"
            assert not failed or result.error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0], result
            keys.append(None if failed else result.plaintext)
    return keys


def open_one(
    provider: provider_pb2.Provider, sealed: SealedCredential, key: bytes, deployment_id: bytes
) -> str:
    expected = Expected(
        deployment_id=deployment_id,
        provider_uid=UUID(provider.uid),
        kind=ProviderKind.OPENAI,
        type=CredentialType.API_KEY,
        credential_version=provider.credential.version,
        destinations=_DESTINATIONS,
    )
    return open_sealed(sealed, expected, key)["api_key"]


@contextmanager
def storm(server: PostgresServer, seed: int) -> Iterator[Storm]:
    """Everything running, and gone at the end."""
    with ExitStack() as stack:
        first, second = stack.enter_context(two_registries(server))
        pool = stack.enter_context(ThreadPoolExecutor(WRITERS + 3))
        made = Storm(first, second, random.Random(seed), pool)
        stack.callback(made.stop_driver)
        stack.callback(made.stop_writers)
        yield made


def rage(server: PostgresServer, *, seed: int, kills: int, credentials: int) -> str:
    """A whole storm over so many credentials, and a few more. Returns its result in one line."""
    with storm(server, seed) as made:
        made.fill(credentials)
        started = time.monotonic()
        writing = made.start_writers()
        made.start_driver()
        for _ in range(kills):
            made.kill_and_check()
            ended = [each for each in writing if each.done()]
            assert not ended, ended[0].result()
        killing = time.monotonic() - started
        counts = made.finish()
        for each in writing:
            each.result(timeout=PATIENCE_SECONDS)
        made.check()
        rotations = len(_versions(made)) - 1
        writes = sum(writer.done for writer in made.writers)
        assert writes > kills
        assert rotations > 0
        return (
            f"{kills} kills in {killing:.0f} s ({60 * kills / killing:.0f} a minute): "
            f"{', '.join(f'{count} {who}' for who, count in sorted(made.kills.items()))}; "
            f"{rotations} rotations, {_sweeps(made.first)} and {_sweeps(made.second)} sweeps to the end, "
            f"{writes} writes, {made.opened} credentials opened, 0 lost; "
            f"at the end {sum(counts.values())} under {len(counts)} version"
        )


def _versions(made: Storm) -> list[kms_pb2.KeyVersion]:
    driver = RotationDriver(str(made.admin_socket), (made.first.address,), made.chance)
    try:
        return driver.versions()
    finally:
        driver.close()


def _sweeps(made: Instance) -> int:
    """How many sweeps of its own a registry brought to their end with something moved."""
    lines = (
        json.loads(line)
        for path in (made.home / "test-logs").glob("*-service.err")
        for line in path.read_text().splitlines()
        if line.startswith("{") and line.endswith("}")
    )
    return sum(line["event"] == SWEEP_ENDED and line["moved"] > 0 for line in lines)
