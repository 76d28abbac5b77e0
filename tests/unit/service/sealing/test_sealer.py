"""Sealing a credential end to end, against a sidecar on a real socket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import pytest

from service.domain.credentials import CredentialMaterial, parse_material
from service.domain.errors import Unavailable
from service.domain.model import CredentialBinding, CredentialType, ProviderKind, SealedCredential
from service.sealing.kms_client import DataKey, KmsClient, WrappedDataKey
from service.sealing.sealer import Sealer
from tests.support.doubles import kms_double
from tests.support.doubles.kms_double import KmsDouble, serving
from tests.support.values import oracle_envelope as oracle

UID = UUID("02020202-0202-0202-0202-020202020202")
API_KEY = "sk-" + "a" * 32
UNSORTED = ("token https://login.microsoftonline.com", "api https://r.openai.azure.com")


def material() -> CredentialMaterial:
    return parse_material(CredentialType.API_KEY, {"api_key": API_KEY}, field="credential.api_key")


def seal(sealer: Sealer) -> SealedCredential:
    return sealer.seal(
        CredentialBinding(UID, ProviderKind.AZURE, 3, UNSORTED),
        material(),
        deployment_id=kms_double.DEPLOYMENT_ID,
    )


class TestSealer:
    def test_what_it_seals_opens_with_the_unwrapped_key(self, tmp_path: Path) -> None:
        with serving(KmsDouble(), tmp_path / "r.sock") as path, KmsClient(path) as kms:
            sealed = seal(Sealer(kms, os.urandom))
        dek = kms_double.unwrap(sealed.wrapped_data_key)
        opened = oracle.open_envelope(
            sealed.envelope,
            dek=dek,
            context=sealed.context,
            kind=ProviderKind.AZURE,
            credential_type=CredentialType.API_KEY,
            destinations=sorted(UNSORTED),
        )
        assert opened == {"api_key": API_KEY}
        assert sealed.destinations == tuple(sorted(UNSORTED))
        assert sealed.key_version == kms_double.KEY_VERSION
        assert sealed.commitment == oracle.commitment(dek, sealed.context)
        assert sealed.dek_id.version == 4
        assert (sealed.type, sealed.version) == (CredentialType.API_KEY, 3)

    def test_every_write_has_its_own_key_and_nonce(self, tmp_path: Path) -> None:
        with serving(KmsDouble(), tmp_path / "r.sock") as path, KmsClient(path) as kms:
            sealer = Sealer(kms, os.urandom)
            both = [seal(sealer), seal(sealer)]
        assert len({sealed.dek_id for sealed in both}) == 2
        assert len({sealed.envelope[56:68] for sealed in both}) == 2
        assert len({kms_double.unwrap(sealed.wrapped_data_key) for sealed in both}) == 2

    def test_fails_closed(self, tmp_path: Path) -> None:
        double = KmsDouble(abort=grpc.StatusCode.UNAVAILABLE)
        with (
            serving(double, tmp_path / "r.sock") as path,
            KmsClient(path) as kms,
            pytest.raises(Unavailable),
        ):
            seal(Sealer(kms, os.urandom))

    @pytest.mark.parametrize("code", [None, grpc.StatusCode.UNAVAILABLE])
    def test_wipes_the_key(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: grpc.StatusCode | None
    ) -> None:
        seen: list[bytearray] = []
        wrap = KmsClient.wrap

        def observed(self: KmsClient, keys: list[DataKey], **options: Any) -> tuple[WrappedDataKey, ...]:
            seen.extend(key.dek for key in keys)
            assert any(seen[0])
            return wrap(self, keys, **options)

        monkeypatch.setattr(KmsClient, "wrap", observed)
        with serving(KmsDouble(abort=code), tmp_path / "r.sock") as path, KmsClient(path) as kms:
            try:
                seal(Sealer(kms, os.urandom))
            except Unavailable:
                assert code is not None
        assert seen == [bytearray(32)]
