"""What the values of labels may hold."""

from __future__ import annotations

import pytest

from service.domain.errors import InvalidArgument
from service.domain.labels import check_labels


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
