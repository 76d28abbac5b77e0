"""An installation to be rotated: filled past the API, its processes, and a rotation from outside."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
from codevector.kms.v1 import key_admin_service_pb2 as admin_pb2
from codevector.kms.v1 import key_admin_service_pb2_grpc as admin_grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.providers.v1 import system_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2_grpc
from sqlalchemy import insert, update

from benchmarks.processes import ROOT, Server
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
from tests.support.servers.harness import Instance

KIND = ProviderKind.OPENAI
MATERIAL = parse_material(CredentialType.API_KEY, {"api_key": "sk-" + "b" * 40}, field="credential")
DESTINATIONS = ("api https://api.openai.com",)
NOW = datetime(2026, 4, 15, tzinfo=UTC)
DONE = pb.GetEncryptionStatusResponse.SWEEP_STATE_DONE
ROTATION_SECONDS = 600.0
"""After which a rotation has failed."""
LOOK_SECONDS = (0.01, 0.5)
"""The shortest and longest wait between two looks at a rotation, which cost the registry something."""


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


def rotate(admin: grpc.Channel, system: system_service_pb2_grpc.SystemServiceStub) -> float:
    """Create and activate a version; the seconds until the sweep has every wrapped key under it.

    Transit makes a version the primary by creating it, so the clock starts before that.
    """
    stub = admin_grpc.KeyAdminServiceStub(admin)
    latest = stub.ListKeyVersions(admin_pb2.ListKeyVersionsRequest(page_size=1000)).key_versions[-1].name
    request = admin_pb2.CreateKeyVersionRequest(request_id=str(uuid.uuid4()), expected_latest=latest)
    started = time.perf_counter()
    version = stub.CreateKeyVersion(request).name
    stub.ActivateKeyVersion(admin_pb2.ActivateKeyVersionRequest(name=version))
    while (seconds := time.perf_counter() - started) < ROTATION_SECONDS:
        status = system.GetEncryptionStatus(pb.GetEncryptionStatusRequest())
        if status.primary_key_version == version and status.sweep_state == DONE:
            return time.perf_counter() - started
        time.sleep(_until_next_look(status, seconds))
    raise RuntimeError(f"not rotated within {seconds:.0f} s: {status}")


def _until_next_look(status: pb.GetEncryptionStatusResponse, seconds: float) -> float:
    """A third of what the rest may take: few looks, and the last one soon after the end."""
    shortest, longest = LOOK_SECONDS
    left = status.stale_data_key_count
    moved = status.data_key_count - left
    return min(max(seconds * left / max(moved, 1) / 3, shortest), longest)


def verify(system: system_service_pb2_grpc.SystemServiceStub) -> int:
    """Return the number of wrapped keys, all of which open."""
    sound, token = 0, ""
    while True:
        page = system.VerifyDataKeys(pb.VerifyDataKeysRequest(page_size=4096, page_token=token))
        assert not page.failures
        sound, token = sound + page.verified_count, page.next_page_token
        if not token:
            return sound


def some_wrapped(home: Path) -> list[kms_pb2.WrappedDataKey]:
    """256 wrapped keys as they are stored now."""
    with closing(sqlite3.connect(home / "registry.db")) as connection:
        rows = connection.execute(
            "SELECT wrapped, key_version, commitment, context FROM data_keys LIMIT 256"
        ).fetchall()
    return [
        kms_pb2.WrappedDataKey(wrapped_data_key=w, key_version=v, commitment=c, context=x)
        for w, v, c, x in rows
    ]


@contextmanager
def process(made: Instance, module: str, beginning: str) -> Iterator[Server]:
    """``python -m module`` on whatever core is free, as in an installation."""
    log = made.home / f"{module}.log"
    begun = time.perf_counter()
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
        yield Server(child.pid, made.address, time.perf_counter() - begun)
    finally:
        child.terminate()
        child.wait(20)
