"""``--health`` of both processes, as a container or a supervisor runs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers.harness import Instance, instance, wait_until


@pytest.fixture
def made() -> Iterator[Instance]:
    with instance() as installation:
        yield installation


def is_healthy(made: Instance, process: str) -> bool:
    finished = made.run(process, "--health")
    assert finished.stdout == ""
    return finished.returncode == 0


class TestHealth:
    def test_follows_each_process_alone(self, made: Instance) -> None:
        assert not is_healthy(made, "kms")
        made.start_kms()
        assert is_healthy(made, "kms")
        assert not is_healthy(made, "service")
        made.start_service()
        wait_until(lambda: is_healthy(made, "service"), what="the registry says that it serves")
        made.stop_kms()
        assert not is_healthy(made, "kms")
        assert is_healthy(made, "service"), "a sidecar that is away is no reason to restart the registry"
