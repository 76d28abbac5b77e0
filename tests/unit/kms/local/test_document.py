from __future__ import annotations

import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms.formats import hkdf, length_prefixed
from kms.keyring import VersionState
from kms.local.document import DocumentCodec, DocumentError, KeyringDocument, read_preamble
from kms.local.unlock import KeyMethod, UnlockError, UnlockRoot

VECTORS = Path(__file__).parents[3] / "vectors" / "kms"
STORED = (VECTORS / "keyring-key.json").read_bytes()
ROOT = UnlockRoot(bytes(range(200, 232)))
KEYRING_ID = bytes.fromhex("0a1b2c3d")
CODEC = DocumentCodec(ROOT, KEYRING_ID)


def resealed(change: dict[str, object]) -> bytes:
    """The frozen keyring with changed fields and a valid MAC, as the holder of the secret can make it."""
    body = json.loads(STORED)
    del body["mac"]
    body.update(change)
    unsigned = json.dumps(body, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    key = hkdf(ROOT.octets, length_prefixed(b"codevector/keyring-mac/1", KEYRING_ID))
    body["mac"] = hmac.digest(key, unsigned, "sha256").hex()
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def read_whole(octets: bytes) -> KeyringDocument:
    """The two steps of opening a keyring."""
    read_preamble(octets)
    return CODEC.decode(octets)


class TestFrozenKeyring:
    def test_opens_for_ever(self) -> None:
        document = CODEC.decode(STORED)
        assert document.seq == 4
        assert document.deployment_id == b"\1" * 16
        assert [version.record.state.value for version in document.versions] == [
            "DECRYPT_ONLY",
            "PRIMARY",
            "PENDING",
        ]
        assert document.primary.record.number == 2
        assert document.versions[-1].record.number == 3
        assert document.versions[0].record.ref == "local-0a1b2c3d-v1-bf763df0f9b20755"

    def test_is_written_byte_for_byte_the_same(self) -> None:
        assert CODEC.encode(CODEC.decode(STORED)) == STORED

    def test_preamble(self) -> None:
        assert read_preamble(STORED) == (KEYRING_ID, KeyMethod())

    def test_never_prints_a_key(self) -> None:
        document = CODEC.decode(STORED)
        text = repr((document, CODEC, ROOT))
        assert bytes(range(96, 128)).hex() not in text
        assert repr(bytes(range(96, 128))) not in text
        assert document.primary.sealed.hex() not in text
        assert "Kek(<redacted>)" in text


class TestTampering:
    def test_every_bit_flipped_is_refused(self) -> None:
        opened = []
        for bit in range(len(STORED) * 8):
            changed = bytearray(STORED)
            changed[bit // 8] ^= 1 << bit % 8
            try:
                read_whole(bytes(changed))
            except (DocumentError, UnlockError):
                continue
            opened.append(bit)
        assert opened == []

    @given(st.integers(0, len(STORED) - 1), st.integers(1, 255))
    def test_any_change_of_a_byte_is_refused(self, position: int, change: int) -> None:
        changed = bytearray(STORED)
        changed[position] ^= change
        with pytest.raises(DocumentError):
            CODEC.decode(bytes(changed))

    @given(st.binary(max_size=200) | st.integers(0, len(STORED)).map(lambda end: STORED[:end]))
    def test_other_bytes_raise_nothing_else(self, octets: bytes) -> None:
        if octets == STORED:
            return
        with pytest.raises((DocumentError, UnlockError)):
            read_whole(octets)

    @pytest.mark.parametrize(
        "octets",
        [
            pytest.param(b"[" * 100_000, id="deep"),
            pytest.param(b'{"format":1,"keyring_id":"\\ud800"}\n', id="lone surrogate"),
            pytest.param(b'{"mac":"\\ud800"}\n', id="surrogate for a mac"),
            pytest.param(b'{"format":2,"keyring_id":"00000000"}\n', id="a later format"),
            pytest.param(b'{"format":1,"keyring_id":"00","unlock":{"method":"key"}}\n', id="short id"),
            pytest.param(
                b'{"format":1,"keyring_id":"00000000","unlock":{"log2_n":Infinity,"method":"scrypt"}}\n',
                id="infinite cost",
            ),
            pytest.param(STORED.replace(b",", b", "), id="spaces"),
            pytest.param(STORED + b"\n", id="a line end more"),
        ],
    )
    def test_refuses(self, octets: bytes) -> None:
        with pytest.raises(DocumentError):
            read_whole(octets)

    def test_another_unlock_secret_is_refused(self) -> None:
        with pytest.raises(DocumentError, match="unlock secret"):
            DocumentCodec(UnlockRoot(bytes(32)), KEYRING_ID).decode(STORED)

    @pytest.mark.parametrize("log2_n", [1, 16, 21, 40])
    def test_a_cost_outside_its_bounds_is_refused_before_it_is_paid(self, log2_n: int) -> None:
        stored = (VECTORS / "keyring-passphrase.json").read_bytes()
        with pytest.raises(UnlockError, match="cost"):
            read_preamble(stored.replace(b'"log2_n":17', b'"log2_n":%d' % log2_n))


class TestConsistency:
    """A valid MAC does not excuse a document that contradicts itself."""

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param({"seq": 0}, id="seq 0"),
            pytest.param({"seq": "4"}, id="seq as text"),
            pytest.param({"deployment_id": "02" * 16}, id="KEKs sealed for another deployment"),
            pytest.param({"versions": []}, id="no version"),
            pytest.param({"versions": json.loads(STORED)["versions"][:1]}, id="no primary"),
            pytest.param({"versions": json.loads(STORED)["versions"][1:]}, id="a number left out"),
            pytest.param(
                {"versions": [{**entry, "state": "DESTROYED"} for entry in json.loads(STORED)["versions"]]},
                id="a state this release does not know",
            ),
            pytest.param(
                {"versions": [{**entry, "algorithm": "DES"} for entry in json.loads(STORED)["versions"]]},
                id="another algorithm",
            ),
        ],
    )
    def test_refuses(self, change: dict[str, object]) -> None:
        with pytest.raises(DocumentError, match="agree"):
            CODEC.decode(resealed(change))


class TestNewVersion:
    def test_is_sealed_and_named_by_its_key(self) -> None:
        empty = KeyringDocument(KEYRING_ID, b"\1" * 16, 1, KeyMethod(), ())
        version = CODEC.new_version(
            empty,
            state=VersionState.PRIMARY,
            create_time=datetime(2026, 11, 1, tzinfo=UTC),
            request_id="",
            expected_latest="",
            random=lambda length: bytes(range(64, 64 + length)),
        )
        assert version.record.ref == "local-0a1b2c3d-v1-bf763df0f9b20755"
        assert bytes(range(64, 96)) not in version.sealed
        reread = CODEC.decode(CODEC.encode(replace(empty, versions=(version,))))
        assert reread.primary.kek is not None
        assert version.record.ref.endswith(reread.primary.kek.check)
