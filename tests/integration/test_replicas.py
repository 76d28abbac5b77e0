"""Three registries on one PostgreSQL and three sidecars on one OpenBao, behind Envoy, while everything fails.

`tests/torture/test_replicas.py` goes on with it for as long as one likes.
"""

from __future__ import annotations

from functools import partial

from tests.support.servers.envoy import balanced
from tests.support.servers.openbao import OpenBao
from tests.support.servers.postgres_cluster import running_cluster
from tests.support.servers.replicas import paused, three_registries
from tests.support.storms.replica_storm import endure, killed_kms, killed_service


def test_what_fails_is_made_up_for(openbao: OpenBao) -> None:
    with (
        running_cluster() as cluster,
        three_registries(cluster, openbao) as registries,
        balanced(registries) as balancer,
    ):
        first, second, third = registries
        events = [partial(killed_service, first), partial(killed_kms, second), partial(paused, third.service)]
        endure(cluster, registries, balancer, events, writes=3, writers=2)
