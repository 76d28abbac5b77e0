"""Three registries and their sidecars, each with a wall clock of its own, while everything fails."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.servers.envoy import balanced
from tests.support.servers.harness import Instance
from tests.support.servers.openbao import OpenBao, running_openbao
from tests.support.servers.postgres_cluster import running_cluster
from tests.support.servers.replicas import paused, three_registries
from tests.support.storms.replica_storm import Event, endure, killed_kms, killed_service
from tools import faketime
from tools.steps import StepFailed

FAILURES = 24
SKEWS = ("+3d", "-2h", "+90s x1.01")
"""Of the wall clocks; monotonic clocks go right, as they do on a machine whose clock is set."""


@pytest.fixture
def clocks() -> list[dict[str, str]]:
    """What each registry and its sidecar run with."""
    try:
        library: Path = faketime.provide()
    except StepFailed as failure:
        pytest.skip(str(failure))
    shared = {"LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return [{**shared, "FAKETIME": skew} for skew in SKEWS]


@contextmanager
def killed_openbao(server: OpenBao) -> Iterator[None]:
    """Killed, and started again at once: without it no credential is sealed anywhere."""
    with server.dead():
        pass
    yield


@pytest.fixture
def own_openbao() -> Iterator[OpenBao]:
    with running_openbao() as server:
        server.set_up()
        yield server


def test_storms(
    clocks: list[dict[str, str]],
    own_openbao: OpenBao,
    rounds: Callable[[int], int],
    tell: Callable[[str], None],
) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    with (
        running_cluster() as cluster,
        three_registries(cluster, own_openbao, clocks) as registries,
        balanced(registries) as balancer,
    ):

        def failure(made: Instance) -> Event:
            failures: list[Event] = [
                partial(killed_service, made),
                partial(killed_kms, made),
                lambda: paused(made.service),
                lambda: paused(made.kms),
                balancer.killed,
                partial(killed_openbao, own_openbao),
            ]
            return chance.choice(failures)

        events = [failure(chance.choice(registries)) for _ in range(rounds(FAILURES))]
        told = endure(cluster, registries, balancer, events, writes=10, writers=4)
        tell(f"seed {seed}: {told}")
