"""Project Wycheproof's vectors through our own functions (tests/vectors/wycheproof).

None of our functions takes every input that a vector may have: nonces are 12 bytes, outputs of HKDF 32. What
is outside is refused or cannot be said; how many those are is pinned, so that none is passed over unseen.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from codevector_providers import opening
from codevector_providers.errors import CredentialCorrupt

from kms import formats
from kms.keyring import DataKey
from kms.local.kek import Kek, seal_data_key
from kms.rpc.pages import PageTokens
from service.sealing import envelope
from service.sealing.registry_secret import RegistrySecret

VECTORS = Path(__file__).parents[1] / "vectors" / "wycheproof"
EXPANSIONS = pytest.mark.parametrize(
    "expand",
    [
        pytest.param(formats.hkdf_expand, id="kms"),
        pytest.param(envelope._expand, id="registry"),
        pytest.param(opening._expand, id="SDK"),
    ],
)


def load(name: str) -> list[dict[str, Any]]:
    """The vectors, with their bytes as bytes."""
    loaded: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text())
    return [
        {key: bytes.fromhex(value) if isinstance(value, str) else value for key, value in vector.items()}
        for vector in loaded
    ]


AES_GCM, HKDF, HMAC = load("aes-gcm"), load("hkdf-sha256"), load("hmac-sha256")


def is_refused_by_the_library(nonce: bytes) -> bool:
    """Nonces that the library takes are 8 to 128 bytes long. NIST allows others; we use 12 alone."""
    return not 8 <= len(nonce) <= 128


class TestAesGcm:
    def test_counts(self) -> None:
        """33 refusals for the nonce: 27 vectors that are valid, and 6 without any nonce, which are not."""
        refused = [each for each in AES_GCM if is_refused_by_the_library(each["iv"])]
        assert (len(AES_GCM), sum(each["valid"] for each in AES_GCM)) == (316, 229)
        assert (sum(each["valid"] for each in refused), len(refused)) == (27, 33)
        assert {len(each["iv"]) for each in refused} == {0, 1, 2, 4, 6, 257}

    def test_the_registry_seals(self) -> None:
        for each in AES_GCM:
            if is_refused_by_the_library(each["iv"]):
                with pytest.raises(ValueError, match="Nonce"):
                    envelope._encrypt(each["key"], each["iv"], each["msg"], each["aad"])
                continue
            sealed = envelope._encrypt(each["key"], each["iv"], each["msg"], each["aad"])
            assert (sealed == each["ct"] + each["tag"]) is each["valid"], each["id"]

    def test_a_router_opens(self) -> None:
        """And what does not open is one error, as for any other cause."""
        for each in AES_GCM:
            sealed = each["ct"] + each["tag"]
            if is_refused_by_the_library(each["iv"]):
                with pytest.raises(ValueError, match="Nonce"):
                    opening._decrypt(each["key"], each["iv"], sealed, each["aad"])
            elif each["valid"]:
                assert opening._decrypt(each["key"], each["iv"], sealed, each["aad"]) == each["msg"]
            else:
                with pytest.raises(CredentialCorrupt):
                    opening._decrypt(each["key"], each["iv"], sealed, each["aad"])

    def test_the_sidecar_wraps(self) -> None:
        """A wrapper holds 32 bytes: the beginning of each longer message, whose tag then differs."""

        @dataclass
        class Given(Kek):
            """A KEK whose derived key is the vector's."""

            key: bytes

            def derive(self, info: bytes) -> bytes:
                return self.key

        fitting = [
            each for each in AES_GCM if each["valid"] and len(each["iv"]) == 12 and len(each["msg"]) >= 32
        ]
        assert len(fitting) == 36
        for each in fitting:
            body = seal_data_key(Given(each["key"]), b"", DataKey(each["msg"][:32]), each["iv"])
            assert body[:44] == each["iv"] + each["ct"][:32]


class TestHkdf:
    def test_counts(self) -> None:
        """The three invalid ones ask for more than HKDF can give; ours always give 32 bytes."""
        assert (len(HKDF), sum(each["valid"] for each in HKDF)) == (86, 83)
        assert {each["size"] for each in HKDF if not each["valid"]} == {255 * 32 + 1}

    @EXPANSIONS
    def test_the_first_block_of_each(self, expand: Any) -> None:
        for each in HKDF:
            pseudorandom_key = hmac.digest(each["salt"] or bytes(32), each["ikm"], "sha256")
            size = min(each["size"], 32)
            if each["valid"]:
                assert expand(pseudorandom_key, each["info"])[:size] == each["okm"][:size], each["id"]

    def test_the_whole_without_salt(self) -> None:
        """Ours never has one. An empty salt is 32 zeros. Source: RFC 5869 section 2.2."""
        unsalted = [each for each in HKDF if each["valid"] and not each["salt"]]
        assert len(unsalted) == 23
        for each in unsalted:
            size = min(each["size"], 32)
            assert formats.hkdf(each["ikm"], each["info"])[:size] == each["okm"][:size]
            assert Kek(each["ikm"]).derive(each["info"])[:size] == each["okm"][:size]

    def test_the_registrys_secret(self) -> None:
        """Labels are text and the secret has 32 bytes: few vectors are like that."""
        fitting = [
            each
            for each in HKDF
            if each["valid"] and not each["salt"] and len(each["ikm"]) == 32 and not each["info"]
        ]
        assert fitting
        for each in fitting:
            size = min(each["size"], 32)
            assert RegistrySecret(each["ikm"]).derive("")[:size] == each["okm"][:size]


class TestHmac:
    def test_tags_of_pages(self) -> None:
        """The one place that puts arbitrary bytes under HMAC; its tags are 16 bytes."""
        assert (len(HMAC), sum(each["valid"] for each in HMAC)) == (174, 66)
        for each in HMAC:
            if each["valid"] or len(each["tag"]) == 16:
                computed = PageTokens(each["key"])._tag(each["msg"], b"")
                assert (computed == each["tag"][:16]) is each["valid"], each["id"]

    @EXPANSIONS
    def test_expansion_is_hmac(self, expand: Any) -> None:
        """One block of HKDF-Expand is HMAC over info and the byte 1, for keys of every length."""
        for each in HMAC:
            key, message = each["key"], each["msg"]
            assert expand(key, message) == hmac.digest(key, message + b"\x01", "sha256")
