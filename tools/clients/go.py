"""The Go client: generated code into clients/go/gen, programs into .tools/clients/go."""

from __future__ import annotations

from pathlib import Path

from tools.clients.builds import FOLDER, Client, generate
from tools.go_tools import BIN, build_missing
from tools.go_tools import go as go_program
from tools.steps import TOOLS, environment, run

SOURCES = FOLDER / "go"
GEN = SOURCES / "gen"
PROGRAMS = TOOLS / "clients" / "go"
CONFORMANCE = PROGRAMS / "conformance"
ROUTER = PROGRAMS / "router"
MODULE = "codevector.internal/providers/go"
"""No public server has it: clients/README.md says how a company serves it."""


def build() -> None:
    build_missing(("protoc-gen-go", "protoc-gen-go-grpc"))
    generate(GEN, protoc_options=_options, google_rpc=False)
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    run_go(
        *("build", "-trimpath", "-buildvcs=false", "-o", PROGRAMS, "./cmd/..."),
        fix="the Go client does not build: see above, and check the network and `go env GOPROXY`.",
    )


def run_go(*arguments: object, fix: str, folder: Path = SOURCES) -> str:
    """Return what `go` printed, run in the client's folder without the user's workspace."""
    env = environment(CGO_ENABLED="0", GOTOOLCHAIN="local", GOWORK="off")
    return run([go_program(), "-C", folder, *arguments], fix=fix, env=env)


def _options(names: list[str]) -> list[str]:
    """Return protoc's options: plugins by path, and a Go package for each protobuf package."""
    options = []
    for plugin in ("go", "go-grpc"):
        options.append(f"--plugin=protoc-gen-{plugin}={BIN / f'protoc-gen-{plugin}'}")
        options.append(f"--{plugin}_out={SOURCES}")
        options.append(f"--{plugin}_opt=module={MODULE}")
        options += [f"--{plugin}_opt=M{name}={_import_path(name)}" for name in names]
    return options


def _import_path(name: str) -> str:
    """codevector/kms/v1/x.proto → MODULE/gen/kms/v1, package kmsv1."""
    _, area, version, _ = name.split("/")
    return f"{MODULE}/gen/{area}/{version};{area}{version}"


CLIENT = Client("go", "Go", "go", (GEN, CONFORMANCE, ROUTER), build)
