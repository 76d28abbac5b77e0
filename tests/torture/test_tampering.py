"""Random tampering without end in sight: wrappers through the keyring, envelopes through the SDK."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from kms.files.generations import KeyringFile
from kms.installation import initialise
from kms.local.document import DOCUMENT_LIMIT
from kms.local.opening import open_local
from kms.local.unlock import UnlockKind, UnlockSource, unlock
from tests.support.storms.wrapper_tampering import honest_items, opened, tampered
from tests.support.values.sealed import sealed_credential
from tests.unit.sdk.test_opening_fuzz import TAMPERS, VECTORS, refused

PARTS = 2
WRAPPERS = 200_000
ENVELOPES = 200_000
AT_ONCE = 1000
DEPLOYMENT_ID = bytes(range(16))


@pytest.mark.parametrize("part", range(PARTS))
def test_400000_wrappers(
    tmp_path: Path, rounds: Callable[[int], int], tell: Callable[[str], None], part: int
) -> None:
    seed, tried = random.randrange(1 << 32), 0
    chance = random.Random(seed)
    source = UnlockSource(UnlockKind.KEY_FILE, tmp_path / "kms" / "unlock.key")
    path = tmp_path / "kms" / "keyring.json"

    def clock() -> datetime:
        return datetime.now(UTC)

    initialise(
        keyring=path,
        deployment_id_file=tmp_path / "kms" / "deployment-id",
        declared_deployment_id=DEPLOYMENT_ID,
        unlock_source=source,
        clock=clock,
        random=os.urandom,
    )
    with closing(KeyringFile(path, limit=DOCUMENT_LIMIT)) as file:
        local = open_local(
            file,
            unlock=partial(unlock, source),
            deployment_id=DEPLOYMENT_ID,
            clock=clock,
            monotonic=lambda: 0.0,
            random=os.urandom,
        )

        def rotate() -> None:
            latest = local.versions.list_versions()[-1].name
            local.versions.activate_version(local.versions.create_version(uuid4(), latest).name)

        items = honest_items(local.keyring, rotate, DEPLOYMENT_ID)
        assert opened(local.keyring, items) == 3 * len(items)
        while tried < rounds(WRAPPERS):
            assert opened(local.keyring, [tampered(chance, items) for _ in range(AT_ONCE)]) == 0, seed
            tried += AT_ONCE
    tell(f"{tried} wrappers put to unwrap, verify and rewrap, 0 opened")


@pytest.mark.parametrize("part", range(PARTS))
def test_400000_envelopes(rounds: Callable[[int], int], tell: Callable[[str], None], part: int) -> None:
    seed, tried = random.randrange(1 << 32), 0
    chance = random.Random(seed)
    while tried < rounds(ENVELOPES):
        index = chance.randrange(len(VECTORS))
        vector = VECTORS[index]
        octets = chance.choice(TAMPERS)(chance, vector.envelope)
        if octets != vector.envelope:
            tried += 1
            sealed = replace(sealed_credential(vector), envelope=octets, commitment=octets[24:56])
            assert refused(sealed, index, vector.dek), (seed, octets.hex())
    tell(f"{tried} envelopes, 0 opened")
