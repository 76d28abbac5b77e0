"""``providerctl``, also as ``python -m cli``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from cli.failures import ExitCode, Failure
from cli.line import help as help_text
from cli.line.parsing import parse
from cli.nouns.root import ROOT

if TYPE_CHECKING:
    from cli.session import World

_INTERRUPTED = 130
_NOBODY_READS = 141
"""What a shell reports for a process that SIGPIPE ended."""


def main() -> NoReturn:
    """Run the command that this process was started with, and end it."""
    # gRPC reports connection failures on stderr, which the command says in a sentence.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    code = run(sys.argv[1:], None)
    # Everything is flushed and closed. The interpreter's own end would take a tenth of the command's time,
    # and complain about a pipe that nobody reads any more.
    os._exit(code)


def run(tokens: Sequence[str], world: World | None) -> int:
    """Run a command in a world, by default this process's; a failure is printed on its stderr."""
    stdout, stderr = (sys.stdout, sys.stderr) if world is None else (world.stdout, world.stderr)
    try:
        line = parse(ROOT, tokens)
        if line.wants_version:
            from runtime.release import release

            print(f"providerctl {release()}", file=stdout, flush=True)
        elif line.wants_help:
            print(help_text.text(line.path, line.target, width=_width()), end="", file=stdout, flush=True)
        else:
            from cli import running

            running.run(line, this_process() if world is None else world)
    except Failure as failure:
        lines = [f"providerctl: {failure.sentence}", *(f"  {line}" for line in failure.lines)]
        print(*lines, sep="\n", file=stderr, flush=True)
        return failure.code
    except BrokenPipeError:
        return _NOBODY_READS
    except KeyboardInterrupt:
        return _INTERRUPTED
    return ExitCode.OK


def this_process() -> World:
    """Return the world of this process."""
    import random
    import time
    from datetime import UTC, datetime
    from getpass import getpass

    from cli.session import World

    return World(
        environment=os.environ,
        stdin=sys.stdin,
        stdout=sys.stdout,
        stderr=sys.stderr,
        now=lambda: datetime.now(UTC),
        monotonic=time.monotonic,
        sleep=time.sleep,
        random=random.SystemRandom().random,
        ask_secret=getpass,
    )


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns


if __name__ == "__main__":
    main()
