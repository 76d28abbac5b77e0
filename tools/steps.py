"""How the set-up commands report: one line per step, and one sentence with the fix when a step fails.

Standard library only, and old syntax: it runs before the virtual environment exists.
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
"""How much of a failed command's output is shown: enough for the last words of a resolver or compiler."""


class StepFailed(Exception):
    """The user has to fix something. The text is one sentence, `output` what the failed command printed."""

    def __init__(self, sentence: str, output: str = "") -> None:
        super().__init__(sentence)
        self.output = output


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def run(
    arguments: Sequence[object], *, fix: str, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> str:
    """Return what the command printed on stdout.

    Raises:
        StepFailed: it could not be started, or it failed; `fix` says what to do.
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
    """Keep two `make` in two terminals from building the same environment at once: the second waits."""
    TOOLS.mkdir(exist_ok=True)
    with open(TOOLS / "setup.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main_of(work: Callable[[], int | None]) -> int:
    """Return a command's exit code: that of `work`, or 1 after the sentence that says what to fix."""
    try:
        return work() or 0
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


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, **changes}
