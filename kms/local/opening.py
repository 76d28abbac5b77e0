"""Create a local keyring, and open one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from kms.clocks import Clocks
from kms.files.generations import KeyringFile
from kms.keyring import KeyringUnavailable, OpenKeyring, VersionState
from kms.local.document import DocumentCodec, KeyringDocument
from kms.local.keyring import LocalKeyring
from kms.local.ring import RingFile, self_test
from kms.local.unlock import UnlockMethod, UnlockRoot
from kms.local.versions import LocalVersions

_INITIAL_REQUEST_ID = ""


def create_keyring(
    file: KeyringFile,
    *,
    deployment_id: bytes,
    method: UnlockMethod,
    root: UnlockRoot,
    clock: Callable[[], datetime],
    random: Callable[[int], bytes],
) -> None:
    """Write a new keyring with one PRIMARY version, and read it back.

    Raises:
        FileExistsError: there is a keyring already.
        KeyringUnavailable: the file does not hold what was written.
    """
    empty = KeyringDocument(random(4), deployment_id, 1, method, ())
    codec = DocumentCodec(root, empty.keyring_id)
    version = codec.new_version(
        empty,
        state=VersionState.PRIMARY,
        create_time=clock(),
        request_id=_INITIAL_REQUEST_ID,
        expected_latest="",
        random=random,
    )
    stored = codec.encode(replace(empty, versions=(version,)))
    self_test(codec.decode(stored), random)
    file.create(stored)
    if file.read() != stored:
        raise KeyringUnavailable


def open_local(
    file: KeyringFile,
    *,
    unlock: Callable[[UnlockMethod], UnlockRoot],
    deployment_id: bytes,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float],
    random: Callable[[int], bytes],
) -> OpenKeyring:
    """Return the keyring in a file.

    Raises:
        FileNotFoundError, FileError, DocumentError, UnlockError: see ``RingFile``.
    """
    ring = RingFile(file, unlock=unlock, deployment_id=deployment_id, random=random)
    return OpenKeyring(
        LocalKeyring(ring, random=random),
        LocalVersions(ring, clocks=Clocks(clock, monotonic), random=random),
        prefix=f"local-{ring.ring.document.keyring_id.hex()}-",
    )
