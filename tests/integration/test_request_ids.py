"""One request id through registry and sidecar: in the caller's trailers and in both logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2 as system_pb2

from tests.support.servers.api import api_key
from tests.support.servers.harness import Instance, Process, running

LONGEST = "team:checkout." + "x" * 114


@pytest.fixture(scope="module")
def made() -> Iterator[Instance]:
    with running() as installation:
        yield installation


def lines(process: Process | None, request_id: str) -> list[dict[str, Any]]:
    """The log lines of a process that show the request id."""
    assert process is not None
    read = (json.loads(line) for line in Path(process.stderr).read_text().splitlines())
    return [line for line in read if line.get("request_id") == request_id]


def create(made: Instance, name: str, *metadata: tuple[str, str]) -> dict[str, str | bytes]:
    request = pb.CreateProviderRequest(
        provider_id=name,
        provider=provider_pb2.Provider(display_name=name, kind=provider_pb2.PROVIDER_KIND_OPENAI),
        credential=api_key(),
    )
    _, call = made.providers.CreateProvider.with_call(request, timeout=60, metadata=metadata)
    return dict(call.trailing_metadata())


class TestRequestIds:
    @pytest.mark.parametrize("request_id", ["mine-1", LONGEST], ids=["short", "of 128 characters"])
    def test_the_caller_s_is_in_both_logs(self, made: Instance, request_id: str) -> None:
        trailers = create(made, f"p-{len(request_id)}", ("x-request-id", request_id))
        assert trailers["x-request-id"] == request_id
        assert [line["method"] for line in lines(made.service, request_id)] == ["CreateProvider"]
        assert "codevector.kms.v1.KeyManagementService.BatchWrapDataKeys" in [
            line["method"] for line in lines(made.kms, request_id)
        ]

    @pytest.mark.parametrize("sent", [(), (("x-request-id", "not one"),)], ids=["none", "one with a blank"])
    def test_the_registry_s_own_is_in_both_logs(
        self, made: Instance, sent: tuple[tuple[str, str], ...]
    ) -> None:
        made_id = create(made, f"own-{len(sent)}", *sent)["x-request-id"]
        assert isinstance(made_id, str)
        assert lines(made.service, made_id)
        assert lines(made.kms, made_id)

    def test_a_sweep_and_a_verification_show_theirs(self, made: Instance) -> None:
        create(made, "swept")
        made.system.VerifyDataKeys(
            system_pb2.VerifyDataKeysRequest(), timeout=60, metadata=(("x-request-id", "verify-1"),)
        )
        made.system.RewrapDataKeys(
            system_pb2.RewrapDataKeysRequest(), timeout=60, metadata=(("x-request-id", "rewrap-1"),)
        )
        methods = [line["method"].rpartition(".")[2] for line in lines(made.kms, "verify-1")]
        assert "BatchVerifyDataKeys" in methods
        assert lines(made.kms, "rewrap-1")
