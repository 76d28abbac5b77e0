"""Child processes that cannot outlive the launcher, and the loop that waits for them and for signals.

The launcher has one thread and never loads grpc, so that forking stays safe. All children stay in its process
group.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.steps import ROOT

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS = 0.05
REFUSAL_PREFIXES = ("kms: ", "service: ", "console: ")

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class StopRequested(Exception):
    """Ctrl-C, SIGTERM, or the terminal went away."""


class ChildDied(Exception):
    """A child ended unexpectedly."""

    def __init__(self, child: Child) -> None:
        super().__init__(child.name)
        self.child = child


@dataclass(frozen=True, slots=True)
class Child:
    """`log` is the file that its stderr goes to, from byte `log_start` on of the file `log_inode`.

    Once it was full, another one has its name.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    log_inode: int

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines of this run in its log."""
        with self.log.open("rb") as file:
            if os.fstat(file.fileno()).st_ino == self.log_inode:
                file.seek(self.log_start)
            return file.read().decode("utf-8", "replace").splitlines()[-count:]

    def refusal(self) -> str | None:
        """Return its sentence if it refused to start; later failures are JSON lines."""
        lines = self.last_lines(1)
        return lines[0] if lines and lines[0].startswith(REFUSAL_PREFIXES) else None

    def ending(self) -> str:
        """Return how it ended, as part of a sentence."""
        code = self.process.returncode
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


class Children:
    """The running servers, in the order they were started; they are stopped in reverse."""

    def __init__(self) -> None:
        # Blocked signals wait for `_next_signal`: no handler runs between two statements of ours.
        signal.pthread_sigmask(signal.SIG_BLOCK, {*STOP_SIGNALS, signal.SIGCHLD})
        self._servers: list[Child] = []

    def start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """Start a server, which is expected to run until `stop`."""
        child = _spawn(name, arguments, environment, log)
        self._servers.append(child)
        return child

    def finish(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> str:
        """Run a step to its end and return what it printed, watching the servers meanwhile.

        Raises:
            ChildDied: the step failed, or a server died.
            StopRequested: a signal came; the step is killed.
        """
        child = _spawn(name, arguments, environment, log, output=subprocess.PIPE)
        try:
            self.wait_until(lambda: child.process.poll() is not None)
        except BaseException:
            child.process.kill()
            child.process.wait()
            raise
        output, _ = child.process.communicate()
        if child.process.returncode != 0:
            raise ChildDied(child)
        return output.decode("utf-8", "replace").strip()

    def wait_until(self, done: Callable[[], bool], *, seconds: float | None = None) -> bool:
        """Return whether `done` came true in time; it is checked when a child ends, and at short intervals.

        Raises:
            ChildDied: a server died.
            StopRequested: a signal came.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while not done():
            if deadline is not None and time.monotonic() > deadline:
                return False
            if _next_signal(POLL_SECONDS) in STOP_SIGNALS:
                raise StopRequested
            self._raise_if_dead()
        return True

    def wait(self) -> None:
        """Wait until something ends it: always raises ChildDied or StopRequested."""
        while True:
            self._raise_if_dead()
            if _next_signal(None) in STOP_SIGNALS:
                raise StopRequested

    def stop(self, *, grace_seconds: float) -> list[str]:
        """Stop all servers, last started first, and return the names of those that had to be killed.

        Each may take `grace_seconds`; a second Ctrl-C ends the patience.
        """
        killed = []
        while self._servers:
            child = self._servers.pop()
            if child.process.poll() is not None:
                continue
            child.process.terminate()
            deadline = time.monotonic() + grace_seconds
            while child.process.poll() is None:
                if time.monotonic() > deadline or _next_signal(POLL_SECONDS) in STOP_SIGNALS:
                    child.process.kill()
                    child.process.wait()
                    killed.append(child.name)
        return killed

    def _raise_if_dead(self) -> None:
        dead = next((child for child in self._servers if child.process.poll() is not None), None)
        if dead is None:
            return
        # A signal to the whole group ends a child and reaches us too: then nothing is wrong.
        if signal.sigpending() & set(STOP_SIGNALS):
            raise StopRequested
        self._servers.remove(dead)
        raise ChildDied(dead)


def follow_parent() -> None:
    """Have the kernel send SIGTERM when the parent, `make`, is killed: nothing else would stop this one."""
    _die_with_parent(signal.SIGTERM)


def _next_signal(seconds: float | None) -> int | None:
    watched = {*STOP_SIGNALS, signal.SIGCHLD}
    if seconds is None:
        return signal.sigwait(watched)
    came = signal.sigtimedwait(watched, seconds)
    return came.si_signo if came else None


def _spawn(
    name: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    *,
    output: int = subprocess.DEVNULL,
) -> Child:
    launcher = os.getpid()

    def before_exec() -> None:
        # Runs between fork and exec, in a single thread. SIGKILL, because a killed launcher may be followed
        # at once by a new one that needs the port and the keyring.
        _die_with_parent(signal.SIGKILL)
        if os.getppid() != launcher:
            os._exit(1)
        # A terminal sends these to the whole group; the launcher alone decides who stops first.
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT, signal.SIGHUP})

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        begun = os.fstat(descriptor)
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=descriptor,
            preexec_fn=before_exec,
        )
    finally:
        os.close(descriptor)
    return Child(name, process, log, begun.st_size, begun.st_ino)


def _die_with_parent(number: signal.Signals) -> None:
    if _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
