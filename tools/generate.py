"""Generate gen/ from protos/, or with --check report whether gen/ is up to date: `python -m tools.generate`.

All Python code shares gen/. It is made by the oldest grpcio-tools that this project supports, because
generated code works with its own and newer runtimes, never with older ones. requirements/protoc.lock pins the
generator, which is installed under .tools/; PROTOC_PYTHON names another interpreter that has its packages.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tools.packaged import packaged_bin
from tools.steps import ROOT, StepFailed, main_of, run

PROTOS = ROOT / "protos"
GEN = ROOT / "gen"

PYTHON_SOURCES = ("codevector", "buf")
"""Folders of protos/ that Python code is generated for. The code of google/ comes with runtime packages."""

GENERATED_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
DESCRIPTORS = Path("codevector", "descriptors.binpb")
PROTOC_FIX = "protoc rejects protos/: see above, and run make check."

EXTRA_DESCRIPTORS = ("google/rpc/error_details.proto",)
"""None of our files imports them, but clients that print error details by reflection ask for them."""


def generator_python() -> Path:
    """Return an interpreter that has protoc and its plugins, installed on the first use."""
    named = os.environ.get("PROTOC_PYTHON")
    return Path(named) if named else packaged_bin("protoc", why="protoc is needed") / "python"


def generate(python: Path, target: Path) -> None:
    """Write the whole generated tree of protos/ under `target`, an existing empty folder."""
    sources = sorted(
        path.relative_to(PROTOS).as_posix()
        for folder in PYTHON_SOURCES
        for path in (PROTOS / folder).rglob("*.proto")
    )
    ours = [source for source in sources if source.startswith("codevector/")]
    services = [source for source in ours if source.endswith("_service.proto")]
    descriptors = target / DESCRIPTORS
    descriptors.parent.mkdir(parents=True)
    protoc = (python, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}")
    plugin = python.parent / "protoc-gen-mypy_grpc"
    run([*protoc, f"--python_out={target}", f"--pyi_out={target}", *sources], fix=PROTOC_FIX)
    run(
        [
            *protoc,
            f"--plugin=protoc-gen-mypy_grpc={plugin}",
            f"--grpc_python_out={target}",
            f"--mypy_grpc_out={target}",
            *services,
        ],
        fix=PROTOC_FIX,
    )
    run(
        [
            *protoc,
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={descriptors}",
            *ours,
            *EXTRA_DESCRIPTORS,
        ],
        fix=PROTOC_FIX,
    )
    for folder in PYTHON_SOURCES:
        # A namespace package has no top to carry the marker: each package that has modules gets its own.
        for package in {path.parent for path in (target / folder).rglob("*_pb2.py")}:
            (package / "py.typed").touch()


def generated_files(tree: Path) -> set[Path]:
    """Return the paths, relative to `tree`, of the files in it that this script writes."""
    return {
        path.relative_to(tree)
        for folder in PYTHON_SOURCES
        for path in (tree / folder).rglob("*")
        if path.name.endswith(GENERATED_SUFFIXES) or path.name == "py.typed" or path == tree / DESCRIPTORS
    }


def outdated(fresh: Path) -> list[Path]:
    """Return the relative paths at which gen/ and `fresh` differ: missing, superfluous or different."""
    new, old = generated_files(fresh), generated_files(GEN)
    differing = {path for path in new & old if not filecmp.cmp(fresh / path, GEN / path, shallow=False)}
    return sorted((new ^ old) | differing)


def replace(fresh: Path) -> None:
    """Make gen/ equal to `fresh`, leaving alone what this script does not write."""
    for path in generated_files(GEN) - generated_files(fresh):
        (GEN / path).unlink()
    for path in generated_files(fresh):
        (GEN / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fresh / path, GEN / path)


def main(*, check: bool) -> None:
    """Renew gen/; with ``check`` change nothing.

    Raises:
        StepFailed: protoc is not available or rejects protos/, or ``check`` finds gen/ out of date.
    """
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(generator_python(), fresh)
        differing = outdated(fresh)
        if differing and check:
            names = ", ".join(path.as_posix() for path in differing[:5])
            more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
            raise StepFailed(f"gen/ is out of date: run `make generate` and commit {names}{more}.")
        replace(fresh)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if gen/ is out of date")
    arguments = parser.parse_args()
    sys.exit(main_of(lambda: main(check=arguments.check)))
