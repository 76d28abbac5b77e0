"""Sealed credentials for tests of the opener: from frozen vectors, or sealed by the registry's own code."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from codevector_providers.model import CredentialType, ProviderKind
from codevector_providers.opening import Expected, SealedCredential

from service.domain import model
from service.sealing import envelope
from tests.support.values.envelope_vectors import EnvelopeVector


def sealed_credential(vector: EnvelopeVector) -> SealedCredential:
    """What the registry would answer for the vector. The wrapper is never looked at by the opener."""
    return SealedCredential(
        provider_uid=str(vector.provider_uid),
        kind=vector.kind,
        type=vector.type,
        credential_version=vector.credential_version,
        envelope=vector.envelope,
        wrapped_data_key=b"",
        key_version="",
        commitment=vector.commitment,
        context=vector.context,
        destinations=vector.destinations,
    )


def expected(vector: EnvelopeVector) -> Expected:
    """What a router knows that the credential belongs to."""
    return Expected(
        deployment_id=vector.deployment_id,
        provider_uid=vector.provider_uid,
        kind=ProviderKind(vector.kind),
        type=CredentialType(vector.type),
        credential_version=vector.credential_version,
        destinations=vector.destinations,
    )


def seal_with_registry(
    known: Expected, fields: Mapping[str, str], *, dek: bytes, nonce: bytes, dek_id: bytes
) -> SealedCredential:
    """Seal with the encoder of the registry."""
    binding = envelope.Binding(
        deployment_id=known.deployment_id,
        provider_uid=known.provider_uid,
        dek_id=UUID(bytes=dek_id),
        credential_version=known.credential_version,
        kind=model.ProviderKind(known.kind),
        type=model.CredentialType(known.type),
        destinations=known.destinations,
    )
    sealed = envelope.seal(binding, fields, dek=dek, nonce=nonce)
    return SealedCredential(
        provider_uid=str(known.provider_uid),
        kind=known.kind,
        type=known.type,
        credential_version=known.credential_version,
        envelope=sealed.data,
        wrapped_data_key=b"",
        key_version="",
        commitment=sealed.commitment,
        context=sealed.context,
        destinations=known.destinations,
    )
