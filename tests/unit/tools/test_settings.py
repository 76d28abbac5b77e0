"""The tables of settings in the documentation."""

from __future__ import annotations

import re

import pytest

from tools.settings import BEGIN, END, EVERYDAY, everything, full_table, outdated, placed, short_table
from tools.steps import ROOT, StepFailed

NAME = re.compile(r"\b(?:CODEVECTOR|VAULT)_[A-Z_]*[A-Z]\b")


class TestTables:
    def test_are_current(self) -> None:
        assert outdated(write=False) == []

    def test_every_setting_has_one_row(self) -> None:
        rows = full_table(everything()).splitlines()[2:]
        assert [row.split("`")[1] for row in rows] == [each.name for each in everything()]

    def test_the_readme_has_what_is_needed_every_day(self) -> None:
        rows = short_table(everything()).splitlines()[2:]
        assert [row.split("`")[1] for row in rows] == list(EVERYDAY)

    @pytest.mark.parametrize("process", ["service", "kms", "console", "cli", "runtime"])
    def test_every_variable_that_the_code_names_is_a_setting(self, process: str) -> None:
        sources = "".join(path.read_text() for path in (ROOT / process).rglob("*.py"))
        known = {each.name for each in everything()}
        named = set(NAME.findall(sources)) - {"VAULT_TRANSIT", "VAULT_TABLE"}
        assert named <= known | {name for name in named if any(each.startswith(f"{name}_") for each in known)}

    def test_defaults_can_be_used(self) -> None:
        for setting in everything():
            if setting.default:
                setting.parse(setting.default.replace("$CODEVECTOR_HOME", "/srv/codevector"))


class TestPlaced:
    def test_what_is_between_the_marks_is_replaced(self) -> None:
        page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
        assert placed(page, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
        assert placed(placed(page, "\\1\n"), "new\n") == placed(page, "new\n")

    @pytest.mark.parametrize("page", ["", BEGIN, f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
    def test_a_page_without_the_marks_or_with_two_is_refused(self, page: str) -> None:
        with pytest.raises(StepFailed, match="between"):
            placed(page, "new\n")
