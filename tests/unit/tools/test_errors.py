"""The error tables: every reason that is raised has a row with its code, and docs/errors.md has them all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kms.rpc import error_table as sidecar
from kms.rpc import errors as sidecar_errors
from runtime.statuses import Row
from service.domain import errors as domain
from service.rpc import error_table as registry
from service.rpc.errors import _CODES
from tools import errors

ROOT = Path(__file__).resolve().parents[3]
KINDS = {kind.__name__: code for kind, code in _CODES}
CODES = {row.reason: row.code for row in registry.TABLE}
UNKIND = re.compile(r"\bis no\b|\bblank|\ba path\b|regex|codevector\.|google\.|[\^$\\]")


def raised() -> Iterator[tuple[str, str]]:
    """Kind and reason of each error that the registry's sources make."""
    for path in sorted((ROOT / "service").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                for keyword in node.keywords:
                    if keyword.arg == "reason" and isinstance(keyword.value, ast.Attribute):
                        yield node.func.id, keyword.value.attr


class TestTheRegistrysTable:
    def test_has_every_reason_once(self) -> None:
        reasons = [row.reason for row in registry.TABLE]
        assert sorted(reasons) == sorted(
            {reason.value for reason in domain.Reason} | {"DEADLINE_EXCEEDED", "INTERNAL"}
        )

    def test_has_the_code_of_each_error_that_is_raised(self) -> None:
        found = set(raised())
        assert len(found) > 20
        for kind, reason in found:
            assert CODES[reason] is KINDS[kind], (kind, reason)


class TestTheSidecarsTable:
    def test_has_every_reason_with_its_code(self) -> None:
        wanted = {(kind.reason, code) for kind, (code, _) in sidecar_errors._TABLE.items()}
        assert {(row.reason, row.code) for row in sidecar.TABLE} == wanted


class TestThePage:
    def test_is_current(self) -> None:
        assert errors.PAGE.read_text() == errors.page()

    @pytest.mark.parametrize("row", [*registry.TABLE, *sidecar.TABLE], ids=lambda row: row.reason)
    def test_rows_are_for_people(self, row: Row) -> None:
        for text in (row.meaning, row.action):
            assert text[0].isupper()
            assert text.endswith(".")
            assert "|" not in text
            assert not UNKIND.search(text)
