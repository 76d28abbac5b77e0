"""``providerctl``, also as ``python -m cli``."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from cli.app import build
from cli.failures import ExitCode, Failure, failure_of
from cli.session import World
from runtime.calls import CallRefused, Refusal

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and answers its exit code."""
    # grpc writes connection troubles of its own to stderr, which the command tells in a sentence.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    return run(sys.argv[1:] if arguments is None else arguments, this_process())


def this_process() -> World:
    """The world as it is."""
    return World(
        environment=os.environ,
        stdout=sys.stdout,
        stderr=sys.stderr,
        now=lambda: datetime.now(UTC),
        monotonic=time.monotonic,
        sleep=time.sleep,
        random=random.SystemRandom().random,
    )


def run(arguments: Sequence[str], world: World) -> int:
    """Runs a command in a world; a failure is told on its stderr."""
    app = build(fancy=world.stderr.isatty())
    try:
        app(args=list(arguments), obj=world, prog_name="providerctl")
    except Failure as failure:
        _report(failure, world)
        return failure.code
    except CallRefused as refused:
        ended = failure_of(refused)
        verbose = {"-v", "--verbose"} & set(arguments)
        _report(ended, world, more=_all_of(refused.refusal) if verbose else ())
        return ended.code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitCode.ERROR
    except KeyboardInterrupt:
        return _INTERRUPTED
    return ExitCode.OK


def _report(failure: Failure, world: World, *, more: Sequence[str] = ()) -> None:
    lines = (f"  {line}" for line in (*failure.lines, *more))
    print(f"providerctl: {failure.sentence}", *lines, sep="\n", file=world.stderr, flush=True)


def _all_of(refusal: Refusal) -> list[str]:
    return [
        f"status: {refusal.status}",
        *(f"{name}: {value}" for name, value in sorted(refusal.metadata.items())),
    ]


if __name__ == "__main__":
    sys.exit(main())
