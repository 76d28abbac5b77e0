"""Makes the frozen envelope of a new kind: ``python -m tests.support.values.new_envelope_vector mistral``.

It seals an API key with made-up IDs and keys, at the default destination. An existing file is never touched.
"""

from __future__ import annotations

import json
import secrets
import sys
from uuid import uuid4

from service.sealing import envelope
from service.sealing.envelope import Binding
from tests.support.values.envelope_vectors import FOLDER
from upstreams.kinds import CredentialType, ProviderKind, destinations


def main(word: str) -> int:
    kind, credential_type = ProviderKind[word.upper()], CredentialType.API_KEY
    deployment_id, dek, nonce = secrets.token_bytes(16), secrets.token_bytes(32), secrets.token_bytes(12)
    fields = {"api_key": f"{word}-vector-0123456789abcdefghij"}
    binding = Binding(
        deployment_id=deployment_id,
        provider_uid=uuid4(),
        dek_id=uuid4(),
        credential_version=1,
        kind=kind,
        type=credential_type,
        destinations=destinations(kind, {}, credential_type),
    )
    sealed = envelope.seal(binding, fields, dek=dek, nonce=nonce)
    vector = {
        "description": f"Kind {word}, type {credential_type.word}.",
        "opens": True,
        "deployment_id": deployment_id.hex(),
        "provider_uid": str(binding.provider_uid),
        "dek_id": str(binding.dek_id),
        "credential_version": str(binding.credential_version),
        "kind": kind,
        "type": credential_type,
        "config": {},
        "destinations": binding.destinations,
        "dek": dek.hex(),
        "nonce": nonce.hex(),
        "fields": fields,
        "context": sealed.context.hex(),
        "commitment": sealed.commitment.hex(),
        "aad": envelope.encode_aad(binding, sealed.data[:56], sealed.context).hex(),
        "envelope": sealed.data.hex(),
    }
    path = FOLDER / f"{word.replace('_', '-')}-api-key.json"
    with path.open("x") as file:
        file.write(json.dumps(vector, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
