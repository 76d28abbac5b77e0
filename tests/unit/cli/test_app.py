"""The command line as a whole: help, usage, and that no secret can be an argument."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import typer

from cli.app import build
from tests.support.doubles.cli_doubles import Bench


def commands(group: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        assert command.name is not None
        yield (*path, command.name)
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        assert inner.name is not None
        yield from commands(inner.typer_instance, (*path, inner.name))


COMMANDS = sorted(commands(build(fancy=False)))


def test_there_are_those_that_are_promised() -> None:
    assert [" ".join(path) for path in COMMANDS] == [
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
        "provider discover",
        "provider retirements",
        "provider test",
        "router list",
        "router wait",
    ]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
class TestEach:
    def test_has_help_and_the_common_options(
        self, path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as end:
            build(fancy=False)([*path, "--help"])
        assert end.value.code == 0
        told = capsys.readouterr().out
        for option in ("--output", "--quiet", "--verbose", "--server", "--home", "--admin-socket"):
            assert option in told
        assert not re.search(r"--[a-z-]*(secret|password|token|credential|passphrase)", told)


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
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(bench: Bench, arguments: list[str]) -> None:
    assert bench.run(*arguments).code == 2
    assert bench.made.calls == []
