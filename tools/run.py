"""Start the key sidecar, the registry and the console on this machine, and stop them together: `make run`.

All are children that cannot outlive this process. Keys are made only where nothing exists yet; the database
is brought up to date by the one process that holds the home's lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tools.launcher import welcome
from tools.launcher.plan import Plan, RunRefused, log_file, plan_of
from tools.launcher.processes import Child, ChildDied, Children, StopRequested, follow_parent

KMS_SECONDS = 30
READY_SECONDS = 60
GRACE_SECONDS = 10
PORT_PATIENCE_SECONDS = 1.0
"""How long processes of a launcher that was just killed may still hold a port."""

TAIL_LINES = 8


@contextmanager
def only_one(plan: Plan) -> Iterator[None]:
    """Hold the data directory for this process; the kernel releases it even after kill -9.

    Raises:
        RunRefused: another instance holds it, or it cannot be written.
    """
    try:
        plan.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        plan.logs.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(plan.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RunRefused(
            f"the data directory {plan.home} cannot be written ({error.strerror}): "
            "make it writable, or set CODEVECTOR_HOME to a directory of yours"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            raise RunRefused(
                f"another instance (process {holder}) is using the data directory {plan.home}: "
                "stop it, or set CODEVECTOR_HOME to another directory"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)


def require_free_port(port: int, setting: str) -> None:
    """Raise RunRefused if another program listens on it. SO_REUSEPORT would share it silently."""
    deadline = time.monotonic() + PORT_PATIENCE_SECONDS
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise RunRefused(
                        f"port {port} cannot be used ({error.strerror}): set {setting} to another"
                    ) from None
            else:
                return
        if time.monotonic() > deadline:
            raise RunRefused(
                f"port {port} is taken by another program: stop that, or set {setting} to another"
            )
        time.sleep(0.05)


def answers(path: os.PathLike[str]) -> bool:
    """Return whether a Unix socket accepts connections."""
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(os.fspath(path))
        return True
    return False


def listens(port: int) -> bool:
    """Return whether a port of this machine accepts connections."""
    with socket.socket() as client, suppress(OSError):
        client.connect(("127.0.0.1", port))
        return True
    return False


def start(plan: Plan, children: Children) -> None:
    """Start everything, up to the line that says that it serves."""
    kms_log, service_log, console_log = (log_file(plan.home, name) for name in ("kms", "service", "console"))
    if plan.needs_init():
        print(children.finish("the making of keys", ["-m", "kms", "init"], plan.kms_environment, kms_log))
    require_free_port(plan.port, "CODEVECTOR_GRPC_PORT")
    require_free_port(plan.console_port, "CODEVECTOR_CONSOLE_PORT")
    children.start("the key sidecar", ["-m", "kms"], plan.kms_environment, kms_log)
    # The sidecar starts meanwhile.
    children.finish("the migration", ["-m", "service", "migrate"], plan.service_environment, service_log)
    if not children.wait_until(lambda: all(map(answers, plan.sockets.values())), seconds=KMS_SECONDS):
        raise RunRefused(f"the key sidecar did not respond within {KMS_SECONDS} s: see {kms_log}")
    children.start("the registry", ["-m", "service"], plan.service_environment, service_log)
    children.start("the console", ["-m", "console"], plan.console_environment, console_log)
    readiness = ["-m", "tools.launcher.readiness", str(plan.port), str(READY_SECONDS)]
    children.finish("the wait for the registry", readiness, plan.service_environment, service_log)
    if not children.wait_until(lambda: listens(plan.console_port), seconds=READY_SECONDS):
        raise RunRefused(f"the console did not respond within {READY_SECONDS} s: see {console_log}")
    print(welcome.text(plan), flush=True)


def serve(plan: Plan) -> int:
    """Run until stopped and return 0; return 1 after anything else, with a sentence that says what."""
    children = Children()
    failure: RunRefused | ChildDied | None = None
    try:
        start(plan, children)
        children.wait()
    except StopRequested:
        pass
    except (RunRefused, ChildDied) as error:
        failure = error
    for name in children.stop(grace_seconds=GRACE_SECONDS):
        complain(f"{name} did not stop in time and was killed; everything it acknowledged is kept")
    if failure is None:
        return 0
    complain(
        failure.child.refusal() or explain(failure.child) if isinstance(failure, ChildDied) else str(failure)
    )
    return 1


def explain(child: Child) -> str:
    """Return how a child ended, where its log is, and the log's last lines."""
    lines = child.last_lines(TAIL_LINES) or ["(nothing)"]
    tail = "".join(f"\n    {line}" for line in lines)
    return f"{child.name} {child.ending()}, so everything was stopped; the end of {child.log}:{tail}"


def complain(sentence: str) -> None:
    print(f"run: {sentence}", file=sys.stderr, flush=True)


def main() -> int:
    if "MAKELEVEL" in os.environ:
        follow_parent()
    try:
        plan = plan_of(os.environ)
        with only_one(plan):
            return serve(plan)
    except RunRefused as refusal:
        complain(str(refusal))
        return 1


if __name__ == "__main__":
    sys.exit(main())
