from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest

from kms.formats import DekContext
from kms.installation import initialise
from kms.keyring import Keyring
from kms.keyring_document import DOCUMENT_LIMIT
from kms.keyring_file import KeyringFile
from kms.local_keyring import LocalKeyring
from kms.rpc.roles import Role
from kms.rpc.server import serving
from kms.telemetry import build_logger
from kms.unlock import UnlockKind, UnlockSource, unlock
from tests.contract.kms.grpc_keyring import GrpcKeyring

DEPLOYMENT_ID = bytes.fromhex("0123456789abcdef0123456789abcdef")


def now() -> datetime:
    return datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def local_keyring(stack: ExitStack) -> LocalKeyring:
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
    return LocalKeyring(
        file, unlock=partial(unlock, source), deployment_id=DEPLOYMENT_ID, clock=now, random=os.urandom
    )


def served_local_keyring(stack: ExitStack) -> GrpcKeyring:
    keyring = local_keyring(stack)
    directory = Path(stack.enter_context(TemporaryDirectory(prefix="kms-")))
    places = {role: directory / f"{role.value}.sock" for role in Role}
    logger = build_logger(StringIO(), logging.INFO)
    stack.enter_context(
        serving(keyring, places, release="1.2.3", clock=now, random=os.urandom, logger=logger)
    )
    channels = {
        role: stack.enter_context(grpc.insecure_channel(f"unix:{path}")) for role, path in places.items()
    }
    return GrpcKeyring(channels)


KEYRINGS: dict[str, Callable[[ExitStack], Keyring]] = {
    "local": local_keyring,
    "grpc in front of local": served_local_keyring,
}


@pytest.fixture(params=KEYRINGS)
def keyring(request: pytest.FixtureRequest) -> Iterator[Keyring]:
    """Each implementation in turn, new and with one primary version."""
    with ExitStack() as stack:
        yield KEYRINGS[request.param](stack)


@pytest.fixture
def context() -> Callable[[int], bytes]:
    """CTX bytes of this deployment, different for each number."""

    def encode(number: int) -> bytes:
        return DekContext(DEPLOYMENT_ID, bytes(16), number.to_bytes(16, "big"), 1).encode()

    return encode
