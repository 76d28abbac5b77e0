"""Where a secret may come from: stdin, a file, or a variable of the environment. Never the command line.

May see: one credential in plain. Must never: print or repeat any of it.
"""

from __future__ import annotations

from pathlib import Path

from cli.failures import UsageFailure
from cli.session import Session

MOST_BYTES = 64 * 1024
SAFE = "use --credential-stdin, --credential @FILE or --from-env NAME"


def secret_text(session: Session, source: str, *, from_stdin: bool, variable: str) -> str | None:
    """Return the secret, or None where none of the three says where it is.

    Raises:
        UsageFailure: more than one does, the place is empty, or the secret itself was typed.
    """
    if bool(source) + from_stdin + bool(variable) > 1:
        raise UsageFailure("give one of --credential-stdin, --credential @FILE and --from-env NAME")
    if source and not source.startswith("@"):
        raise UsageFailure(f"--credential takes @FILE, never the secret itself: {SAFE}")
    if source:
        return _checked(_file(Path(source[1:]).expanduser()), f"the file {source[1:]}")
    if variable:
        return _checked(session.world.environment.get(variable, ""), f"the variable {variable}")
    if from_stdin:
        return _checked(session.world.stdin.read(MOST_BYTES + 1), "stdin")
    return None


def _file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageFailure(f"--credential: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageFailure(f"--credential: {path} is not text") from None


def _checked(text: str, place: str) -> str:
    if not text.strip():
        raise UsageFailure(f"{place} is empty: it must hold the credential")
    if len(text) > MOST_BYTES:
        raise UsageFailure(f"{place} is longer than any credential")
    return text
