"""What a list may be ordered by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import InvalidArgument
from service.domain.ordering import OrderTerm, parse_order_by

ALLOWED = ("display_name", "create_time", "kind")


class TestParseOrderBy:
    @pytest.mark.parametrize(
        ("text", "terms"),
        [
            ("", [OrderTerm("display_name")]),
            ("  ", [OrderTerm("display_name")]),
            ("kind", [OrderTerm("kind")]),
            ("kind desc", [OrderTerm("kind", descending=True)]),
            ("kind asc", [OrderTerm("kind")]),
            (" kind   desc , create_time ", [OrderTerm("kind", descending=True), OrderTerm("create_time")]),
        ],
    )
    def test_accepts(self, text: str, terms: list[OrderTerm]) -> None:
        assert list(parse_order_by(text, ALLOWED, default="display_name")) == terms

    @pytest.mark.parametrize(
        "text",
        [
            "uid",
            "kind down",
            "kind desc desc",
            "kind,",
            ",",
            "kind,kind desc",
            "Kind",
            "kind\tdesc",
            "kind DESC",
            "-kind",
        ],
    )
    def test_refuses(self, text: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            parse_order_by(text, ALLOWED, default="display_name")
        assert [violation.field for violation in caught.value.violations] == ["order_by"]

    @given(st.text(max_size=30))
    def test_only_the_typed_error(self, text: str) -> None:
        try:
            terms = parse_order_by(text, ALLOWED, default="display_name")
        except InvalidArgument:
            return
        assert {term.field for term in terms} <= set(ALLOWED)
