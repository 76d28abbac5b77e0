"""The start-up text of `make run`, which other programs wait for."""

from __future__ import annotations

import pytest

from cli.line.command import Command
from cli.line.parsing import parse
from cli.nouns.root import ROOT
from tools.launcher import welcome
from tools.launcher.plan import plan_of

PLAN = plan_of({"CODEVECTOR_GRPC_PORT": "50999", "CODEVECTOR_CONSOLE_PORT": "8999"})
TEXT = welcome.text(PLAN)
COMMANDS = welcome.commands(PLAN)


def test_the_last_line_alone_says_ready() -> None:
    *others, last = TEXT.splitlines()
    assert last == "ready: grpc=127.0.0.1:50999 console=http://127.0.0.1:8999/admin/providers"
    assert others[-1] == "Open http://127.0.0.1:8999/admin/providers in a browser to administer it."
    assert not [line for line in others if "ready:" in line]


def test_says_who_is_an_administrator_and_where_no_boundary_is() -> None:
    assert "any user of this machine is an administrator" in TEXT
    assert "not a boundary" in TEXT


def test_the_key_is_given_by_stdin() -> None:
    first, *others = COMMANDS
    assert first.startswith(f"echo {welcome.KEY} | ")
    assert first.count(welcome.KEY) == 1
    assert welcome.KEY not in "".join(others)


@pytest.mark.parametrize("line", COMMANDS)
def test_the_lines_to_paste_are_commands(line: str) -> None:
    """And they name the port, which another shell does not know."""
    words = line.rpartition("| ")[2].split()
    assert words[:3] == [".venv/bin/providerctl", "--server", "127.0.0.1:50999"]
    assert isinstance(parse(ROOT, words[1:]).target, Command)


def test_the_usual_port_goes_without_saying() -> None:
    assert "--server" not in "".join(welcome.commands(plan_of({})))
