"""Why a command failed, with the exit code that tells scripts what kind of failure it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

from runtime.calls import CallRefused


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


_EXIT_CODES: Mapping[str, ExitCode] = {
    "INVALID_ARGUMENT": ExitCode.USAGE,
    "OUT_OF_RANGE": ExitCode.USAGE,
    "NOT_FOUND": ExitCode.NOT_FOUND,
    "UNAUTHENTICATED": ExitCode.AUTH,
    "PERMISSION_DENIED": ExitCode.AUTH,
    "ABORTED": ExitCode.CONFLICT,
    "ALREADY_EXISTS": ExitCode.CONFLICT,
    "FAILED_PRECONDITION": ExitCode.CONFLICT,
    "UNAVAILABLE": ExitCode.UNAVAILABLE,
    "DEADLINE_EXCEEDED": ExitCode.UNAVAILABLE,
}


def exit_code_of(refused: CallRefused) -> ExitCode:
    """Return the exit code of a command that ends with this refusal."""
    return _EXIT_CODES.get(refused.status, ExitCode.ERROR)


def failure_of(refused: CallRefused) -> Failure:
    """Return the failure of a command that ends with this refusal."""
    refusal = refused.refusal
    lines = [f"field: {violation}" for violation in (*refusal.fields, *refusal.preconditions)]
    lines.append(f"reason: {refusal.reason or refusal.status}")
    if refusal.request_id:
        lines.append(f"request: {refusal.request_id}")
    return Failure(str(refused), code=exit_code_of(refused), lines=lines)
