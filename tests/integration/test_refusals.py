"""Calls that are refused, thousands of them: a few lines in logs and audit, and an exact count in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from tests.support.servers.harness import PATIENCE_SECONDS, running

CALLS = 2_000
AT_ONCE = 20
REGISTRY = "/codevector.providers.v1.ProviderService/GetProvider"
SIDECAR = "/codevector.kms.v1.KeyManagementService/BatchUnwrapDataKeys"
METHOD = SIDECAR[1:].replace("/", ".")
MOST_LINES = 60
"""As many minutes as the flood may take on a machine that pauses."""


def flood(address: str, method: str) -> None:
    """Make calls that are refused, one like the other."""
    with grpc.insecure_channel(address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        for _ in range(CALLS // AT_ONCE):
            for future in [call.future(b"", timeout=PATIENCE_SECONDS) for _ in range(AT_ONCE)]:
                assert future.exception(timeout=PATIENCE_SECONDS)


def lines(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text().splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def refused(line: dict[str, Any]) -> bool:
    """Whether a line of a log is about refused calls of the flood."""
    return line.get("code") in ("INVALID_ARGUMENT", "PERMISSION_DENIED")


def calls_of(line: dict[str, Any]) -> int:
    """How many calls a line stands for."""
    return int(line.get("count", 1))


def test_a_flood_of_refusals_is_counted() -> None:
    with running({"CODEVECTOR_LOG_LEVEL": "info"}) as made:
        assert made.service is not None
        assert made.kms is not None
        flood(made.address, REGISTRY)
        flood(f"unix:{made.registry_socket}", SIDECAR)
        logs = made.service.stderr, made.kms.stderr
        made.stop_service()
        made.stop_kms()
        service, kms = ([line for line in lines(log) if refused(line)] for log in logs)
        recorded = [
            line
            for file in (made.home / "kms" / "audit").iterdir()
            for line in lines(file)
            if line["event"] == "refused"
        ]
        verified = made.run("kms", "audit", "verify")
    assert [sum(map(calls_of, found)) for found in (service, kms, recorded)] == [CALLS] * 3
    assert max(map(len, (service, kms, recorded))) <= MOST_LINES
    assert {(line["method"], line["reason"]) for line in service} == {("GetProvider", "INVALID_FIELD")}
    assert {(line["method"], line["reason"]) for line in kms} == {(METHOD, "ROLE_REQUIRED")}
    assert {line["method"] for line in recorded} == {METHOD}
    assert (verified.returncode, verified.stdout.partition(":")[0]) == (0, "intact")
