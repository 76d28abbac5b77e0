"""The command line as a whole: what there is, its help, and that no secret can be an argument."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.line import help as help_text
from cli.line.command import Command, Takes, commands, takers
from cli.line.shared import EVERYWHERE
from cli.nouns.root import ROOT
from cli.running import function
from tests.support.doubles.cli_doubles import Bench

COMMANDS = sorted(commands(ROOT), key=lambda found: found[0])
TYPES = {
    Takes.NOTHING: "bool",
    Takes.TEXT: "str",
    Takes.NUMBER: "int",
    Takes.PATH: "Path | None",
    Takes.TEXTS: "list[str]",
}


def test_there_are_those_that_are_promised() -> None:
    assert [" ".join(path) for path, _ in COMMANDS] == [
        "__complete",
        "catalog diff",
        "catalog list",
        "catalog show",
        "completion",
        "doctor",
        "key activate",
        "key audit exposure",
        "key audit verify",
        "key cancel-destroy",
        "key compromise start",
        "key compromise status",
        "key create",
        "key disable",
        "key enable",
        "key list",
        "key receipt check",
        "key retire",
        "key rewrap",
        "key rotate",
        "key schedule-destroy",
        "key status",
        "key verify",
        "model add-backend",
        "model create",
        "model delete",
        "model disable",
        "model enable",
        "model get",
        "model list",
        "model remove-backend",
        "model update",
        "open",
        "provider create",
        "provider delete",
        "provider disable",
        "provider discover",
        "provider enable",
        "provider get",
        "provider import",
        "provider kinds",
        "provider list",
        "provider retirements",
        "provider set-credential",
        "provider test",
        "provider update",
        "provider-model create",
        "provider-model delete",
        "provider-model disable",
        "provider-model enable",
        "provider-model get",
        "provider-model import",
        "provider-model list",
        "provider-model refresh",
        "provider-model update",
        "router list",
        "router wait",
        "watch",
    ]


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
class TestEach:
    def test_its_function_takes_what_can_be_typed(self, path: tuple[str, ...], command: Command) -> None:
        session, *parameters = inspect.signature(function(command)).parameters.values()
        assert session.annotation == "Session"
        typed = takers(command)
        assert [each.name for each in parameters] == [taker.key for taker in typed]
        for parameter, taker in zip(parameters, typed, strict=True):
            wanted = TYPES[taker.takes]
            if taker.takes is Takes.PATH and taker.required:
                wanted = "Path"
            if taker.takes is Takes.NUMBER and getattr(taker, "default", None) is None:
                wanted = "int | None"
            assert parameter.annotation == wanted, parameter.name

    def test_help_is_whole(self, path: tuple[str, ...], command: Command) -> None:
        text = help_text.text(path, command, width=200)
        for option in (*command.options, *EVERYWHERE):
            assert ("--" + option.name in text) != bool(option.refused)
        words = " ".join(text.split())
        for sentence in (command.help, *(taker.help for taker in takers(command))):
            assert sentence in words

    def test_every_sentence_is_one(self, path: tuple[str, ...], command: Command) -> None:
        for sentence in (command.help, *(taker.help for taker in takers(command))):
            assert re.fullmatch(r"[A-Z0-9`].*[.]", sentence), sentence
        assert len(command.help) <= 100

    def test_no_option_takes_a_secret(self, path: tuple[str, ...], command: Command) -> None:
        for option in command.options:
            if re.search(r"secret|password|token|credential|passphrase|api-key", option.name):
                assert option.takes is Takes.NOTHING or option.refused or option.name in SAFE


SAFE = {"impact-token", "token", "credential", "credential-type", "credential-field"}
"""Not secrets, as the tokens of a preview and of a revision, or refused where they are."""


def test_a_flag_means_the_same_in_every_command() -> None:
    """So an option may stand before the command that decides what it is."""
    taking: dict[str, bool] = {}
    for path, command in COMMANDS:
        for option in (*command.options, *EVERYWHERE):
            for flag in option.flags:
                takes = option.takes is not Takes.NOTHING
                assert taking.setdefault(flag, takes) == takes, (path, flag)


@pytest.mark.parametrize(
    "arguments",
    [
        ["key", "activate"],
        ["key", "rotate", "--output", "xml"],
        ["key", "rotat"],
        ["key", "audit", "exposure"],
        ["key", "audit", "exposure", "--since", "soon"],
        ["key", "list", "--server", "example.com:1"],
        ["router", "wait", "--revision", "-1"],
        ["router", "wait", "--timeout", "a while"],
        ["key", "status", "-o", "name"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(bench: Bench, arguments: list[str]) -> None:
    told = bench.run(*arguments)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("providerctl: ")


class TestProcess:
    def test_help_imports_neither_grpc_nor_messages(self) -> None:
        code = (
            "import sys; from cli.__main__ import run; code = run(['key', '--help'], None); "
            "print(code, *{'grpc', 'google', 'codevector'} & {name.split('.')[0] for name in sys.modules})"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "0"

    def test_a_reader_that_stops_is_no_error(self) -> None:
        command = f"{sys.executable} -m cli key rotate --help; echo $? >&2"
        done = subprocess.run(
            ["bash", "-c", f"({command}) | head -c 1"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[3],
        )
        assert done.stdout == "U"
        assert done.stderr.strip() in ("0", "141")

    def test_version(self, bench: Bench) -> None:
        told = bench.run("--version", "key")
        assert told.code == 0
        assert re.fullmatch(r"providerctl \d+\.\d+\.\d+\n", told.out)
