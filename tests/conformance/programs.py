"""The conformance programs, one per language, and how to talk to one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from tests.support.servers.harness import ROOT, Instance
from tests.support.toolchains import build_client
from tools.clients import go, java

ANSWER_SECONDS = 120.0
STOP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    """``argv`` starts it, from the repository's root; ``client`` is what must be built first, if anything."""

    argv: tuple[str, ...]
    client: str = ""


PROGRAMS: Mapping[str, Program] = {
    "python": Program((sys.executable, "tests/conformance/python_client.py")),
    "go": Program((str(go.CONFORMANCE),), "go"),
    "java": Program(("java", "-cp", java.class_path(), "codevector.providers.Conformance"), "java"),
    "typescript": Program((".tools/clients/typescript-conformance",), "typescript"),
}


@dataclass(slots=True)
class Client:
    """A running program: a request out, its answer in."""

    child: subprocess.Popen[str]
    answers: Queue[str]
    talk: Path

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request; a program that ended, or is silent, fails the test with what it said."""
        assert self.child.stdin is not None
        try:
            self.child.stdin.write(json.dumps(request) + "\n")
            self.child.stdin.flush()
            line = self.answers.get(timeout=ANSWER_SECONDS)
        except (BrokenPipeError, Empty):
            line = ""
        if not line:
            raise AssertionError(f"no answer to {request['do']!r}: {self.talk.read_text()[-4000:]}")
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    def finish(self) -> int:
        """End its input; its exit code."""
        assert self.child.stdin is not None
        self.child.stdin.close()
        return self.child.wait(STOP_SECONDS)


@contextmanager
def started(program: Program, instance: Instance) -> Iterator[Client]:
    """The program, talking to this installation."""
    if program.client:
        build_client(program.client)
    talk = instance.home / "test-logs" / "conformance-program.err"
    with talk.open("w") as stderr:
        child = subprocess.Popen(
            [
                *program.argv,
                "--registry",
                instance.address,
                "--kms-socket",
                str(instance.router_socket),
                "--allow-loopback-http",
            ],
            cwd=ROOT,
            env=instance.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    answers: Queue[str] = Queue()
    reader = threading.Thread(target=_read, args=(child, answers))
    reader.start()
    try:
        yield Client(child, answers, talk)
    finally:
        child.kill()
        child.wait(STOP_SECONDS)
        reader.join()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def _read(child: subprocess.Popen[str], answers: Queue[str]) -> None:
    """Hand the lines over, and an empty one at the end."""
    assert child.stdout is not None
    for line in child.stdout:
        answers.put(line)
    answers.put("")
