"""Regenerates gen/ from protos/, or with --check only tells whether gen/ is what protos/ would give.

All Python clients share one generated code, made with the oldest grpcio-tools this project supports, because
generated code works with its own and with newer runtimes, never with older ones. The generator lives in a
virtual environment of its own under .tools/; PROTOC_PYTHON names another interpreter with its packages.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

GENERATOR_PACKAGES = ("grpcio-tools==1.80.0", "mypy-protobuf==5.0.0")
"""Exact, since another version gives other bytes."""

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
GEN = ROOT / "gen"

PYTHON_SOURCES = ("codevector", "buf")
"""Folders of protos/ that Python code is generated for. The code of google/ comes with runtime packages."""

GENERATED_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
DESCRIPTORS = Path("codevector", "descriptors.binpb")

EXTRA_DESCRIPTORS = ("google/rpc/error_details.proto",)
"""Imported by none of our files, but clients that print error details by reflection ask for them."""


class GenerationError(Exception):
    """Something the caller has to mend; its message is one sentence."""


def generator_python() -> Path:
    """Returns an interpreter that has GENERATOR_PACKAGES, making its virtual environment on the first use."""
    named = os.environ.get("PROTOC_PYTHON")
    if named:
        return Path(named)
    home = ROOT / ".tools" / "protoc-venv"
    python = home / "bin" / "python"
    made_with = home / "packages.txt"
    wanted = "\n".join(GENERATOR_PACKAGES)
    if made_with.exists() and made_with.read_text() == wanted:
        return python
    uv = ROOT / ".venv" / "bin" / "uv"
    if not uv.exists():
        raise GenerationError("The generator is installed with .venv/bin/uv, which is not there.")
    _run(str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(home))
    _run(str(uv), "pip", "install", "--quiet", "--python", str(python), *GENERATOR_PACKAGES)
    made_with.write_text(wanted)
    return python


def generate(python: Path, target: Path) -> None:
    """Writes the whole generated tree of protos/ under `target`, an existing empty folder."""
    sources = sorted(
        path.relative_to(PROTOS).as_posix()
        for folder in PYTHON_SOURCES
        for path in (PROTOS / folder).rglob("*.proto")
    )
    ours = [source for source in sources if source.startswith("codevector/")]
    services = [source for source in ours if source.endswith("_service.proto")]
    descriptors = target / DESCRIPTORS
    descriptors.parent.mkdir(parents=True)
    protoc = (str(python), "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}")
    plugin = python.parent / "protoc-gen-mypy_grpc"
    _run(*protoc, f"--python_out={target}", f"--pyi_out={target}", *sources)
    _run(
        *protoc,
        f"--plugin=protoc-gen-mypy_grpc={plugin}",
        f"--grpc_python_out={target}",
        f"--mypy_grpc_out={target}",
        *services,
    )
    _run(
        *protoc,
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={descriptors}",
        *ours,
        *EXTRA_DESCRIPTORS,
    )
    for folder in PYTHON_SOURCES:
        # A namespace package has no top to carry the marker: each package that has modules gets its own.
        for package in {path.parent for path in (target / folder).rglob("*_pb2.py")}:
            (package / "py.typed").touch()


def generated_files(tree: Path) -> set[Path]:
    """Returns the paths, relative to `tree`, of the files in it that this script writes."""
    return {
        path.relative_to(tree)
        for folder in PYTHON_SOURCES
        for path in (tree / folder).rglob("*")
        if path.name.endswith(GENERATED_SUFFIXES) or path.name == "py.typed" or path == tree / DESCRIPTORS
    }


def outdated(fresh: Path) -> list[Path]:
    """Returns the relative paths at which gen/ and `fresh` differ: missing, superfluous, or other content."""
    new, old = generated_files(fresh), generated_files(GEN)
    differing = {path for path in new & old if not filecmp.cmp(fresh / path, GEN / path, shallow=False)}
    return sorted((new ^ old) | differing)


def replace(fresh: Path) -> None:
    """Makes gen/ equal to `fresh`, leaving alone what this script does not write."""
    for path in generated_files(GEN) - generated_files(fresh):
        (GEN / path).unlink()
    for path in generated_files(fresh):
        (GEN / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fresh / path, GEN / path)


def _run(*command: str) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise GenerationError(f"{' '.join(command[:4])} ... failed:\n{finished.stderr.strip()}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if gen/ is out of date")
    check: bool = parser.parse_args().check
    try:
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder)
            generate(generator_python(), fresh)
            differing = outdated(fresh)
            if differing and check:
                names = ", ".join(path.as_posix() for path in differing[:5])
                more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
                print(f"gen/ is out of date: run `make generate` and commit {names}{more}.", file=sys.stderr)
                return 1
            replace(fresh)
    except GenerationError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
