"""Audits for tests: real files in a directory of the test's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from kms.audit.key import AuditKey
from kms.audit.log import Audit
from kms.audit.sink import SEGMENT_LIMIT, AuditSink
from kms.files.disk import DISK, Disk

AUDIT_KEY = AuditKey(bytes(range(32)))


def now() -> datetime:
    return datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def open_audit(
    directory: Path,
    *,
    deployment_id: bytes = b"\1" * 16,
    clock: Callable[[], datetime] = now,
    monotonic: Callable[[], float] = time.monotonic,
    disk: Disk = DISK,
    limit: int = SEGMENT_LIMIT,
) -> Audit:
    sink = AuditSink(directory, public_key=AUDIT_KEY.public_key, disk=disk, limit=limit)
    try:
        return Audit(sink, AUDIT_KEY, deployment_id=deployment_id, clock=clock, monotonic=monotonic)
    except BaseException:
        sink.close()
        raise
