"""A page token leads on in its own query only; anything else is one typed error."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import InvalidArgument, Reason
from service.domain.ids import DISPLAY_NAME_KEY_MAX_BYTES
from service.domain.pages import Key, PageTokens, Position, Query, effective_page_size

TOKENS = PageTokens(bytes(range(32)))
QUERY = Query("ListProviderModels", "providers/a", "state = ACTIVE", "display_name desc")
POSITION = Position(("gpt-4o", 7, None), at="7f.42", total_size=80)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
keys: st.SearchStrategy[tuple[Key, ...]] = st.lists(
    st.none() | st.integers(-(2**63), 2**63 - 1) | texts, max_size=4
).map(tuple)
queries = st.builds(Query, st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))


def refused(tokens: PageTokens, query: Query, token: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        tokens.read(query, token)
    assert caught.value.reason is Reason.INVALID_PAGE_TOKEN
    assert [violation.field for violation in caught.value.violations] == ["page_token"]


class TestPageSize:
    @pytest.mark.parametrize(
        ("requested", "effective"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)]
    )
    def test_is_coerced(self, requested: int, effective: int) -> None:
        assert effective_page_size(requested) == effective

    def test_negative_is_refused(self) -> None:
        with pytest.raises(InvalidArgument, match="page_size"):
            effective_page_size(-1)


class TestPageTokens:
    def test_no_token_is_the_first_page(self) -> None:
        assert TOKENS.read(QUERY, "") is None

    @given(
        queries,
        keys,
        st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        st.none() | st.integers(0, 2**31 - 1),
    )
    def test_round_trip(self, query: Query, after: tuple[Key, ...], at: str, total_size: int | None) -> None:
        position = Position(after, at, total_size)
        token = TOKENS.issue(query, position)
        assert token.isascii()
        assert TOKENS.read(query, token) == position

    @pytest.mark.parametrize("part", ["method", "parent", "filter", "order_by"])
    def test_belongs_to_its_query(self, part: str) -> None:
        refused(TOKENS, replace(QUERY, **{part: "x"}), TOKENS.issue(QUERY, POSITION))

    @given(queries, queries)
    def test_no_two_queries_share_tokens(self, one: Query, other: Query) -> None:
        token = TOKENS.issue(one, POSITION)
        if one == other:
            assert TOKENS.read(other, token) == POSITION
        else:
            refused(TOKENS, other, token)

    def test_another_key_refuses(self) -> None:
        refused(PageTokens(bytes(32)), QUERY, TOKENS.issue(QUERY, POSITION))

    @given(st.data())
    def test_any_changed_character_is_refused(self, data: st.DataObject) -> None:
        token = TOKENS.issue(QUERY, POSITION)
        at = data.draw(st.integers(0, len(token) - 1))
        other = data.draw(
            st.characters(min_codepoint=0x20, max_codepoint=0x7E).filter(lambda c: c != token[at])
        )
        refused(TOKENS, QUERY, token[:at] + other + token[at + 1 :])

    @given(
        st.text(min_size=1, max_size=100)
        | st.binary(min_size=1, max_size=100).map(lambda b: urlsafe_b64encode(b).decode())
    )
    def test_noise_is_refused(self, token: str) -> None:
        refused(TOKENS, QUERY, token)

    @pytest.mark.parametrize("length", [1, 31, 2049, 100_000])
    def test_odd_lengths_are_refused(self, length: int) -> None:
        refused(TOKENS, QUERY, "A" * length)

    def test_padding_is_refused(self) -> None:
        token = TOKENS.issue(QUERY, POSITION)
        refused(TOKENS, QUERY, token + "=")

    def test_the_longest_keys_fit_the_field(self) -> None:
        longest = Position(
            ("é" * (DISPLAY_NAME_KEY_MAX_BYTES // 2), "p" * 63, "m" * 128), "r" * 72, 2**31 - 1
        )
        assert len(TOKENS.issue(QUERY, longest)) <= 2048

    def test_a_short_key_is_a_bug(self) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            PageTokens(bytes(31))

    def test_the_key_is_not_in_the_repr(self) -> None:
        assert "key" not in repr(TOKENS)
