"""Envelopes of format 1, from the sealing side."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.model import CredentialType, ProviderKind
from service.sealing import envelope
from service.sealing.envelope import Binding
from tests.support.values import oracle_envelope as oracle

DEK = bytes(range(32))
NONCE = bytes(12)
API_KEY = "sk-" + "a" * 32


def binding(
    *,
    deployment_id: bytes = b"\x01" * 16,
    credential_version: int = 1,
    kind: ProviderKind = ProviderKind.OPENAI,
    credential_type: CredentialType = CredentialType.API_KEY,
    destinations: tuple[str, ...] = ("api https://api.openai.com",),
) -> Binding:
    return Binding(
        deployment_id=deployment_id,
        provider_uid=UUID(bytes=b"\x02" * 16),
        dek_id=UUID(bytes=b"\x03" * 16),
        credential_version=credential_version,
        kind=kind,
        type=credential_type,
        destinations=destinations,
    )


class TestFrozenVector:
    """The format's own vector, computed by two programs before this one existed."""

    def test_context(self) -> None:
        assert len(envelope.encode_context(binding())) == 103

    def test_commitment(self) -> None:
        context = envelope.encode_context(binding())
        assert (
            envelope.commit_to(DEK, context).hex()
            == "4b32d9be8d1779d271f11a8a05bf815251e12f8560a054363312793c1fe1d4ca"
        )

    def test_aad(self) -> None:
        context = envelope.encode_context(binding())
        header = envelope.encode_header(binding().dek_id, bytes(32))
        assert len(header) == 56
        assert len(envelope.encode_aad(binding(), header, context)) == 255

    def test_envelope(self) -> None:
        sealed = envelope.seal(binding(), {"api_key": API_KEY}, dek=DEK, nonce=NONCE)
        assert len(sealed.data) == 340
        assert (
            hashlib.sha256(sealed.data).hexdigest()
            == "9fcf925f268052e74042a2a17d5c8ab0a56ac292b953dbcf86d9de22c4bbea28"
        )
        assert sealed.commitment == envelope.commit_to(DEK, sealed.context)


def field_values(credential_type: CredentialType) -> st.SearchStrategy[dict[str, str]]:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
    names = sorted(envelope.FIELDS_BY_TYPE[credential_type])
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, text))


TYPED_FIELDS = st.sampled_from(CredentialType).flatmap(
    lambda credential_type: st.tuples(st.just(credential_type), field_values(credential_type))
)


class TestOpenOfSeal:
    @settings(deadline=None)
    @given(TYPED_FIELDS, st.binary(min_size=32, max_size=32), st.binary(min_size=12, max_size=12))
    def test_gives_the_fields_back(
        self, typed: tuple[CredentialType, dict[str, str]], dek: bytes, nonce: bytes
    ) -> None:
        credential_type, fields = typed
        bound = binding(credential_type=credential_type)
        sealed = envelope.seal(bound, fields, dek=dek, nonce=nonce)
        opened = oracle.open_envelope(
            sealed.data,
            dek=dek,
            context=sealed.context,
            kind=bound.kind,
            credential_type=credential_type,
            destinations=list(bound.destinations),
        )
        assert opened == fields

    @pytest.mark.parametrize("size", [1, 209, 210, 211, 465, 466, 467])
    def test_length_tells_only_the_block_count(self, size: int) -> None:
        sealed = envelope.seal(binding(), {"api_key": "k" * size}, dek=DEK, nonce=NONCE)
        assert (len(sealed.data) - 56 - 12 - 16) % 256 == 0

    def test_ambient_seals_an_empty_field_map(self) -> None:
        bound = binding(credential_type=CredentialType.AMBIENT, kind=ProviderKind.BEDROCK)
        sealed = envelope.seal(bound, {}, dek=DEK, nonce=NONCE)
        assert len(sealed.data) == 340


class TestRefusals:
    @pytest.mark.parametrize(
        "bad",
        [
            pytest.param(binding(deployment_id=b"\x01" * 15), id="short deployment"),
            pytest.param(binding(credential_version=0), id="version 0"),
            pytest.param(binding(credential_version=1 << 63), id="version beyond int64"),
            pytest.param(binding(destinations=()), id="no destination"),
            pytest.param(binding(destinations=("b", "a")), id="unsorted"),
            pytest.param(binding(destinations=("a", "a")), id="twice"),
            pytest.param(binding(destinations=tuple(f"api {n}" for n in range(9))), id="nine destinations"),
            pytest.param(binding(destinations=("api https://exämple.com",)), id="not ASCII"),
        ],
    )
    def test_binding(self, bad: Binding) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - the kind of error is the contract, not its words
            envelope.seal(bad, {"api_key": API_KEY}, dek=DEK, nonce=NONCE)

    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param({"secret_access_key": API_KEY}, id="field of another type"),
            pytest.param({"api_key": "k" * 65536}, id="more than 64 KiB"),
            pytest.param({"api_key": API_KEY + "\ud800"}, id="lone surrogate"),
        ],
    )
    def test_fields_never_show_in_the_error(self, fields: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="credential") as caught:
            envelope.seal(binding(), fields, dek=DEK, nonce=NONCE)
        assert API_KEY not in repr(caught.value)
        assert caught.value.__context__ is None

    @pytest.mark.parametrize(("dek", "nonce"), [(DEK[1:], NONCE), (DEK, NONCE[1:])])
    def test_key_and_nonce_lengths(self, dek: bytes, nonce: bytes) -> None:
        with pytest.raises(ValueError, match="data key"):
            envelope.seal(binding(), {"api_key": API_KEY}, dek=dek, nonce=nonce)

    def test_largest_credential(self) -> None:
        overhead = len(envelope.length_prefixed(b"codevector/fields/1", b"api_key", b"")) + 1
        sealed = envelope.seal(binding(), {"api_key": "k" * (65536 - overhead)}, dek=DEK, nonce=NONCE)
        assert len(sealed.data) == 56 + 12 + 65536 + 16


def test_the_service_can_not_open() -> None:
    """No function of the sealing room takes an envelope and gives its fields."""
    assert not any(name.startswith(("open", "decrypt", "unwrap", "decode")) for name in dir(envelope))
