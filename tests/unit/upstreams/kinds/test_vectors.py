"""The table that all implementations share says what ours says."""

from __future__ import annotations

import pytest

from tests.support.values.kind_vectors import CASES, HOSTS, KINDS, Case, KindVector
from upstreams import kinds
from upstreams.addresses import Reach, host_reach
from upstreams.kinds import CredentialType, ProviderKind, destinations


def test_every_kind_is_in_it() -> None:
    assert [(kind.kind, kind.number) for kind in KINDS] == [(one.word, one.value) for one in ProviderKind]


@pytest.mark.parametrize("vector", KINDS, ids=lambda vector: vector.kind)
def test_default_url_and_credential_types(vector: KindVector) -> None:
    rules = kinds.KINDS[ProviderKind(vector.number)]
    assert rules.default_base_url == vector.default_base_url
    assert {one.word: one.value for one in rules.credential_types} == vector.credential_types


@pytest.mark.parametrize("vector", KINDS, ids=lambda vector: vector.kind)
def test_every_credential_type_has_a_case(vector: KindVector) -> None:
    assert {case.credential_type for case in vector.cases} == set(vector.credential_types.values())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.items[0])
def test_destinations(case: Case) -> None:
    found = destinations(ProviderKind(case.kind), case.config, CredentialType(case.credential_type))
    assert found == case.items


@pytest.mark.parametrize(("host", "reach"), HOSTS.items())
def test_hosts(host: str, reach: str) -> None:
    assert host_reach(host) is Reach(reach)
