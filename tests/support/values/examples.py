"""Console blocks of a page that are marked `console run`: what to run, and what they show.

A page is one shell, as for its reader: what one command sets the next one has.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecoder
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```console run\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HERE_DOCUMENT = re.compile(r"<<(\w+)")
VARYING = re.compile(r"uid|etag|storeId|token|nextPageToken|planDigest|impactToken|peer|tableAge|.*Time")
"""Names of what is another in each installation; everything else has to be as shown."""
VARYING_TEXT = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z|ipv4:[0-9.]+:\d+|context deadline exceeded|Deadline Exceeded"
)
"""Times, addresses, and which of both sides notices first that a call's time is up."""
NEXT = "--- the next example ---"


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


def outputs(commands: Sequence[str], *, cwd: Path, env: Mapping[str, str], seconds: float) -> list[str]:
    """What each command prints, on either stream, run one after the other by one shell."""
    script = "".join(f"{{\n{command}\n}} </dev/null\necho; echo '{NEXT}'\n" for command in commands)
    done = subprocess.run(
        ["sh", "-s"],
        input=script,
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds * len(commands),
        check=False,
    )
    *found, rest = done.stdout.split(f"\n{NEXT}\n")
    assert (len(found), rest) == (len(commands), ""), done.stdout
    return found


def comparable(output: str) -> list[Any]:
    """Its documents and its lines in order, what varies masked."""
    found: list[Any] = []
    while output:
        try:
            document, end = JSONDecoder().raw_decode(output)
        except ValueError:
            line, _, output = output.partition("\n")
            found.append(VARYING_TEXT.sub("…", line.rstrip()))
        else:
            found.append(masked(document))
            output = output[end:].removeprefix("\n")
    return [each for each in found if each != ""]


def masked(value: Any) -> Any:
    match value:
        case dict():
            return {key: "…" if VARYING.fullmatch(key) else masked(item) for key, item in value.items()}
        case list():
            return [masked(item) for item in value]
    return value
