"""How display names are compared, on every character there is."""

from __future__ import annotations

import sys

from service.domain.ids import fold


def test_folding_twice_is_folding_once() -> None:
    assert [n for n in range(sys.maxunicode + 1) if fold(fold(chr(n))) != fold(chr(n))] == []
