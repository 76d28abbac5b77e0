"""docs/cli.md has every command."""

from __future__ import annotations

import pytest

from cli.line.command import commands
from cli.nouns.root import ROOT
from tools.commands import PAGE, page
from tools.steps import StepFailed


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "run `make commands`"


def test_every_command_is_in_it() -> None:
    text = PAGE.read_text()
    for path, command in commands(ROOT):
        assert (f"`{' '.join(path)}" in text) != command.hidden, path


def test_a_page_without_a_place_for_them() -> None:
    with pytest.raises(StepFailed, match=r"docs/cli\.md must have the lines"):
        page("# providerctl\n")
