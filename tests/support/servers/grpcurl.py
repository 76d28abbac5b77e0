"""Real grpcurl, called as a person at a shell calls it, and what it prints taken apart."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.servers.harness import ROOT
from tests.support.toolchains import skip_without

_DETAIL = re.compile(r"^  \d+\)\t", re.MULTILINE)
_SECONDS = 60
_EXIT_CODE_BASE = 64
"""grpcurl exits with this much more than the status code."""


def program() -> str:
    """Return where grpcurl is: as `make test` builds it, else on PATH."""
    skip_without("go")
    built = ROOT / ".tools" / "bin" / "grpcurl"
    found = str(built) if built.exists() else shutil.which("grpcurl")
    assert found is not None, "grpcurl is missing: run make test-tools"
    return found


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as grpcurl prints it: the code's name, the message, each detail as the JSON shown for it."""

    code: str
    message: str
    details: tuple[dict[str, Any], ...]
    exit_code: int
    text: str

    def detail(self, name: str) -> dict[str, Any]:
        """The one detail of the type ``google.rpc.<name>``."""
        (found,) = [
            each for each in self.details if each["@type"] == f"type.googleapis.com/google.rpc.{name}"
        ]
        return found

    @property
    def reason(self) -> str:
        return str(self.detail("ErrorInfo")["reason"])


@dataclass(frozen=True, slots=True)
class Grpcurl:
    """grpcurl against one address, which is host:port or a Unix socket."""

    target: str | Path

    def list(self) -> list[str]:
        """The services, as listed."""
        return self._output("list").splitlines()

    def describe(self, symbol: str, *flags: str) -> str:
        return self._output("describe", symbol, flags=flags)

    def call(self, method: str, request: dict[str, Any] | None = None, *, header: str = "") -> Any:
        """Call ``Service/Method`` (with its package), and the answer's JSON; a refusal fails the test."""
        headers = ("-H", header) if header else ()
        return json.loads(self._output(method, flags=(*headers, "-d", json.dumps(request or {}))))

    def first(self, count: int, method: str, request: dict[str, Any] | None = None) -> tuple[Any, ...]:
        """The JSON of the first messages of a stream, which is then hung up on."""
        arguments = self._command(method, flags=("-max-time", str(_SECONDS), "-d", json.dumps(request or {})))
        with subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                found: tuple[Any, ...] = ()
                text = ""
                while len(found) < count:
                    line = process.stdout.readline()
                    assert line, process.stderr.read()
                    text += line
                    if line == "}\n":
                        found += (json.loads(text),)
                        text = ""
                return found
            finally:
                process.kill()

    def refusal(self, method: str, request: dict[str, Any] | None = None) -> Refusal:
        """Call a method that must be refused."""
        done = self._run(method, flags=("-d", json.dumps(request or {})))
        assert done.returncode > _EXIT_CODE_BASE, done.stdout + done.stderr
        head, _, details = done.stderr.partition("\n  Details:\n")
        matched = re.fullmatch(r"ERROR:\n  Code: (\w+)\n  Message: (.*?)\n?", head, re.DOTALL)
        assert matched is not None, done.stderr
        return Refusal(
            code=matched[1],
            message=matched[2],
            details=tuple(json.loads(text) for text in _DETAIL.split(details)[1:]),
            exit_code=done.returncode - _EXIT_CODE_BASE,
            text=done.stderr,
        )

    def _output(self, *words: str, flags: tuple[str, ...] = ()) -> str:
        done = self._run(*words, flags=flags)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _command(self, *words: str, flags: tuple[str, ...]) -> tuple[str, ...]:
        unix = ("-unix",) if isinstance(self.target, Path) else ()
        return (program(), "-plaintext", *unix, *flags, str(self.target), *words)

    def _run(self, *words: str, flags: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(*words, flags=flags),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
