from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest

from kms.vault.key import TransitAddress, TransitKey, ciphertext_version, version_number

ADDRESS = TransitAddress("transit", "codevector")
# SHA-256 of "transit/codevector" begins so; by sha256sum.
KEYRING_ID = "81b3bee5"
DATA = {
    "type": "aes256-gcm96",
    "derived": True,
    "exportable": False,
    "allow_plaintext_backup": False,
    "convergent_encryption": False,
    "deletion_allowed": False,
    "keys": {"2": 1764000200, "3": 1764000300, "10": 1764001000},
    "latest_version": 10,
    "min_available_version": 1,
    "min_decryption_version": 2,
    "min_encryption_version": 0,
}


def read(**changes: Any) -> TransitKey:
    return TransitKey.read(ADDRESS, {**DATA, **changes})


class TestAddress:
    @pytest.mark.parametrize(
        ("text", "mount", "key"), [("transit/cv", "transit", "cv"), ("a/b/c.d", "a/b", "c.d")]
    )
    def test_the_last_segment_is_the_key(self, text: str, mount: str, key: str) -> None:
        address = TransitAddress.parse(text)
        assert (address.mount, address.key, str(address)) == (mount, key, text)
        assert address.path("encrypt") == f"{mount}/encrypt/{key}"

    @pytest.mark.parametrize(
        "text", ["", "cv", "/cv", "a//b", "a/", "../b", "a/b?c", "a/b#", "a/b c", "a/%2e", "ä/b"]
    )
    def test_everything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="MOUNT/KEY"):
            TransitAddress.parse(text)


class TestTransitKey:
    def test_names_tell_place_number_and_creation(self) -> None:
        key = read()
        assert key.names() == tuple(
            f"keyVersions/transit-{KEYRING_ID}-v{number}-{seconds}"
            for number, seconds in ((2, 1764000200), (3, 1764000300), (10, 1764001000))
        )
        assert key.primary == key.names()[-1]
        assert key.create_time(3) == datetime.fromtimestamp(1764000300, UTC)

    def test_only_its_own_names_have_a_number(self) -> None:
        key = read()
        assert [key.number(name) for name in key.names()] == [2, 3, 10]
        ref = f"transit-{KEYRING_ID}-v3-1764000300"
        for other in (
            ref,
            f"keyVersions/keyVersions/{ref}",
            f"keyVersions/transit-{KEYRING_ID}-v3-1764000301",
            f"keyVersions/transit-{KEYRING_ID}-v1-1764000300",
            f"keyVersions/transit-{KEYRING_ID}-v03-1764000300",
            "keyVersions/transit-00000000-v3-1764000300",
            "keyVersions/local-0123abcd-v3-89abcdef01234567",
            "",
        ):
            assert key.number(other) is None

    def test_a_key_made_anew_has_other_names(self) -> None:
        old, new = read(), read(keys={"2": 1764000201, "3": 1764000300, "10": 1764001001})
        assert [new.number(name) for name in old.names()] == [None, 3, None]

    def test_a_good_key_has_no_faults(self) -> None:
        assert read().faults == ()
        assert read(soft_deleted=False).faults == (), "as OpenBao tells it; Vault does not"

    @pytest.mark.parametrize(
        ("name", "value", "fault"),
        [
            ("type", "aes128-gcm96", "aes256-gcm96"),
            ("type", "chacha20-poly1305", "aes256-gcm96"),
            ("derived", False, "derive"),
            ("exportable", True, "exported"),
            ("allow_plaintext_backup", True, "backed up"),
            ("convergent_encryption", True, "convergently"),
            ("deletion_allowed", True, "deleted"),
            ("soft_deleted", True, "soft-deleted"),
        ],
    )
    def test_each_attribute_has_its_fault(self, name: str, value: object, fault: str) -> None:
        faults = read(**{name: value}).faults
        assert len(faults) == 1
        assert fault in faults[0]

    @pytest.mark.parametrize("name", ["derived", "exportable", "deletion_allowed", "type"])
    def test_an_attribute_that_is_not_told_is_a_fault(self, name: str) -> None:
        assert TransitKey.read(ADDRESS, {k: v for k, v in DATA.items() if k != name}).faults

    @pytest.mark.parametrize(
        "changes",
        [
            {"keys": {"1": {"public_key": "x"}}},
            {"keys": None},
            {"keys": {}},
            {"latest_version": 11},
            {"min_decryption_version": "x"},
        ],
        ids=["asymmetric", "no keys", "empty", "latest missing", "not a number"],
    )
    def test_what_is_no_symmetric_key_is_refused(self, changes: dict[str, object]) -> None:
        with pytest.raises(ValueError, match="symmetric"):
            read(**changes)


class TestCiphertextVersion:
    BODY = b64encode(bytes(60)).decode()

    def test_the_number_of_one_that_can_hold_a_data_key(self) -> None:
        assert ciphertext_version(f"vault:v12:{self.BODY}") == 12

    @pytest.mark.parametrize(
        "ciphertext",
        [
            "",
            f"vault:v0:{BODY}",
            f"vault:v01:{BODY}",
            f"vault:v-1:{BODY}",
            f"vault:v1:{BODY}\n",
            f"VAULT:v1:{BODY}",
            f"vault:v1:{BODY[:-4]}",
            f"vault:v1:{BODY}AAAA",
            f"vault:v1:{BODY[:-1]}-",
            f"vault:v1:{BODY[:-1]}",
            f"vault:v1:{b64encode(bytes(59)).decode()}",
        ],
    )
    def test_none_for_all_else(self, ciphertext: str) -> None:
        assert ciphertext_version(ciphertext) is None


def test_version_number_reads_any_key_s_ref() -> None:
    assert version_number("keyVersions/transit-00000000-v7-1764000000") == 7
    assert version_number("transit-00000000-v7-1764000000") == 7
    assert version_number("local-0123abcd-v7-89abcdef01234567") is None
