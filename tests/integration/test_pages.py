"""What README.md shows is what happens: its marked console blocks, run in order on a fresh installation."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.launched import PATIENCE_SECONDS, ROOT, Launched, free_port

BLOCK = re.compile(r"^```console run\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HERE_DOCUMENT = re.compile(r"<<(\w+)")
VARYING = re.compile(r"uid|etag|storeId|nextPageToken|planDigest|impactToken|.*Time")
"""Names of what is another in each installation; everything else has to be as shown."""


@dataclass(frozen=True, slots=True)
class Example:
    command: str
    output: str


def examples(text: str) -> Iterator[Example]:
    """Each `$ command`, here-document included, with the lines up to the next one."""
    for block in BLOCK.findall(text):
        lines = block.splitlines()
        while lines:
            line = lines.pop(0)
            assert line.startswith("$ "), f"a marked block begins with a command, not {line!r}"
            command = [line.removeprefix("$ ")]
            if match := HERE_DOCUMENT.search(line):
                while command[-1] != match[1]:
                    command.append(lines.pop(0))
            output = []
            while lines and not lines[0].startswith("$ "):
                output.append(lines.pop(0))
            yield Example("\n".join(command), "\n".join(output))


def comparable(output: str) -> Any:
    """The document in it, what varies masked; as it is where it is no document."""
    try:
        return masked(json.loads(output))
    except ValueError:
        return output.strip()


def masked(value: Any) -> Any:
    match value:
        case dict():
            return {key: "…" if VARYING.fullmatch(key) else masked(item) for key, item in value.items()}
        case list():
            return [masked(item) for item in value]
    return value


def test_every_marked_example() -> None:
    shown = list(examples((ROOT / "README.md").read_text()))
    assert len(shown) >= 8
    home = Path(tempfile.mkdtemp(prefix="cv-"))
    upstream = free_port()
    run = Launched(home, port=free_port(), environment={"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"})
    environment = {
        **os.environ,
        "PATH": f"{ROOT}/.tools/bin:{os.environ['PATH']}",
        "CODEVECTOR_HOME": str(home),
        "CODEVECTOR_GRPC_PORT": str(run.port),
    }
    try:
        run.wait_ready()
        for example in shown:
            command = example.command.replace("127.0.0.1:50051", run.address).replace("8099", str(upstream))
            done = subprocess.run(
                ["sh", "-c", command.replace("var/", f"{home}/")],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
            assert comparable(done.stdout) == comparable(example.output), example.command
    finally:
        run.end()
        shutil.rmtree(home)
