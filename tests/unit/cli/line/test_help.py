from __future__ import annotations

from cli.line.command import Argument, Command, Group, Option, Takes
from cli.line.help import text

SHOW = Command(
    "show",
    "Show a thing, with all that is known of it and of those beside it.",
    "none:none",
    (Argument("NAME", "The thing."), Argument("MORE", "Others.", Takes.TEXTS, required=False)),
    (Option("only", "Which parts are shown.", Takes.TEXTS, "PART", short="p", choices=("a", "b")),),
    more="A first paragraph.\n\nA second one.",
)
ROOT = Group("providerctl", "A tool.", (Group("thing", "Work with things.", (SHOW,)),))


def test_a_command() -> None:
    shown = text(("thing", "show"), SHOW, width=60)
    assert shown.startswith(
        """\
Usage: providerctl thing show NAME [MORE…] [OPTIONS]

Show a thing, with all that is known of it and of those
beside it.

A first paragraph.

A second one.

Arguments:
  NAME  The thing.
  MORE  Others.

Options:
  -p, --only PART  Which parts are shown. One of a, b. May
                   be repeated.

Options of every command:
  -o, --output FORMAT  How data is printed. One of table,
                       wide, json, jsonl, yaml, name.
                       Default: table.
"""
    )


def test_a_group() -> None:
    assert text(("thing",), ROOT.members[0], width=80) == (
        "Usage: providerctl thing COMMAND\n\nWork with things.\n\nCommands:\n"
        "  show  Show a thing, with all that is known of it and of those beside it.\n\n"
        "Options:\n  -h, --help  Show this and exit.\n"
    )


def test_the_root_names_exit_codes() -> None:
    assert text((), ROOT, width=200).endswith("4 not allowed, 5 conflict, 6 unavailable.\n")


def test_never_wider_than_asked_and_nothing_cut() -> None:
    for width in (40, 80, 110):
        shown = text(("thing", "show"), SHOW, width=width)
        assert max(map(len, shown.splitlines())) <= max(width, 56)
        assert "with all that is known of it and of those beside it." in " ".join(shown.split())
