"""Orders of lists: several fields, each once, and a refusal that shows how to write one."""

from __future__ import annotations

import pytest

from service.domain.errors import InvalidArgument
from service.domain.lists import OrderBy, OrderTerm, parse_order

FIELDS = ("display_name", "name", "kind")


class TestParseOrder:
    @pytest.mark.parametrize(
        ("text", "order"),
        [
            ("", (OrderTerm("display_name"),)),
            (" \t", (OrderTerm("display_name"),)),
            ("kind", (OrderTerm("kind"),)),
            ("kind asc", (OrderTerm("kind"),)),
            (" kind  desc ", (OrderTerm("kind", descending=True),)),
            ("kind desc,name", (OrderTerm("kind", descending=True), OrderTerm("name"))),
            (
                "name , kind asc , display_name desc",
                (OrderTerm("name"), OrderTerm("kind"), OrderTerm("display_name", descending=True)),
            ),
        ],
    )
    def test_reads_terms(self, text: str, order: OrderBy) -> None:
        assert parse_order(text, FIELDS) == order

    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ("state", "order_by.known"),
            ("kind,", "order_by.known"),
            (",", "order_by.known"),
            ("kind name", "order_by.known"),
            ("kind DESC", "order_by.known"),
            ("kind desc desc", "order_by.known"),
            ("kind;name", "order_by.known"),
            ("kind, kind", "order_by.unique"),
            ("kind, name, kind desc", "order_by.unique"),
        ],
    )
    def test_refuses(self, text: str, rule: str) -> None:
        with pytest.raises(InvalidArgument) as caught:
            parse_order(text, FIELDS)
        assert [(each.field, each.rule) for each in caught.value.violations] == [("order_by", rule)]

    def test_a_refusal_shows_how(self) -> None:
        with pytest.raises(InvalidArgument) as caught:
            parse_order("sk-canary", FIELDS)
        assert '"kind, create_time desc"' in caught.value.message
        assert "display_name, name, kind" in caught.value.message
        assert "canary" not in caught.value.message
