"""Questions to a person: only where stdin and stderr are a terminal; answers are never data on stdout."""

from __future__ import annotations

from collections.abc import Sequence

from cli.failures import Failure
from cli.session import Session

_TRIES = 3


def can_ask(session: Session) -> bool:
    """Return whether somebody is there to ask."""
    return session.world.stdin.isatty() and session.world.stderr.isatty()


def ask(session: Session, question: str, *, default: str = "", required: bool = True) -> str:
    """Ask for a line, until it is not empty unless it may be.

    Raises:
        Failure: the input ended, or stayed empty.
    """
    hint = f" [{default}]" if default else "" if required else " (optional)"
    for _ in range(_TRIES):
        print(f"{question}{hint}: ", end="", file=session.world.stderr, flush=True)
        line = session.world.stdin.readline()
        if not line:
            break
        if line.strip() or default or not required:
            return line.strip() or default
    raise Failure(f"no answer to: {question}")


def choose(session: Session, question: str, choices: Sequence[str], *, default: str = "") -> str:
    """Ask for one of the choices, by its name or number."""
    for number, choice in enumerate(choices, start=1):
        print(f"  {number:>2}  {choice}", file=session.world.stderr)
    for _ in range(_TRIES):
        typed = ask(session, question, default=default)
        if typed in choices:
            return typed
        if typed.isascii() and typed.isdigit() and 1 <= int(typed) <= len(choices):
            return choices[int(typed) - 1]
        print("  That is not one of them.", file=session.world.stderr)
    raise Failure(f"no answer to: {question}")


def ask_secret(session: Session, question: str, *, required: bool = True) -> str:
    """Ask for a line without echo.

    Raises:
        Failure: nothing was typed.
    """
    try:
        typed = session.world.ask_secret(f"{question} ({'' if required else 'optional, '}not shown): ")
    except EOFError:
        typed = ""
    if required and not typed:
        raise Failure(f"no answer to: {question}")
    return typed
