"""The secret that all replicas share: another one would make their tokens and request ids strangers.

Its fingerprint is recorded at the first use, and a process with another secret does not start.
"""

from __future__ import annotations

import hmac

from service.sealing.registry_secret import RegistrySecret, RegistrySecretError
from service.store import Store, WriteUnit

_LABEL = "codevector/secret-fingerprint/1"


def check_secret(store: Store, secret: RegistrySecret) -> None:
    """Record the secret's fingerprint at the first use.

    Raises:
        RegistrySecretError: the database is used with another secret.
    """
    mine = secret.derive(_LABEL)
    known = store.read(lambda unit: unit.kms.secret_fingerprint())
    if known is None:

        def record(unit: WriteUnit) -> bytes:
            first = unit.kms.secret_fingerprint()
            if first is None:
                unit.kms.record_secret_fingerprint(mine)
            return first or mine

        known = store.write(record)
    if not hmac.compare_digest(known, mine):
        raise RegistrySecretError(
            "The registry secret is not the one that this database is used with: copy the file from another "
            "replica or a backup, or make this one valid if it is lost: `python -m service secret adopt`."
        )


def adopt_secret(store: Store, secret: RegistrySecret) -> None:
    """Make this the secret of the database. Forgets all request ids: they cannot be compared any more."""

    def record(unit: WriteUnit) -> None:
        unit.kms.record_secret_fingerprint(secret.derive(_LABEL))
        unit.requests.forget()

    store.write(record)
