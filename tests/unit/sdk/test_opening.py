"""What opens, and that nothing else does."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from codevector_providers.destinations import derive
from codevector_providers.errors import CredentialCorrupt
from codevector_providers.model import CredentialType, ProviderKind, RoutingProvider
from codevector_providers.opening import Expected, SealedCredential, check, open_sealed
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.values import oracle_envelope as oracle
from tests.support.values.envelope_vectors import EnvelopeVector, load, load_all
from tests.support.values.sealed import expected, seal_with_registry, sealed_credential

VECTORS = load_all(opens=True)
FROZEN = load("openai-api-key")
by_name = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)


class TestVectors:
    def test_the_formats_own(self) -> None:
        """The first of all: lengths and hashes stand in the format's definition."""
        assert (len(FROZEN.context), len(FROZEN.aad), len(FROZEN.envelope)) == (103, 255, 340)
        opened = open_sealed(sealed_credential(FROZEN), expected(FROZEN), FROZEN.dek)
        assert opened == {"api_key": "sk-" + "a" * 32}

    @by_name
    def test_opens(self, vector: EnvelopeVector) -> None:
        assert open_sealed(sealed_credential(vector), expected(vector), vector.dek) == vector.fields

    @by_name
    def test_opens_with_the_destinations_of_its_configuration(self, vector: EnvelopeVector) -> None:
        provider = RoutingProvider(
            name="providers/p",
            uid=str(vector.provider_uid),
            kind=ProviderKind(vector.kind),
            display_name="P",
            config=vector.config,
            headers={},
            credential_type=CredentialType(vector.type),
            credential_version=vector.credential_version,
            labels={},
        )
        derived = tuple(destination.item for destination in derive(provider))
        known = replace(expected(vector), destinations=derived)
        assert open_sealed(sealed_credential(vector), known, vector.dek) == vector.fields

    @pytest.mark.parametrize("vector", load_all(opens=False), ids=lambda vector: vector.name)
    def test_refused(self, vector: EnvelopeVector) -> None:
        with pytest.raises(CredentialCorrupt):
            open_sealed(sealed_credential(vector), expected(vector), vector.dek)

    def test_two_keys_differ_in_the_commitment_alone(self) -> None:
        """AES-GCM accepts that ciphertext under the wrong key, and its plaintext is well-formed."""
        vector = load("refused-two-keys")
        key = oracle.expand(vector.dek, b"codevector/enc/1", vector.context)
        plain = AESGCM(key).decrypt(vector.nonce, vector.envelope[68:], vector.aad)
        assert plain.startswith(oracle.lp(b"codevector/fields/1", b"api_key"))


FIELDS = {
    CredentialType.API_KEY: (["api_key"], []),
    CredentialType.AWS_ACCESS_KEY: (
        ["access_key_id", "secret_access_key"],
        ["session_token", "assume_role_arn"],
    ),
    CredentialType.GCP_SERVICE_ACCOUNT_KEY: (
        ["client_email", "private_key", "private_key_id", "project_id"],
        [],
    ),
    CredentialType.AZURE_CLIENT_SECRET: (["tenant_id", "client_id", "client_secret"], []),
    CredentialType.AMBIENT: ([], []),
}
KIND_OF_TYPE = {
    CredentialType.API_KEY: ProviderKind.GROQ,
    CredentialType.AWS_ACCESS_KEY: ProviderKind.BEDROCK,
    CredentialType.GCP_SERVICE_ACCOUNT_KEY: ProviderKind.VERTEX,
    CredentialType.AZURE_CLIENT_SECRET: ProviderKind.AZURE,
    CredentialType.AMBIENT: ProviderKind.AZURE,
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
ID = st.binary(min_size=16, max_size=16)


@st.composite
def known_and_fields(draw: st.DrawFn) -> tuple[Expected, dict[str, str]]:
    credential_type = draw(st.sampled_from(list(FIELDS)))
    required, optional = FIELDS[credential_type]
    fields = draw(
        st.fixed_dictionaries(dict.fromkeys(required, TEXT), optional=dict.fromkeys(optional, TEXT))
    )
    hosts = draw(
        st.sets(st.from_regex(r"api https://[a-z]{1,9}\.example", fullmatch=True), min_size=1, max_size=8)
    )
    known = Expected(
        deployment_id=draw(ID),
        provider_uid=UUID(bytes=draw(ID)),
        kind=KIND_OF_TYPE[credential_type],
        type=credential_type,
        credential_version=draw(st.integers(1, 2**63 - 1)),
        destinations=tuple(sorted(hosts)),
    )
    return known, fields


class TestOpenOfSeal:
    @settings(deadline=None)
    @given(known_and_fields(), st.binary(min_size=32, max_size=32), st.binary(min_size=12, max_size=12), ID)
    def test_gives_the_fields_back(
        self, case: tuple[Expected, dict[str, str]], dek: bytes, nonce: bytes, dek_id: bytes
    ) -> None:
        known, fields = case
        sealed = seal_with_registry(known, fields, dek=dek, nonce=nonce, dek_id=dek_id)
        assert open_sealed(sealed, known, dek) == fields

    @settings(deadline=None)
    @given(known_and_fields(), st.data())
    def test_any_flipped_bit_fails(self, case: tuple[Expected, dict[str, str]], data: st.DataObject) -> None:
        known, fields = case
        sealed = seal_with_registry(known, fields, dek=b"k" * 32, nonce=b"n" * 12, dek_id=b"d" * 16)
        bit = data.draw(st.integers(0, len(sealed.envelope) * 8 - 1))
        with pytest.raises(CredentialCorrupt):
            open_sealed(replace(sealed, envelope=flipped(sealed.envelope, bit)), known, b"k" * 32)


def flipped(octets: bytes, bit: int) -> bytes:
    changed = bytearray(octets)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


SEALED = sealed_credential(FROZEN)
KNOWN = expected(FROZEN)


class TestTampering:
    def test_every_bit_of_the_envelope(self) -> None:
        for bit in range(len(FROZEN.envelope) * 8):
            with pytest.raises(CredentialCorrupt):
                open_sealed(replace(SEALED, envelope=flipped(FROZEN.envelope, bit)), KNOWN, FROZEN.dek)

    def test_every_bit_of_the_columns(self) -> None:
        for bit in range(len(FROZEN.context) * 8):
            with pytest.raises(CredentialCorrupt):
                open_sealed(replace(SEALED, context=flipped(FROZEN.context, bit)), KNOWN, FROZEN.dek)
        for bit in range(len(FROZEN.commitment) * 8):
            with pytest.raises(CredentialCorrupt):
                open_sealed(replace(SEALED, commitment=flipped(FROZEN.commitment, bit)), KNOWN, FROZEN.dek)

    def test_every_bit_of_the_data_key(self) -> None:
        for bit in range(256):
            with pytest.raises(CredentialCorrupt):
                open_sealed(SEALED, KNOWN, flipped(FROZEN.dek, bit))

    @pytest.mark.parametrize("size", [0, 1, 55, 56, 68, 84, 339, 341, 596])
    def test_other_lengths(self, size: int) -> None:
        envelope = (FROZEN.envelope * 2)[:size]
        with pytest.raises(CredentialCorrupt):
            open_sealed(replace(SEALED, envelope=envelope), KNOWN, FROZEN.dek)

    @pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
    def test_data_keys_of_other_lengths(self, size: int) -> None:
        with pytest.raises(CredentialCorrupt):
            open_sealed(SEALED, KNOWN, bytes(size))

    def test_all_exchanges_of_two_vectors(self) -> None:
        """Envelope, wrapper's key, and both, of any other credential: nothing opens in another's place."""
        for one in VECTORS:
            for other in VECTORS:
                if one.name == other.name:
                    continue
                mine, theirs = sealed_credential(one), sealed_credential(other)
                for sealed, dek in (
                    (replace(mine, envelope=theirs.envelope), one.dek),
                    (mine, other.dek),
                    (replace(mine, envelope=theirs.envelope), other.dek),
                    (replace(mine, envelope=theirs.envelope, commitment=theirs.commitment), other.dek),
                    (theirs, other.dek),
                    (replace(theirs, context=mine.context), other.dek),
                ):
                    with pytest.raises(CredentialCorrupt):
                        open_sealed(sealed, expected(one), dek)


class TestAnotherBinding:
    @pytest.mark.parametrize(
        "known",
        [
            pytest.param(replace(KNOWN, deployment_id=b"\x09" * 16), id="deployment"),
            pytest.param(replace(KNOWN, deployment_id=b"\x01" * 15), id="deployment of another length"),
            pytest.param(replace(KNOWN, provider_uid=UUID(int=9)), id="uid"),
            pytest.param(replace(KNOWN, kind=ProviderKind.GROQ), id="kind"),
            pytest.param(replace(KNOWN, type=CredentialType.AMBIENT), id="type"),
            pytest.param(replace(KNOWN, credential_version=2), id="version"),
            pytest.param(replace(KNOWN, credential_version=0), id="version 0"),
            pytest.param(replace(KNOWN, destinations=("api https://evil.example",)), id="destination"),
            pytest.param(
                replace(KNOWN, destinations=(*KNOWN.destinations, "token https://evil.example")),
                id="one destination more",
            ),
            pytest.param(replace(KNOWN, destinations=()), id="no destination"),
        ],
    )
    def test_of_the_router(self, known: Expected) -> None:
        """Also when the registry's claims follow the router's knowledge: then the envelope alone tells."""
        claims = replace(
            SEALED,
            provider_uid=str(known.provider_uid),
            kind=known.kind,
            type=known.type,
            credential_version=known.credential_version,
            context=oracle_context(known),
        )
        for sealed in (SEALED, claims, replace(claims, destinations=tuple(sorted(known.destinations)))):
            with pytest.raises(CredentialCorrupt):
                open_sealed(sealed, known, FROZEN.dek)

    @pytest.mark.parametrize(
        "sealed",
        [
            pytest.param(replace(SEALED, provider_uid=str(UUID(int=9))), id="uid"),
            pytest.param(replace(SEALED, kind=2), id="kind"),
            pytest.param(replace(SEALED, type=5), id="type"),
            pytest.param(replace(SEALED, credential_version=2), id="version"),
            pytest.param(replace(SEALED, destinations=()), id="no destinations"),
            pytest.param(
                replace(SEALED, destinations=(*SEALED.destinations, "api https://evil.example")),
                id="one destination more",
            ),
            pytest.param(replace(SEALED, destinations=SEALED.destinations * 2), id="one twice"),
            pytest.param(
                replace(SEALED, destinations=("z", *SEALED.destinations)), id="unsorted destinations"
            ),
            pytest.param(
                replace(SEALED, destinations=(*SEALED.destinations, "api https://ä.example")),
                id="destination that is not ASCII",
            ),
        ],
    )
    def test_of_the_registrys_columns(self, sealed: SealedCredential) -> None:
        with pytest.raises(CredentialCorrupt):
            open_sealed(sealed, KNOWN, FROZEN.dek)

    @pytest.mark.parametrize(
        "kind",
        [
            kind
            for kind in ProviderKind
            if kind.name not in ("AZURE", "BEDROCK", "VERTEX", "VERTEX_ANTHROPIC")
        ],
    )
    def test_ambient_only_where_there_is_a_cloud(self, kind: ProviderKind) -> None:
        """Even if the registry itself had sealed it so."""
        known = replace(KNOWN, kind=kind, type=CredentialType.AMBIENT)
        with pytest.raises(CredentialCorrupt):
            check(replace(SEALED, kind=kind, type=CredentialType.AMBIENT), known)

    def test_more_destinations_sealed_than_derived_is_fine(self) -> None:
        vector = load("azure-client-secret")
        known = replace(expected(vector), destinations=vector.destinations[:1])
        assert open_sealed(sealed_credential(vector), known, vector.dek) == vector.fields


def oracle_context(known: Expected) -> bytes:
    return oracle.lp(
        b"codevector/dek/1",
        known.deployment_id,
        b"default",
        known.provider_uid.bytes,
        FROZEN.dek_id.bytes,
        known.credential_version.to_bytes(8, "big"),
    )


def sealed_plain(plain: bytes) -> SealedCredential:
    """Any plaintext, sealed with the right key: what only a faulty sealer would make."""
    key = oracle.expand(FROZEN.dek, b"codevector/enc/1", FROZEN.context)
    body = AESGCM(key).encrypt(FROZEN.nonce, plain, FROZEN.aad)
    return replace(SEALED, envelope=FROZEN.envelope[:68] + body)


LABEL = b"codevector/fields/1"


def padded(octets: bytes) -> bytes:
    octets += b"\x80"
    return octets + bytes(-len(octets) % 256)


class TestPlaintext:
    def test_well_formed(self) -> None:
        sealed = sealed_plain(padded(oracle.lp(LABEL, b"api_key", b"x")))
        assert open_sealed(sealed, KNOWN, FROZEN.dek) == {"api_key": "x"}

    @pytest.mark.parametrize(
        "plain",
        [
            pytest.param(bytes(256), id="no padding mark"),
            pytest.param(b"\x80" + bytes(255), id="nothing"),
            pytest.param(padded(oracle.lp(LABEL)), id="no field"),
            pytest.param(padded(oracle.lp(b"codevector/fields/2", b"api_key", b"x")), id="other label"),
            pytest.param(padded(oracle.lp(LABEL, b"api_key")), id="name without value"),
            pytest.param(padded(oracle.lp(LABEL, b"api_key", b"x", b"api_key", b"y")), id="twice"),
            pytest.param(padded(oracle.lp(LABEL, b"api_key", b"x", b"token", b"y")), id="unknown field"),
            pytest.param(padded(oracle.lp(LABEL, b"token", b"y")), id="another field"),
            pytest.param(padded(oracle.lp(LABEL, b"token", b"y", b"api_key", b"x")), id="unsorted"),
            pytest.param(padded(oracle.lp(LABEL, b"api_key", b"\xff")), id="not UTF-8"),
            pytest.param(padded(oracle.lp(LABEL, b"api\xff", b"x")), id="name not UTF-8"),
            pytest.param(padded(oracle.lp(LABEL, b"api_key", b"x") + b"\x00\x00"), id="a rest"),
            pytest.param(padded(oracle.lp(LABEL, b"api_key") + b"\x00\x00\x01\x00x"), id="length beyond"),
            pytest.param(padded(oracle.lp(LABEL, b"api_key", b"x")) + bytes(256), id="a block too many"),
            pytest.param(padded(oracle.lp(LABEL, b"api_key", b"x"))[:-1] + b"\x01", id="padding of ones"),
        ],
    )
    def test_malformed(self, plain: bytes) -> None:
        with pytest.raises(CredentialCorrupt) as caught:
            open_sealed(sealed_plain(plain), KNOWN, FROZEN.dek)
        assert caught.value.__context__ is None


def test_one_error_for_every_cause() -> None:
    """Whoever feeds envelopes learns nothing from what is answered."""
    messages = set()
    for sealed, dek in (
        (replace(SEALED, envelope=b""), FROZEN.dek),
        (replace(SEALED, commitment=bytes(32)), FROZEN.dek),
        (replace(SEALED, envelope=flipped(FROZEN.envelope, 2719)), FROZEN.dek),
        (SEALED, bytes(32)),
        (sealed_plain(bytes(256)), FROZEN.dek),
    ):
        with pytest.raises(CredentialCorrupt) as caught:
            open_sealed(sealed, KNOWN, dek)
        messages.add((str(caught.value), caught.value.reason, *caught.value.metadata))
    assert len(messages) == 1
