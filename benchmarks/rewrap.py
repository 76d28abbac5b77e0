"""A whole rotation while serving, against the floor: bare AES-GCM and a bulk compare-and-swap, one thread."""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import grpc
from codevector.kms.v1 import key_admin_service_pb2 as admin_pb2
from codevector.kms.v1 import key_admin_service_pb2_grpc as admin_grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc
from codevector.providers.v1 import system_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2_grpc
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import insert, update

from benchmarks.processes import ROOT
from service.domain.credentials import parse_material, shown_prefix
from service.domain.model import (
    CredentialType,
    CredentialView,
    Provider,
    ProviderConfig,
    ProviderKind,
    SealedCredential,
    State,
)
from service.sealing import envelope
from service.sealing.kms_client import DataKey, KmsClient
from service.store import engines, mapping
from service.store.rows import CredentialRow, DataKeyRow, ProviderRow, RevisionCounterRow
from tests.integration.harness import Instance, instance

KIND = ProviderKind.OPENAI
MATERIAL = parse_material(CredentialType.API_KEY, {"api_key": "sk-" + "b" * 40}, field="credential")
DESTINATIONS = ("api https://api.openai.com",)
NOW = datetime(2026, 4, 15, tzinfo=UTC)
FLOOR_ITEMS = 20_000
FLOOR_TRANSACTION = 10_000
UNWRAPS = 2000
DONE = pb.GetEncryptionStatusResponse.SWEEP_STATE_DONE


def rewrap(wrappers: int) -> None:
    """Rotate an installation of that many credentials, and measure each part of it."""
    with instance({"CODEVECTOR_LOG_LEVEL": "info"}) as made, _process(made, "kms", "kms serving") as kms:
        fill(made, wrappers)
        floor = _floor(made.home, min(wrappers, FLOOR_ITEMS))
        with (
            _process(made, "service", "service serving") as service,
            grpc.insecure_channel(made.address) as channel,
            grpc.insecure_channel(f"unix:{made.home}/kms/admin.sock") as admin,
            grpc.insecure_channel(f"unix:{made.router_socket}") as router,
        ):
            system = system_service_pb2_grpc.SystemServiceStub(channel)
            items = _some_wrapped(made.home)
            alone = _unwraps(router, items, threading.Event(), UNWRAPS)
            digest = system.DigestProviders(pb.DigestProvidersRequest())
            before = kms.cpu_seconds(), service.cpu_seconds()
            seconds = _rotate(admin, system)
            cpu = kms.cpu_seconds() - before[0], service.cpu_seconds() - before[1]
            done = threading.Event()
            during: list[float] = []
            items = _some_wrapped(made.home)
            measuring = threading.Thread(
                target=lambda: during.extend(_unwraps(router, items, done, 1_000_000))
            )
            measuring.start()
            disturbed = _rotate(admin, system)
            done.set()
            measuring.join()
            started = time.perf_counter()
            verified = _verify(system)
            verify_seconds = time.perf_counter() - started
            assert verified == wrappers
            assert system.DigestProviders(pb.DigestProvidersRequest()) == digest
    rate = wrappers / seconds
    print(f"\n## Rotation: {wrappers:,} wrappers, SQLite, local keyring, two processes, sweep by itself\n")
    print("| what | per second | seconds | µs each | ratio to the floor |")
    print("|---|---|---|---|---|")
    crypto, swap = floor
    bare = 1 / (crypto + swap)
    print(f"| floor: bare rewrap | {1 / crypto:,.0f} | | {crypto * 1e6:.1f} | |")
    print(f"| floor: bulk compare-and-swap | {1 / swap:,.0f} | | {swap * 1e6:.1f} | |")
    print(f"| floor: both, one after the other | {bare:,.0f} | | {1e6 / bare:.1f} | 1.00 |")
    print(f"| activated to all moved | {rate:,.0f} | {seconds:.2f} | {1e6 / rate:.1f} | {rate / bare:.2f} |")
    print(f"| the same while unwrapping | {wrappers / disturbed:,.0f} | {disturbed:.2f} | | |")
    print(f"| verified, every one | {wrappers / verify_seconds:,.0f} | {verify_seconds:.2f} | | |")
    print(
        f"\nCPU per wrapper moved: sidecar {cpu[0] / wrappers * 1e6:.1f} µs, "
        f"registry {cpu[1] / wrappers * 1e6:.1f} µs.\n"
    )
    print("| unwrap through the socket, one at a time | p50 ms | p99 ms |")
    print("|---|---|---|")
    for name, times in (("alone", alone), (f"during the sweep ({len(during):,} calls)", during)):
        cuts = quantiles(times, n=100)
        print(f"| {name} | {cuts[49] * 1e3:.2f} | {cuts[98] * 1e3:.2f} |")


def fill(made: Instance, wrappers: int) -> None:
    """Providers with a credential each, sealed and wrapped for real, written past the API for speed.

    They are disabled, so that what is measured is the rotation and not a routing table of that size.
    """
    engine = engines.create(engines.parse_url(f"sqlite:///{made.home}/registry.db"))
    with KmsClient(made.home / "kms" / "registry.sock") as kms, engine.begin() as connection:
        deployment_id = kms.status().deployment_id
        connection.execute(update(RevisionCounterRow).values(revision=1))
        for start in range(0, wrappers, 256):
            rows = [_sealed(deployment_id, number) for number in range(start, min(start + 256, wrappers))]
            wrapped = kms.wrap([key for _, _, key in rows])
            sealed = [
                replace(one, wrapped_data_key=w.wrapped, key_version=w.key_version)
                for (_, one, _), w in zip(rows, wrapped, strict=True)
            ]
            providers = [provider for provider, _, _ in rows]
            connection.execute(insert(ProviderRow), [mapping.provider_values(each) for each in providers])
            connection.execute(insert(DataKeyRow), [mapping.data_key_values(each) for each in sealed])
            connection.execute(
                insert(CredentialRow),
                [
                    mapping.credential_values(provider.provider_id, provider.credential, one)
                    for provider, one in zip(providers, sealed, strict=True)
                    if provider.credential is not None
                ],
            )
    engine.dispose()


def _sealed(deployment_id: bytes, number: int) -> tuple[Provider, SealedCredential, DataKey]:
    binding = envelope.Binding(
        deployment_id=deployment_id,
        provider_uid=uuid.uuid4(),
        dek_id=uuid.uuid4(),
        credential_version=1,
        kind=KIND,
        type=MATERIAL.type,
        destinations=DESTINATIONS,
    )
    dek = bytearray(os.urandom(32))
    made = envelope.seal(binding, MATERIAL.reveal(), dek=dek, nonce=os.urandom(12))
    view = CredentialView(MATERIAL.type, shown_prefix(KIND, MATERIAL), 1, NOW, None)
    provider = Provider(
        provider_id=f"p-{number:07}",
        uid=binding.provider_uid,
        display_name=f"P {number}",
        kind=KIND,
        state=State.DISABLED,
        create_time=NOW,
        update_time=NOW,
        config=ProviderConfig({}, {}),
        credential=view,
        labels={},
        annotations={},
        revision=1,
        etag="1-00000000",
    )
    sealed = SealedCredential(
        MATERIAL.type, 1, binding.dek_id, made.data, b"", "", made.commitment, made.context, DESTINATIONS
    )
    return provider, sealed, DataKey(made.context, made.commitment, dek)


def _floor(home: Path, items: int) -> tuple[float, float]:
    """Seconds for one bare rewrap with its commitment checked, and for one swap in a bulk of ten thousand."""
    keys = [hmac.digest(bytes(32), os.urandom(32), "sha256") for _ in range(2)]
    copy = home / "floor.db"
    with closing(sqlite3.connect(home / "registry.db")) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    connection = sqlite3.connect(copy, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "cache_size = -65536"):
        connection.execute(f"PRAGMA {pragma}")
    rows = connection.execute(
        "SELECT dek_id, wrapped, key_version, context FROM data_keys ORDER BY dek_id LIMIT ?", (items,)
    ).fetchall()
    stored = []
    for _, _, _, context in rows:
        dek, nonce = os.urandom(32), os.urandom(12)
        body = nonce + AESGCM(_expand(keys[0], context)).encrypt(nonce, dek, None)
        stored.append((context, body, _commitment(dek, context)))
    started = time.perf_counter()
    moved = [_rewrapped(keys, *one) for one in stored]
    crypto = (time.perf_counter() - started) / items
    heads = [row[1][: -len(body)] for row, body in zip(rows, moved, strict=True)]
    version = rows[0][2][:-16] + "f" * 16
    swaps = [
        (head + body, version, row[0], row[2]) for row, head, body in zip(rows, heads, moved, strict=True)
    ]
    started = time.perf_counter()
    for start in range(0, items, FLOOR_TRANSACTION):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE data_keys SET wrapped = ?, key_version = ? WHERE dek_id = ? AND key_version = ?",
            swaps[start : start + FLOOR_TRANSACTION],
        )
        connection.execute("COMMIT")
    swap = (time.perf_counter() - started) / items
    connection.close()
    for path in home.glob("floor.db*"):
        path.unlink()
    return crypto, swap


def _rewrapped(keys: Sequence[bytes], context: bytes, body: bytes, commitment: bytes) -> bytes:
    dek = AESGCM(_expand(keys[0], context)).decrypt(body[:12], body[12:], None)
    assert hmac.compare_digest(_commitment(dek, context), commitment)
    nonce = os.urandom(12)
    return nonce + AESGCM(_expand(keys[1], context)).encrypt(nonce, dek, None)


def _expand(key: bytes, info: bytes) -> bytes:
    return hmac.digest(key, info + b"\x01", "sha256")


def _commitment(dek: bytes, context: bytes) -> bytes:
    return _expand(dek, b"codevector/commit/1" + hashlib.sha256(context).digest())


def _rotate(admin: grpc.Channel, system: system_service_pb2_grpc.SystemServiceStub) -> float:
    """Create and activate a version; the seconds until every wrapper is under it."""
    stub = admin_grpc.KeyAdminServiceStub(admin)
    latest = stub.ListKeyVersions(admin_pb2.ListKeyVersionsRequest(page_size=1000)).key_versions[-1].name
    request = admin_pb2.CreateKeyVersionRequest(request_id=str(uuid.uuid4()), expected_latest=latest)
    version = stub.CreateKeyVersion(request).name
    stub.ActivateKeyVersion(admin_pb2.ActivateKeyVersionRequest(name=version))
    started = time.perf_counter()
    while True:
        status = system.GetEncryptionStatus(pb.GetEncryptionStatusRequest())
        if status.primary_key_version == version and status.sweep_state == DONE:
            return time.perf_counter() - started
        time.sleep(0.5)


def _verify(system: system_service_pb2_grpc.SystemServiceStub) -> int:
    sound, token = 0, ""
    while True:
        page = system.VerifyDataKeys(pb.VerifyDataKeysRequest(page_size=4096, page_token=token))
        assert not page.failures
        sound, token = sound + page.verified_count, page.next_page_token
        if not token:
            return sound


def _some_wrapped(home: Path) -> list[kms_pb2.WrappedDataKey]:
    with closing(sqlite3.connect(home / "registry.db")) as connection:
        rows = connection.execute(
            "SELECT wrapped, key_version, commitment, context FROM data_keys LIMIT 256"
        ).fetchall()
    return [
        kms_pb2.WrappedDataKey(wrapped_data_key=w, key_version=v, commitment=c, context=x)
        for w, v, c, x in rows
    ]


def _unwraps(
    router: grpc.Channel, items: Sequence[kms_pb2.WrappedDataKey], done: threading.Event, most: int
) -> list[float]:
    """Seconds of one unwrap after the other, until told to stop."""
    stub = kms_grpc.KeyManagementServiceStub(router)
    times = list[float]()
    while len(times) < most and not done.is_set():
        request = kms_pb2.BatchUnwrapDataKeysRequest(
            items=[kms_pb2.UnwrapItem(wrapped=items[len(times) % len(items)])]
        )
        started = time.perf_counter()
        answer = stub.BatchUnwrapDataKeys(request)
        times.append(time.perf_counter() - started)
        assert answer.results[0].WhichOneof("outcome") == "plaintext"
    return times


class _Running:
    """A process whose CPU is read from the kernel's clock of it. Source: clock_getcpuclockid(3)."""

    def __init__(self, pid: int) -> None:
        self._clock = (~pid << 3) | 2

    def cpu_seconds(self) -> float:
        return time.clock_gettime(self._clock)


@contextmanager
def _process(made: Instance, module: str, beginning: str) -> Iterator[_Running]:
    """``python -m module`` on whatever core is free, as in an installation."""
    log = made.home / f"{module}.log"
    with log.open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=made.environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert child.stdout is not None
        if not child.stdout.readline().startswith(beginning):
            raise RuntimeError(f"{module} did not start: {log.read_text()}")
        yield _Running(child.pid)
    finally:
        child.terminate()
        child.wait(20)
