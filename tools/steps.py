"""How the set-up commands speak: one line per step, and one sentence that names the fix where a step fails.

Standard library only, and old syntax, since it runs before the virtual environment exists.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"

TAIL_LINES = 8
"""How much of a failed command's output is shown: enough for a resolver's or a compiler's last words."""


class StepFailed(Exception):
    """Something the user has to mend; the text is one sentence, `output` what the failing command said."""

    def __init__(self, sentence: str, output: str = "") -> None:
        super().__init__(sentence)
        self.output = output


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def run(
    arguments: Sequence[object], *, fix: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> str:
    """What the command printed on stdout.

    Raises:
        StepFailed: it could not be started or failed; `fix` says what to do then.
    """
    command = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise StepFailed(f"{command[0]} could not be started ({error.strerror}): {fix}") from None
    if done.returncode != 0:
        raise StepFailed(fix, (done.stderr + done.stdout).strip())
    return done.stdout


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two `make` in two terminals must not build the same environment at once: the second waits here."""
    TOOLS.mkdir(exist_ok=True)
    with open(TOOLS / "setup.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main_of(work: Callable[[], None]) -> int:
    """Exit code of a command: 0, or 1 after the sentence that says what to mend."""
    try:
        work()
    except StepFailed as failure:
        for line in failure.output.splitlines()[-TAIL_LINES:]:
            print(f"    {line}", file=sys.stderr)
        print(f"setup: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(
            f"setup: {error.filename or ROOT}: {error.strerror}; make it writable, or free some space.",
            file=sys.stderr,
        )
        return 1
    return 0


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, **changes}
