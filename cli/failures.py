"""Why a command did not do what it was asked to, with the exit code that tells scripts the kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    """The command ends here. ``sentence`` says what happened, ``lines`` what belongs to it; no secrets."""

    def __init__(self, sentence: str, *, code: ExitCode = ExitCode.ERROR, lines: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.lines = tuple(lines)


class UsageFailure(Failure):
    """An argument or a variable of the environment cannot be used."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code=ExitCode.USAGE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server said when it refused a call. ``reason`` is the stable word of the API's error table."""

    peer: str
    status: str
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[str, ...] = ()
    request_id: str = ""


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
_PASSING = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})


class CallRefused(Failure):
    """A server refused a call, or did not answer it."""

    def __init__(self, refusal: Refusal) -> None:
        lines = [*(f"field: {violation}" for violation in refusal.violations)]
        lines += [f"reason: {refusal.reason or refusal.status}"]
        lines += [f"request: {refusal.request_id}"] if refusal.request_id else []
        super().__init__(
            f"{refusal.peer}: {refusal.message}",
            code=_EXIT_CODES.get(refusal.status, ExitCode.ERROR),
            lines=lines,
        )
        self.refusal = refusal

    @property
    def passes(self) -> bool:
        """Whether the same call may well succeed a moment later."""
        return self.refusal.status in _PASSING
