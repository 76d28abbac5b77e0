"""Why a command failed, with the exit code that tells scripts what kind of failure it was."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command; docs/cli.md lists them."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    AUTH = 4
    CONFLICT = 5
    UNAVAILABLE = 6


class Failure(Exception):
    """End the command. ``sentence`` says what happened, ``lines`` add details; neither holds a secret."""

    def __init__(self, sentence: str, *, code: ExitCode = ExitCode.ERROR, lines: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.lines = tuple(lines)


class UsageFailure(Failure):
    """An argument or an environment variable has no usable value."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code=ExitCode.USAGE)
