from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms.rpc.errors import InvalidPageToken
from kms.rpc.pages import PageTokens, page_size

TOKENS = PageTokens(bytes(32))


class TestPageTokens:
    @given(st.integers(0, 2**32 - 1))
    def test_reads_what_it_issued(self, offset: int) -> None:
        assert TOKENS.read(TOKENS.issue(offset)) == offset

    def test_no_token_is_the_start(self) -> None:
        assert TOKENS.read("") == 0

    @given(st.text(min_size=1))
    def test_refuses_everything_else(self, token: str) -> None:
        with pytest.raises(InvalidPageToken):
            TOKENS.read(token)

    def test_refuses_the_token_of_another_process(self) -> None:
        with pytest.raises(InvalidPageToken):
            TOKENS.read(PageTokens(b"\1" * 32).issue(50))


@pytest.mark.parametrize(
    ("requested", "size"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)]
)
def test_page_size_is_coerced(requested: int, size: int) -> None:
    assert page_size(requested) == size
