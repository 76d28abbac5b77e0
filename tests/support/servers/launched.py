"""A `make run` for tests: the real launcher on a home and a port of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.support.servers.harness import PATIENCE_SECONDS, ROOT
from tests.support.servers.ports import free_port


class Launched:
    """One run of the launcher, in a process group of its own."""

    def __init__(self, home: Path, *, port: int, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.port = port
        self.console_port = free_port()
        said = Path(tempfile.mkdtemp(prefix="cv-said-"))
        self._output, self._errors = said / "out", said / "err"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CODEVECTOR_")}
        clean.pop("MAKELEVEL", None)
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.run"],
                cwd=ROOT,
                env={
                    **clean,
                    "CODEVECTOR_HOME": str(home),
                    "CODEVECTOR_GRPC_PORT": str(port),
                    "CODEVECTOR_CONSOLE_PORT": str(self.console_port),
                    **(environment or {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def console_url(self) -> str:
        return f"http://127.0.0.1:{self.console_port}/admin/providers"

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(line.startswith("ready:") for line in self.output.splitlines()):
            assert self.process.poll() is None, self.errors
            assert time.monotonic() < deadline, f"not ready in time: {self.errors}"
            time.sleep(0.02)

    def wait_end(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """What Ctrl-C does: SIGINT to the whole group; answers the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.wait_end()

    def children(self) -> dict[str, int]:
        """Process ids of what serves, by the name after `python -m`."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (process / "cmdline").read_bytes().split(b"\0")
                group = int((process / "stat").read_text().rpartition(")")[2].split()[2])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if group == self.process.pid and int(process.name) != self.process.pid and b"-m" in arguments:
                found[arguments[arguments.index(b"-m") + 1].decode()] = int(process.name)
        return found

    def end(self) -> None:
        """Leaves nothing behind, however the test went."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)
        shutil.rmtree(self._output.parent)
