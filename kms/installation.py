"""What ``init`` creates once and serving never does: directories, unlock key, deployment id, keyring.

Each step keeps what exists and the keyring comes last, so an interrupted ``init`` is simply run again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from kms.errors import StartError
from kms.files.generations import KeyringFile
from kms.files.private import create_private, make_private_directory, read_private
from kms.keyring import KeyringError
from kms.local.document import DOCUMENT_LIMIT
from kms.local.opening import create_keyring
from kms.local.unlock import UnlockSource, prepare, unlock

_DEPLOYMENT_ID = re.compile(r"[0-9a-fA-F]{32}")
_FILE_LIMIT = 64


def parse_deployment_id(text: str) -> bytes:
    """Return 16 bytes from 32 hex digits. Raises ValueError."""
    if not _DEPLOYMENT_ID.fullmatch(text):
        raise ValueError("must be 32 hex digits, such as 0123456789abcdef0123456789abcdef")
    return bytes.fromhex(text)


def read_deployment_id(file: Path, declared: bytes | None) -> bytes:
    """Return the deployment id of ``file`` and of the setting, which must agree if both exist.

    Raises:
        StartError: neither exists, the file is damaged or not private, or they disagree.
    """
    stored = _read_stored(file)
    if stored is None and declared is None:
        raise StartError(f"the deployment id {file} is missing: run `python -m kms init`")
    if stored is not None and declared is not None and stored != declared:
        raise StartError(f"CODEVECTOR_DEPLOYMENT_ID and {file} disagree: unset the one that is wrong")
    return stored or declared or b""


def initialise_identity(
    *, deployment_id_file: Path, declared_deployment_id: bytes | None, random: Callable[[int], bytes]
) -> bytes:
    """Create and return the deployment id of an installation whose keys are elsewhere.

    Raises:
        StartError: there is one already, or an existing file is not private or does not fit.
    """
    make_private_directory(deployment_id_file.parent)
    try:
        create_private(deployment_id_file, _deployment_id_line(declared_deployment_id or random(16)))
    except FileExistsError:
        raise StartError(f"the deployment id {deployment_id_file} exists already") from None
    except OSError as error:
        raise StartError(f"init cannot write {error.filename}: {error.strerror}") from None
    return read_deployment_id(deployment_id_file, declared_deployment_id)


def initialise(
    *,
    keyring: Path,
    deployment_id_file: Path,
    declared_deployment_id: bytes | None,
    unlock_source: UnlockSource,
    clock: Callable[[], datetime],
    random: Callable[[int], bytes],
) -> bytes:
    """Create what is missing, the keyring last, and return the deployment id.

    Raises:
        StartError: there is a keyring already, or an existing file is not private or does not fit.
    """
    for directory in (keyring.parent, deployment_id_file.parent, unlock_source.path.parent):
        make_private_directory(directory)
    file = KeyringFile(keyring, limit=DOCUMENT_LIMIT)
    try:
        if keyring.exists():
            raise StartError(f"the keyring {keyring} exists already")
        method = prepare(unlock_source, random)
        root = unlock(unlock_source, method)
        if _read_stored(deployment_id_file) is None:
            create_private(deployment_id_file, _deployment_id_line(declared_deployment_id or random(16)))
        deployment_id = read_deployment_id(deployment_id_file, declared_deployment_id)
        create_keyring(
            file, deployment_id=deployment_id, method=method, root=root, clock=clock, random=random
        )
    except KeyringError as error:
        raise StartError(f"init failed: {error.message}") from None
    except OSError as error:
        raise StartError(f"init cannot write {error.filename}: {error.strerror}") from None
    finally:
        file.close()
    return deployment_id


def _deployment_id_line(deployment_id: bytes) -> bytes:
    return deployment_id.hex().encode("ascii") + b"\n"


def _read_stored(file: Path) -> bytes | None:
    try:
        return parse_deployment_id(read_private(file, limit=_FILE_LIMIT).decode("ascii").removesuffix("\n"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise StartError(
            f"{file} must hold a deployment id: 32 hex digits, such as 0123456789abcdef0123456789abcdef"
        ) from None
