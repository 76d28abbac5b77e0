"""Seal a credential under a data key of its own, and have that key wrapped by the sidecar.

May see: one credential and the key made for it, for the time of one call. Must never: use a data key twice,
keep one, or fall back to anything when the sidecar is away: then nothing is sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final
from uuid import UUID

from service.domain.credentials import CredentialMaterial
from service.domain.model import CredentialBinding, SealedCredential
from service.sealing import envelope
from service.sealing.kms_client import DataKey, KmsClient


@final
class Sealer:
    """Seals; cannot open what it sealed. ``random_bytes`` is the operating system's, or a test's."""

    def __init__(self, kms: KmsClient, random_bytes: Callable[[int], bytes]) -> None:
        self._kms = kms
        self._random_bytes = random_bytes

    def seal(
        self,
        bound: CredentialBinding,
        material: CredentialMaterial,
        *,
        deployment_id: bytes,
        timeout_seconds: float | None = None,
        request_id: str = "",
    ) -> SealedCredential:
        """Return the credential, sealed for exactly what it is bound to, and its wrapped key.

        Destinations are 1 to 8 items ``role SP url``, each once, and are stored sorted by their bytes.
        It makes one call of the sidecar, within ``timeout_seconds`` and the client's own deadline: never call
        it inside a transaction. The answer's ``key_version`` is the primary at that moment: compare it before
        storing.

        Raises:
            Unavailable: reason KMS_UNAVAILABLE; nothing was sealed.
            ValueError: something outside the format, which validation should have refused.
        """
        binding = envelope.Binding(
            deployment_id=deployment_id,
            provider_uid=bound.provider_uid,
            dek_id=UUID(bytes=self._random_bytes(16), version=4),
            credential_version=bound.version,
            kind=bound.kind,
            type=material.type,
            destinations=envelope.sorted_destinations(bound.destinations),
        )
        dek = bytearray(self._random_bytes(envelope.DEK_BYTES))
        try:
            nonce = self._random_bytes(envelope.NONCE_BYTES)
            sealed = envelope.seal(binding, material.reveal(), dek=dek, nonce=nonce)
            key = DataKey(context=sealed.context, commitment=sealed.commitment, dek=dek)
            (wrapped,) = self._kms.wrap([key], timeout_seconds=timeout_seconds, request_id=request_id)
        finally:
            envelope.wipe(dek)
        return SealedCredential(
            type=binding.type,
            version=binding.credential_version,
            dek_id=binding.dek_id,
            envelope=sealed.data,
            wrapped_data_key=wrapped.wrapped,
            key_version=wrapped.key_version,
            commitment=sealed.commitment,
            context=sealed.context,
            destinations=binding.destinations,
        )
