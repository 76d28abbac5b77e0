"""Revision tokens: every token is read back, and nothing else is one."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.history import RevisionToken, parse_token

TOKEN = RevisionToken(
    UUID("f951742d-f9d3-4b6b-877c-a6b925e2de02"), UUID("0b6f6c39-6a53-4f3e-9d3a-8f1d2c4b5a69"), 812
)
TEXT = "AflRdC3500trh3ymuSXi3gILb2w5alNPPp06jx0sS1ppAAAAAAAAAywAAAAAAAAAAA"


class TestTokens:
    def test_have_one_spelling(self) -> None:
        assert str(TOKEN) == TEXT
        assert parse_token(TEXT) == TOKEN

    @given(st.uuids(), st.uuids(), st.integers(min_value=0, max_value=2**63 - 1))
    def test_are_read_back(self, store_id: UUID, content_id: UUID, revision: int) -> None:
        token = RevisionToken(store_id, content_id, revision)
        assert parse_token(str(token)) == token

    @given(st.text(max_size=80))
    def test_are_nothing_else(self, text: str) -> None:
        found = parse_token(text)
        assert found is None or str(found) == text

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("", id="empty"),
            pytest.param(TEXT[:-1], id="too short"),
            pytest.param(TEXT + "AA", id="too long"),
            pytest.param(TEXT + "==", id="padded"),
            pytest.param(" " + TEXT, id="a space before it"),
            pytest.param("Ag" + TEXT[2:], id="another version"),
            pytest.param(TEXT[:-2] + "BA", id="another scope"),
            pytest.param("Ü" + TEXT[1:], id="not ASCII"),
        ],
    )
    def test_that_are_not_well_formed_are_refused(self, text: str) -> None:
        assert parse_token(text) is None
