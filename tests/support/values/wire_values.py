"""One provider and its credential as the registry sends them, made of a frozen vector."""

from __future__ import annotations

from dataclasses import replace

from codevector.providers.v1 import provider_pb2
from codevector.providers.v1 import routing_service_pb2 as pb

from tests.support.doubles import kms_double
from tests.support.values.envelope_vectors import EnvelopeVector, load
from tests.support.values.sealed import expected, seal_with_registry

NAME = "providers/p"
VECTOR = load("openai-api-key")
KEY = VECTOR.fields["api_key"]


def entry(vector: EnvelopeVector = VECTOR, **changes: object) -> pb.RoutingProvider:
    """The vector's provider as the registry lists it."""
    member = provider_pb2.ProviderKind.Name(vector.kind).removeprefix("PROVIDER_KIND_").lower()
    message = pb.RoutingProvider(
        name=NAME,
        uid=str(vector.provider_uid),
        kind=vector.kind,  # type: ignore[arg-type]
        config=provider_pb2.ProviderConfig(**{member: dict(vector.config)}),
        credential_type=vector.type,  # type: ignore[arg-type]
        credential_version=vector.credential_version,
        labels={"team": "a"},
    )
    message.MergeFrom(pb.RoutingProvider(**changes))  # type: ignore[arg-type]
    return message


def sealed(vector: EnvelopeVector = VECTOR, **changes: object) -> pb.SealedCredentialResult:
    """The vector as the registry answers it, its key wrapped as the double wraps."""
    message = pb.SealedCredential(
        provider=NAME,
        provider_uid=str(vector.provider_uid),
        kind=vector.kind,  # type: ignore[arg-type]
        type=vector.type,  # type: ignore[arg-type]
        credential_version=vector.credential_version,
        envelope=vector.envelope,
        wrapped_data_key=kms_double.wrap(vector.dek),
        key_version=kms_double.KEY_VERSION,
        commitment=vector.commitment,
        context=vector.context,
        destinations=vector.destinations,
    )
    for name, value in changes.items():
        setattr(message, name, value)
    return pb.SealedCredentialResult(sealed_credential=message)


def snapshot(*providers: pb.RoutingProvider, revision: int = 1) -> pb.RoutingSnapshot:
    return pb.RoutingSnapshot(revision=revision, store_id="s", providers=providers)


def replaced(api_key: str, version: int) -> tuple[pb.RoutingProvider, pb.SealedCredentialResult]:
    """The vector's provider with another key, as if an administrator had set it."""
    known = replace(expected(VECTOR), credential_version=version)
    dek = bytes(range(32, 64))
    made = seal_with_registry(known, {"api_key": api_key}, dek=dek, nonce=bytes(12), dek_id=bytes(16))
    provider = entry()
    provider.credential_version = version
    result = sealed(credential_version=version, envelope=made.envelope, wrapped_data_key=kms_double.wrap(dek))
    result.sealed_credential.context, result.sealed_credential.commitment = made.context, made.commitment
    return provider, result
