"""The registry's own secret: 32 bytes outside the database, shared by replicas, for deriving labelled keys.

May see: that secret. It opens no credential: it authenticates page tokens, impact tokens and idempotency
fingerprints, so whoever reads the database cannot forge or guess one. Must never: log it, hand it out whole.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES = 32


class RegistrySecretError(Exception):
    """The secret cannot be used as it is; the message is one sentence that says what to do."""


@final
class RegistrySecret:
    """Derives keys, and never shows itself."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        """Raises ValueError unless there are 32 bytes."""
        if len(octets) != SECRET_BYTES:
            raise ValueError(f"the registry secret is {SECRET_BYTES} bytes")
        self._octets = octets

    def derive(self, label: str) -> bytes:
        """Return the 32-byte key of one use. Equal labels give equal keys; no key reveals another.

        Source: RFC 5869 with SHA-256, empty salt, the label as info.
        """
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=label.encode("utf-8")).derive(self._octets)

    def __repr__(self) -> str:
        return "RegistrySecret(<redacted>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the registry secret is not serialised")


def load_registry_secret(path: Path) -> RegistrySecret:
    """Read the secret of an installation.

    Raises:
        RegistrySecretError: the file is missing, not a plain file for this account alone, or not 32 bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise RegistrySecretError(
            f"The registry secret {path} is missing: prepare a new home with `python -m service migrate`, "
            "restore an old home's from its backup, or name it with CODEVECTOR_REGISTRY_SECRET_FILE."
        ) from None
    except OSError as error:
        raise RegistrySecretError(f"The registry secret {path} cannot be read: {error.strerror}.") from None
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid not in (0, os.geteuid()) or facts.st_mode & 0o077:
            raise RegistrySecretError(
                f"The registry secret {path} must be a plain file that only this account can read: "
                "own it and set its mode to 600."
            )
        octets = file.read(SECRET_BYTES + 1)
    if len(octets) != SECRET_BYTES:
        raise RegistrySecretError(
            f"The registry secret {path} is not {SECRET_BYTES} bytes long: restore it from its backup."
        )
    return RegistrySecret(octets)


def create_registry_secret(path: Path, random_bytes: Callable[[int], bytes]) -> RegistrySecret:
    """Make the secret of a fresh installation, durable and readable by this account only.

    Written beside its place and linked into it, so that a crash leaves either no secret or a whole one, and
    of two processes that start at once one loses. An existing secret is never replaced.

    Raises:
        RegistrySecretError: there is one already, or the directory cannot be written.
    """
    octets = random_bytes(SECRET_BYTES)
    draft = path.with_name(f"{path.name}.{random_bytes(8).hex()}.new")
    try:
        descriptor = os.open(
            draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            with open(descriptor, "wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(descriptor)
            os.link(draft, path)
        finally:
            os.unlink(draft)
        _sync_directory(path.parent)
    except FileExistsError:
        raise RegistrySecretError(f"The registry secret {path} exists already and is not replaced.") from None
    except OSError as error:
        raise RegistrySecretError(
            f"The registry secret {path} cannot be written: {error.strerror}."
        ) from None
    return RegistrySecret(octets)


def _sync_directory(directory: Path) -> None:
    """Make a new name in the directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
