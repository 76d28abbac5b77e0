"""Four credentials, and every way to put their stored parts together: only the four that belong open.

What somebody who writes the database can do without any key: exchange envelopes, wrappers, contexts,
commitments and destinations, alone or together, and the row that all of it is shown for.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest
from codevector_providers.errors import CredentialCorrupt
from codevector_providers.model import CredentialType as SdkType
from codevector_providers.model import ProviderKind as SdkKind
from codevector_providers.opening import Expected, SealedCredential, open_sealed

from kms.keyring import DataKey, WrappedDataKey
from service.domain.credentials import parse_material
from service.domain.model import CredentialBinding, CredentialType, ProviderKind
from service.sealing.sealer import Sealer
from tests.support.doubles.power_cuts import MovableDatabase
from tests.support.storms.disk_installation import DEPLOYMENT_ID, Installation, make_template


@dataclass(frozen=True, slots=True)
class Belongs:
    """What one router expects, what is stored for it, and what is inside."""

    expected: Expected
    stored: SealedCredential
    key: str


OPENAI, GROQ = ProviderKind.OPENAI, ProviderKind.GROQ
OF_OPENAI = ("api https://api.openai.com",)
ROWS = [
    # kind, uid, credential version, destinations
    (OPENAI, UUID(int=1), 1, OF_OPENAI),
    (OPENAI, UUID(int=1), 2, OF_OPENAI),
    (OPENAI, UUID(int=2), 1, ("api https://llm.example.com/v1",)),
    (GROQ, UUID(int=2), 1, ("api https://api.groq.com", "token https://llm.example.com")),
]
"""Neighbours that differ in little: the version; provider and destination; kind and destinations."""


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Installation]:
    template = tmp_path / "template"
    template.mkdir(mode=0o700)
    make_template(template)
    made = Installation.of(template, tmp_path / "run", MovableDatabase(template / "registry.db"))
    yield made
    made.stop()


def seal_all(there: Installation) -> list[Belongs]:
    """The last two under another key version than the first two."""
    sealer = Sealer(there.ctx.kms, os.urandom)
    made = []
    for number, (kind, uid, version, destinations) in enumerate(ROWS):
        if number == 2:
            there.create_version()
            there.activate()
        key = f"sk-proj-{number:032d}"
        sealed = sealer.seal(
            CredentialBinding(uid, kind, version, destinations),
            parse_material(CredentialType.API_KEY, {"api_key": key}, field="credential"),
            deployment_id=DEPLOYMENT_ID,
        )
        expected = Expected(
            DEPLOYMENT_ID, uid, SdkKind(kind), SdkType.API_KEY, version, tuple(sorted(destinations))
        )
        stored = SealedCredential(
            provider_uid=str(uid),
            kind=kind,
            type=sealed.type,
            credential_version=version,
            envelope=sealed.envelope,
            wrapped_data_key=sealed.wrapped_data_key,
            key_version=sealed.key_version,
            commitment=sealed.commitment,
            context=sealed.context,
            destinations=sealed.destinations,
        )
        made.append(Belongs(expected, stored, key))
    return made


def open_as_router(there: Installation, sealed: SealedCredential, expected: Expected) -> str | None:
    """The key, if sidecar and library both agree to open it."""
    item = WrappedDataKey(sealed.wrapped_data_key, sealed.key_version, sealed.commitment, sealed.context)
    [result] = there.keyring.unwrap([item])
    if not isinstance(result, DataKey):
        return None
    try:
        return open_sealed(sealed, expected, bytes(result.octets))["api_key"]
    except CredentialCorrupt:
        return None


def test_all_of_them(there: Installation) -> None:
    made = seal_all(there)
    opened = []
    for numbers in itertools.product(range(len(made)), repeat=7):
        row, claims, envelope, wrapper, commitment, context, destinations = (made[n].stored for n in numbers)
        sealed = replace(
            claims,
            envelope=envelope.envelope,
            wrapped_data_key=wrapper.wrapped_data_key,
            key_version=wrapper.key_version,
            commitment=commitment.commitment,
            context=context.context,
            destinations=destinations.destinations,
        )
        key = open_as_router(there, sealed, made[numbers[0]].expected)
        if key is not None:
            assert sealed == row, numbers
            opened.append(key)
    assert set(opened) == {each.key for each in made}
