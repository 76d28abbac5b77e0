from __future__ import annotations

import pickle

import pytest

from kms.keyring import DataKey, WrapItem


class TestDataKey:
    def test_never_prints_the_key(self) -> None:
        key = DataKey(b"canary-canary-canary-canary-cana")
        for text in (repr(key), str(key), f"{key}", repr(WrapItem(b"c", key)), repr([key])):
            assert "canary" not in text

    def test_is_not_pickled(self) -> None:
        with pytest.raises(TypeError):
            pickle.dumps(DataKey(bytes(32)))

    def test_wipe_overwrites_the_buffer_it_took_over(self) -> None:
        octets = bytearray(b"\1" * 32)
        DataKey(octets).wipe()
        assert octets == bytes(32)

    @pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
    def test_has_32_bytes(self, length: int) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            DataKey(bytes(length))
