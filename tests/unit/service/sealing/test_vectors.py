"""The registry seals every frozen vector to the same bytes, for ever."""

from __future__ import annotations

import pytest

from service.sealing import envelope
from service.sealing.envelope import Binding
from tests.support.values.envelope_vectors import EnvelopeVector, load_all
from upstreams.kinds import CredentialType, ProviderKind, destinations

VECTORS = load_all(opens=True)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_seals_to_the_frozen_bytes(vector: EnvelopeVector) -> None:
    binding = Binding(
        deployment_id=vector.deployment_id,
        provider_uid=vector.provider_uid,
        dek_id=vector.dek_id,
        credential_version=vector.credential_version,
        kind=ProviderKind(vector.kind),
        type=CredentialType(vector.type),
        destinations=vector.destinations,
    )
    sealed = envelope.seal(binding, vector.fields, dek=vector.dek, nonce=vector.nonce)
    assert sealed.context == vector.context
    assert sealed.commitment == vector.commitment
    assert envelope.encode_aad(binding, sealed.data[:56], sealed.context) == vector.aad
    assert sealed.data == vector.envelope


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_destinations_are_those_of_the_configuration(vector: EnvelopeVector) -> None:
    derived = destinations(ProviderKind(vector.kind), vector.config, CredentialType(vector.type))
    assert derived == vector.destinations


def test_every_type_and_kind_has_a_vector() -> None:
    assert {vector.type for vector in VECTORS} == set(CredentialType)
    assert {vector.kind for vector in VECTORS} == set(ProviderKind)
