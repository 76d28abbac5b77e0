from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from kms.formats import (
    BACKEND_LOCAL,
    DekContext,
    FormatError,
    Wrapper,
    commitment,
    hkdf,
    hkdf_expand,
    length_prefixed,
    parse_context,
    parse_wrapper,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "kms"
SIXTEEN = st.binary(min_size=16, max_size=16)
CONTEXTS = st.builds(DekContext, SIXTEEN, SIXTEEN, SIXTEEN, st.integers(0, 2**64 - 1))
VECTOR_CONTEXT = DekContext(b"\1" * 16, b"\2" * 16, b"\3" * 16, 1)


@pytest.fixture
def vector() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VECTORS / "wrapper.json").read_text())
    return loaded


class TestCommitment:
    def test_the_frozen_vector(self, vector: dict[str, Any]) -> None:
        """DEK 00..1f in the vector's context commits to 4b32d9be8d1779d2…"""
        context = VECTOR_CONTEXT.encode()
        assert len(context) == 103
        assert commitment(bytes(range(32)), context).hex() == vector["commitment"]
        assert vector["commitment"].startswith("4b32d9be8d1779d2")

    @given(st.binary(min_size=32, max_size=32), CONTEXTS)
    def test_agrees_with_the_library(self, data_key: bytes, context: DekContext) -> None:
        octets = context.encode()
        info = b"codevector/commit/1" + hashlib.sha256(octets).digest()
        assert commitment(data_key, octets) == HKDFExpand(hashes.SHA256(), 32, info).derive(data_key)


class TestKeyDerivation:
    @given(st.binary(min_size=16, max_size=64), st.binary(max_size=200))
    def test_agrees_with_the_library(self, key: bytes, info: bytes) -> None:
        assert hkdf(key, info) == HKDF(hashes.SHA256(), 32, None, info).derive(key)

    def test_rfc_5869_case_3(self) -> None:
        """Empty salt and info; the first 32 of the case's 42 bytes."""
        expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
        assert hkdf(b"\x0b" * 22, b"").hex() == expected

    def test_expand_is_the_second_half(self) -> None:
        key = bytes(range(32))
        assert hkdf_expand(key, b"info") == HKDFExpand(hashes.SHA256(), 32, b"info").derive(key)


class TestContext:
    def test_the_frozen_vector(self, vector: dict[str, Any]) -> None:
        assert VECTOR_CONTEXT.encode().hex() == vector["context"]

    @given(CONTEXTS)
    def test_parses_what_it_encodes(self, context: DekContext) -> None:
        assert parse_context(context.encode()) == context

    @pytest.mark.parametrize(
        "octets",
        [
            pytest.param(b"", id="empty"),
            pytest.param(VECTOR_CONTEXT.encode()[:-1], id="cut short"),
            pytest.param(VECTOR_CONTEXT.encode() + b"\0", id="one byte more"),
            pytest.param(VECTOR_CONTEXT.encode().replace(b"dek/1", b"dek/2"), id="other label"),
            pytest.param(VECTOR_CONTEXT.encode().replace(b"default", b"Default"), id="other audience"),
            pytest.param(
                length_prefixed(
                    b"codevector/dek/1", b"\1" * 15, b"default", b"\2" * 17, b"\3" * 16, b"\0" * 8
                ),
                id="a boundary moved",
            ),
        ],
    )
    def test_refuses(self, octets: bytes) -> None:
        with pytest.raises(FormatError):
            parse_context(octets)

    @given(st.integers(0, 102), st.integers(1, 255))
    def test_a_changed_byte_is_refused_or_another_context(self, position: int, change: int) -> None:
        octets = bytearray(VECTOR_CONTEXT.encode())
        octets[position] ^= change
        with suppress(FormatError):
            assert parse_context(bytes(octets)) != VECTOR_CONTEXT

    @given(st.binary(max_size=300))
    def test_arbitrary_bytes_raise_nothing_else(self, octets: bytes) -> None:
        with pytest.raises(FormatError):
            parse_context(octets)


class TestWrapper:
    def test_the_frozen_vector(self, vector: dict[str, Any]) -> None:
        octets = bytes.fromhex(vector["wrapper"])
        wrapper = parse_wrapper(octets)
        assert (wrapper.backend, wrapper.ref, len(wrapper.body)) == (BACKEND_LOCAL, vector["ref"], 60)
        assert wrapper.encode() == octets

    @pytest.mark.parametrize(
        "octets",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"CVW1\x01\x01\x00", id="head cut"),
            pytest.param(b"CVW2\x01\x01\x00\x01abody", id="magic"),
            pytest.param(b"CVW1\x00\x01\x00\x01abody", id="backend 0"),
            pytest.param(b"CVW1\x03\x01\x00\x01abody", id="backend 3"),
            pytest.param(b"CVW1\x01\x02\x00\x01abody", id="suite"),
            pytest.param(b"CVW1\x01\x01\x00\x00body", id="no ref"),
            pytest.param(b"CVW1\x01\x01\x00\xffabody", id="ref longer than the wrapper"),
            pytest.param(b"CVW1\x01\x01\x00\x03a/bbody", id="slash in ref"),
            pytest.param(b"CVW1\x01\x01\x00\x02a\nbody", id="line end in ref"),
            pytest.param(b"CVW1\x01\x01\x00\x75" + b"a" * 117 + b"body", id="ref too long for a name"),
        ],
    )
    def test_refuses(self, octets: bytes) -> None:
        with pytest.raises(FormatError):
            parse_wrapper(octets)

    @given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"CVW1\x01\x01" + tail))
    def test_arbitrary_bytes_parse_exactly_or_raise_format_error(self, octets: bytes) -> None:
        try:
            wrapper = parse_wrapper(octets)
        except FormatError:
            return
        assert wrapper.encode() == octets

    def test_encode_is_what_the_format_says(self) -> None:
        assert Wrapper(1, "local-x", b"body").encode() == b"CVW1\x01\x01\x00\x07local-xbody"
