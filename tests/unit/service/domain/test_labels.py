"""What the values of labels, and descriptions, may hold."""

from __future__ import annotations

import pytest

from service.domain.errors import InvalidArgument
from service.domain.labels import check_description, check_labels


@pytest.mark.parametrize("value", ["", "blue", "Straße 7", "a\u200db", "☂", "x" * 63], ids=ascii)
def test_any_text_of_one_line(value: str) -> None:
    check_labels({"first": "1", "key": value}, field="provider.labels")


@pytest.mark.parametrize(
    "value", ["a\x00", "\n", "a\tb", "\x7f", "\x85", "\u2028", "\u2029", "\ud800"], ids=ascii
)
def test_nothing_that_breaks_it(value: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_labels({"first": "1", "key": value}, field="provider.labels")
    assert [violation.field for violation in caught.value.violations] == ["provider.labels"]
    assert value not in caught.value.message


@pytest.mark.parametrize("text", ["", "Two\nlines\tand a tab", "Straße ☂", "a\u200db"], ids=ascii)
def test_a_description_has_lines(text: str) -> None:
    check_description(text, field="model.description")


@pytest.mark.parametrize("text", ["a\x00", "\r", "\x1b[31m", "\x85", "\ud800"], ids=ascii)
def test_and_nothing_else_that_controls(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_description(text, field="model.description")
    assert [violation.field for violation in caught.value.violations] == ["model.description"]
