"""A real sidecar inside the test's process: a local keyring behind its sockets, with faults on demand."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc

from kms.files.generations import KeyringFile
from kms.installation import initialise
from kms.keyring import Keyring, KeyringError, KeyringStatus, KeyVersions, OpenKeyring, WrappedDataKey
from kms.local.document import DOCUMENT_LIMIT
from kms.local.opening import open_local
from kms.local.unlock import UnlockKind, UnlockSource, unlock
from kms.rpc.refusals import RefusedCalls
from kms.rpc.roles import Role
from kms.rpc.server import serving
from runtime.logs import build_logger
from service.domain.model import SealedCredential
from tests.support.servers.audits import open_audit

DEPLOYMENT_ID = bytes.fromhex("0123456789abcdef0123456789abcdef")

Rewrapped = list[WrappedDataKey | KeyringError]


@dataclass
class FaultyKeyring:
    """The real keyring, with the faults that a test asks for."""

    real: Keyring
    before_rewrap: Callable[[], None] = lambda: None
    spoil_rewrap: Callable[[Rewrapped], Rewrapped] = lambda results: results
    change_status: Callable[[KeyringStatus], KeyringStatus] = lambda status: status
    rewrapped: list[int] = field(default_factory=list)
    """The sizes of the batches so far."""

    def status(self) -> KeyringStatus:
        return self.change_status(self.real.status())

    def rewrap(self, items: Sequence[WrappedDataKey], target: str) -> Rewrapped:
        self.before_rewrap()
        self.rewrapped.append(len(items))
        return self.spoil_rewrap(self.real.rewrap(items, target))

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


@dataclass(frozen=True)
class KeySidecar:
    """A serving sidecar."""

    keyring: FaultyKeyring
    versions: KeyVersions
    registry_socket: Path
    router_socket: Path
    router: kms_grpc.KeyManagementServiceStub

    @property
    def primary(self) -> str:
        return self.keyring.real.status().primary

    def rotate(self) -> str:
        """Create and activate a version, as an administrator does; return its name."""
        latest = self.versions.list_versions()[-1].name
        version = self.versions.create_version(uuid4(), latest)
        return self.versions.activate_version(version.name).name

    def opens(self, sealed: SealedCredential) -> bool:
        """Return whether a router gets the data key of this credential."""
        wrapped = kms_pb2.WrappedDataKey(
            wrapped_data_key=sealed.wrapped_data_key,
            key_version=sealed.key_version,
            commitment=sealed.commitment,
            context=sealed.context,
        )
        request = kms_pb2.BatchUnwrapDataKeysRequest(items=[kms_pb2.UnwrapItem(wrapped=wrapped)])
        [result] = self.router.BatchUnwrapDataKeys(request, timeout=60).results
        return bool(result.WhichOneof("outcome") == "plaintext")


@contextmanager
def key_sidecar() -> Iterator[KeySidecar]:
    """A new keyring, served to the registry and to routers until the block ends."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="kms-"))) / "kms"
        local = _keyring(stack, directory)
        keyring = FaultyKeyring(local.keyring)
        faulty: Any = keyring
        places = {role: directory / f"{role.value}.sock" for role in (Role.REGISTRY, Role.ROUTER)}
        logger = build_logger(StringIO(), logging.INFO)
        audit = stack.enter_context(closing(open_audit(directory / "audit")))
        stack.enter_context(
            serving(
                replace(local, keyring=faulty),
                places,
                connections=100,
                audit=audit,
                refusals=RefusedCalls(audit, logger, time.monotonic),
                release="test",
                clock=_now,
                random=os.urandom,
                logger=logger,
            )
        )
        channel = stack.enter_context(grpc.insecure_channel(f"unix:{places[Role.ROUTER]}"))
        router = kms_grpc.KeyManagementServiceStub(channel)
        yield KeySidecar(keyring, local.versions, places[Role.REGISTRY], places[Role.ROUTER], router)


def _keyring(stack: ExitStack, directory: Path) -> OpenKeyring:
    source = UnlockSource(UnlockKind.KEY_FILE, directory / "unlock.key")
    path = directory / "keyring.json"
    initialise(
        keyring=path,
        deployment_id_file=directory / "deployment-id",
        declared_deployment_id=DEPLOYMENT_ID,
        unlock_source=source,
        clock=_now,
        random=os.urandom,
    )
    file = stack.enter_context(closing(KeyringFile(path, limit=DOCUMENT_LIMIT)))
    return open_local(
        file,
        unlock=partial(unlock, source),
        deployment_id=DEPLOYMENT_ID,
        clock=_now,
        monotonic=time.monotonic,
        random=os.urandom,
    )


def _now() -> datetime:
    return datetime.now(UTC)
