from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest
from structlog.typing import FilteringBoundLogger

from kms.audit.log import Audit, AuditUnavailable
from kms.keyring import OpenKeyring
from kms.rpc.refusals import RefusedCalls
from kms.rpc.roles import Role
from kms.rpc.server import serving
from runtime.logs import build_logger
from tests.support.servers.audits import open_audit


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of the served sidecar, at debug level."""
    return tmp_path / "log"


@pytest.fixture
def audit(tmp_path: Path) -> Iterator[Audit]:
    """The audit of the served sidecar."""
    opened = open_audit(tmp_path / "audit")
    yield opened
    with suppress(AuditUnavailable):  # some tests damage its file
        opened.close()


CONNECTIONS = 20
"""Of each socket of the served sidecar."""


@pytest.fixture
def places() -> Iterator[dict[Role, Path]]:
    """Where the served sidecar has its sockets."""
    with TemporaryDirectory(prefix="kms-") as directory:
        yield {role: Path(directory) / f"{role.value}.sock" for role in Role}


@pytest.fixture
def logger(log: Path) -> Iterator[FilteringBoundLogger]:
    """The logger of the served sidecar."""
    with log.open("w", buffering=1) as stream:
        yield build_logger(stream, 10)


@pytest.fixture
def refusals(audit: Audit, logger: FilteringBoundLogger) -> RefusedCalls:
    """The refused calls of the served sidecar, of which nothing is told but the first ones."""
    return RefusedCalls(audit, logger, lambda: 0.0)


@pytest.fixture
def channels(
    places: dict[Role, Path],
    local: OpenKeyring,
    audit: Audit,
    logger: FilteringBoundLogger,
    refusals: RefusedCalls,
) -> Iterator[dict[Role, grpc.Channel]]:
    """One open channel per role to a served keyring."""
    with ExitStack() as stack:
        stack.enter_context(
            serving(
                local,
                places,
                connections=CONNECTIONS,
                audit=audit,
                refusals=refusals,
                release="1.2.3",
                clock=lambda: datetime(2026, 11, 23, tzinfo=UTC),
                random=os.urandom,
                logger=logger,
            )
        )
        yield {
            role: stack.enter_context(grpc.insecure_channel(f"unix:{path}")) for role, path in places.items()
        }
