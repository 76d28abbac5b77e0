from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kms.files.generations import KeyringFile
from kms.installation import initialise
from kms.keyring import Keyring, KeyVersions, OpenKeyring
from kms.local.document import DOCUMENT_LIMIT
from kms.local.opening import open_local
from kms.local.unlock import UnlockKind, UnlockMethod, UnlockRoot, UnlockSource, unlock

DEPLOYMENT_ID = bytes([1]) * 16
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory of mode 0700 with an initialised keyring."""
    directory = tmp_path / "kms"
    initialise(
        keyring=directory / "keyring.json",
        deployment_id_file=directory / "deployment-id",
        declared_deployment_id=DEPLOYMENT_ID,
        unlock_source=UnlockSource(UnlockKind.KEY_FILE, directory / "unlock.key"),
        clock=lambda: NOW,
        random=os.urandom,
    )
    return directory


@pytest.fixture
def keyring_file(home: Path) -> Iterator[KeyringFile]:
    with closing(KeyringFile(home / "keyring.json", limit=DOCUMENT_LIMIT)) as file:
        yield file


@pytest.fixture
def open_keyring(home: Path) -> Callable[[KeyringFile], OpenKeyring]:
    source = UnlockSource(UnlockKind.KEY_FILE, home / "unlock.key")

    def root(method: UnlockMethod) -> UnlockRoot:
        return unlock(source, method)

    def build(file: KeyringFile) -> OpenKeyring:
        return open_local(
            file,
            unlock=root,
            deployment_id=DEPLOYMENT_ID,
            clock=lambda: NOW,
            monotonic=lambda: 0.0,
            random=os.urandom,
        )

    return build


@pytest.fixture
def local(keyring_file: KeyringFile, open_keyring: Callable[[KeyringFile], OpenKeyring]) -> OpenKeyring:
    """The local keyring in the data directory."""
    return open_keyring(keyring_file)


@pytest.fixture
def keyring(local: OpenKeyring) -> Keyring:
    return local.keyring


@pytest.fixture
def versions(local: OpenKeyring) -> KeyVersions:
    return local.versions
