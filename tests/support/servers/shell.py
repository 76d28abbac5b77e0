"""``providerctl`` run in the test's own process against a registry, by a script or at a terminal."""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cli.__main__ import run
from cli.session import World
from tests.support.servers.served import Served


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Told:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass(slots=True)
class Shell:
    """Runs commands against ``registry``. ``everything`` is all that they ever printed."""

    registry: Served
    environment: dict[str, str] = field(default_factory=dict)
    everything: list[str] = field(default_factory=list)

    def run(
        self, line: str | Sequence[str], *, stdin: str = "", environment: Mapping[str, str] | None = None
    ) -> Told:
        """Run a command as a script does. A line is split at spaces."""
        return self._run(line, io.StringIO(stdin), io.StringIO(), io.StringIO(), environment or {}, ())

    def at_a_terminal(
        self, line: str | Sequence[str], *, typed: str = "", secrets: Sequence[str] = (), columns: int = 80
    ) -> Told:
        """Run a command as a person does, who types these lines and, without echo, these secrets."""
        environment = {"TERM": "xterm", "COLUMNS": str(columns), "NO_COLOR": "1"}
        return self._run(line, Screen(typed), Screen(), Screen(), environment, secrets)

    def ok(self, line: str | Sequence[str], **options: Any) -> Told:
        """Run a command that must succeed."""
        told = self.run(line, **options)
        assert told.code == 0, told.err
        return told

    def _run(
        self,
        line: str | Sequence[str],
        stdin: io.StringIO,
        out: io.StringIO,
        err: io.StringIO,
        environment: Mapping[str, str],
        secrets: Sequence[str],
    ) -> Told:
        waiting = list(secrets)
        world = World(
            environment={
                "CODEVECTOR_GRPC_PORT": str(self.registry.port),
                "CODEVECTOR_KMS_ROUTER_SOCKET": str(self.registry.router_socket),
                **self.environment,
                **environment,
            },
            stdin=stdin,
            stdout=out,
            stderr=err,
            now=lambda: datetime.now(UTC),
            monotonic=time.monotonic,
            sleep=time.sleep,
            random=random.random,
            ask_secret=lambda prompt: print(prompt, file=err) or waiting.pop(0),
        )
        code = run(line.split() if isinstance(line, str) else line, world)
        told = Told(int(code), out.getvalue(), err.getvalue())
        self.everything += [told.out, told.err]
        return told
