from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest

from kms.files.generations import KeyringFile
from kms.formats import DekContext
from kms.installation import initialise
from kms.keyring import Backend, Keyring, KeyVersions, OpenKeyring
from kms.local.document import DOCUMENT_LIMIT
from kms.local.opening import open_local
from kms.local.unlock import UnlockKind, UnlockSource, unlock
from kms.rpc.refusals import RefusedCalls
from kms.rpc.roles import Role
from kms.rpc.server import serving
from runtime.logs import build_logger
from tests.support.servers.audits import open_audit
from tests.support.servers.grpc_keyring import GrpcKeyring, GrpcVersions
from tests.support.servers.vault_keyrings import vault_keyring

DEPLOYMENT_ID = bytes.fromhex("0123456789abcdef0123456789abcdef")


class Clock:
    """A wall clock and a monotonic one that only the test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
        self.elapsed = 0.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.elapsed

    def pass_by(self, time: timedelta) -> None:
        """Let time pass, on both."""
        self.now += time
        self.elapsed += time.total_seconds()

    def jump(self, time: timedelta) -> None:
        """Set the wall clock to another time, in no time."""
        self.now += time


def local_keyring(stack: ExitStack, now: Clock) -> OpenKeyring:
    directory = Path(stack.enter_context(TemporaryDirectory(prefix="kms-"))) / "kms"
    source = UnlockSource(UnlockKind.KEY_FILE, directory / "unlock.key")
    path = directory / "keyring.json"
    initialise(
        keyring=path,
        deployment_id_file=directory / "deployment-id",
        declared_deployment_id=DEPLOYMENT_ID,
        unlock_source=source,
        clock=now,
        random=os.urandom,
    )
    file = stack.enter_context(closing(KeyringFile(path, limit=DOCUMENT_LIMIT)))
    return open_local(
        file,
        unlock=partial(unlock, source),
        deployment_id=DEPLOYMENT_ID,
        clock=now,
        monotonic=now.monotonic,
        random=os.urandom,
    )


def served(stack: ExitStack, opened: OpenKeyring, now: Clock) -> OpenKeyring:
    directory = Path(stack.enter_context(TemporaryDirectory(prefix="kms-")))
    places = {role: directory / f"{role.value}.sock" for role in Role}
    logger = build_logger(StringIO(), logging.INFO)
    audit = stack.enter_context(closing(open_audit(directory / "audit")))
    stack.enter_context(
        serving(
            opened,
            places,
            connections=100,
            audit=audit,
            refusals=RefusedCalls(audit, logger, time.monotonic),
            release="1.2.3",
            clock=now,
            random=os.urandom,
            logger=logger,
        )
    )
    channels = {
        role: stack.enter_context(grpc.insecure_channel(f"unix:{path}")) for role, path in places.items()
    }
    return OpenKeyring(
        GrpcKeyring(channels), GrpcVersions(channels, opened.versions.destroy_due), prefix=opened.prefix
    )


@dataclass(frozen=True)
class Traits:
    """Everything in which backends may differ."""

    backend: Backend
    wrapper_head: bytes
    body_length: int
    has_pending: bool
    """Whether a version is created before it is used. In Transit creating is rotating."""
    one_by_one: bool
    """Whether a version can be disabled alone. In Transit all before it must be disabled first."""
    rewrap_sees_keys: bool
    """Whether rewrapping can check commitments. In Transit the keys stay in the server."""
    keeps_given_time: bool
    """Whether versions are dated by the clock that is passed in. Transit has its own."""
    foreign: tuple[str, bytes, bytes]
    """Ref, backend and body of another backend's wrapped key."""


LOCAL = Traits(
    backend=Backend.LOCAL_KEYRING,
    wrapper_head=b"CVW1\x01\x01",
    body_length=60,
    has_pending=True,
    one_by_one=True,
    rewrap_sees_keys=True,
    keeps_given_time=True,
    foreign=("transit-0123abcd-v1-1764000000", b"\x02", b"vault:v1:AAAA"),
)
TRANSIT = Traits(
    backend=Backend.VAULT_TRANSIT,
    wrapper_head=b"CVW1\x02\x01",
    body_length=len("vault:v1:") + 80,
    has_pending=False,
    one_by_one=False,
    rewrap_sees_keys=False,
    keeps_given_time=False,
    foreign=("local-0123abcd-v1-89abcdef01234567", b"\x01", bytes(60)),
)


def build(stack: ExitStack, request: pytest.FixtureRequest, clock: Clock) -> tuple[OpenKeyring, Traits]:
    """The implementation that the request's parameter names, new and with one primary version."""
    opened: OpenKeyring
    if request.param.endswith("transit"):
        server = request.getfixturevalue("openbao")
        opened, traits = vault_keyring(stack, server, deployment_id=DEPLOYMENT_ID), TRANSIT
    else:
        opened, traits = local_keyring(stack, clock), LOCAL
    return (served(stack, opened, clock) if request.param.startswith("grpc") else opened), traits


@pytest.fixture
def clock() -> Clock:
    """The clock of a local keyring."""
    return Clock()


@pytest.fixture(params=["local", "transit", "grpc in front of local", "grpc in front of transit"])
def implementation(request: pytest.FixtureRequest, clock: Clock) -> Iterator[tuple[OpenKeyring, Traits]]:
    """Each implementation in turn."""
    with ExitStack() as stack:
        yield build(stack, request, clock)


@pytest.fixture
def keyring(implementation: tuple[OpenKeyring, Traits]) -> Keyring:
    return implementation[0].keyring


@pytest.fixture
def versions(implementation: tuple[OpenKeyring, Traits]) -> KeyVersions:
    return implementation[0].versions


@pytest.fixture
def traits(implementation: tuple[OpenKeyring, Traits]) -> Traits:
    return implementation[1]


@pytest.fixture
def context() -> Callable[[int], bytes]:
    """CTX bytes of this deployment, different for each number."""

    def encode(number: int) -> bytes:
        return DekContext(DEPLOYMENT_ID, bytes(16), number.to_bytes(16, "big"), 1).encode()

    return encode
