"""Renew the lock files from the pyproject.toml files: `make lock`.

requirements/runtime.lock is what a container of the service holds; requirements/dev.lock adds what building,
checking and testing need, at the same versions; go.lock and node.lock are toolchains for machines without Go
or Node, and protoc.lock is the generator of gen/. None names an index: pip's settings do.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tools.setup import PYTHON, UV_NAMES, pip_configuration, uv_settings
from tools.steps import ROOT, StepFailed, environment, main_of, run

OWN_DISTRIBUTIONS = ("codevector-providers", "codevector-providers-protos")
"""Installed from this repository, so not in the locks."""

HEADER = "# Made by `make lock`; edit pyproject.toml instead.\n"
TOOLCHAINS = ("go", "node", "protoc")


def compile_lock(target: Path, source: str, *options: str) -> None:
    """Write one lock file: exact versions with hashes, for every platform and Python the project supports.

    Versions already in `target` are kept unless `make lock UPGRADE=1`.
    """
    arguments: list[object] = [PYTHON, "-m", "uv", "pip", "compile", "-q", source]
    arguments += ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header"]
    arguments += ["--no-emit-index-url", "--no-emit-find-links", "-o", target.relative_to(ROOT)]
    arguments += [part for name in OWN_DISTRIBUTIONS for part in ("--no-emit-package", name)]
    if os.environ.get("UPGRADE"):
        arguments.append("--upgrade")
    env = environment(**uv_settings(pip_configuration(), os.environ))
    run([*arguments, *options], env=env, fix="the requirements conflict: see above.")
    content = target.read_text()
    if any(name in content for name in ("://", *UV_NAMES.values())):
        raise StepFailed(
            f"{target.name} contains an address, which would tie everyone to this machine's package index."
        )
    target.write_text(HEADER + content.removeprefix(HEADER))


def lock() -> None:
    folder = ROOT / "requirements"
    folder.mkdir(exist_ok=True)
    with_runtime = ("--constraint", "requirements/runtime.lock")
    compile_lock(folder / "runtime.lock", "pyproject.toml", "--all-extras")
    compile_lock(folder / "dev.lock", "pyproject.toml", "--all-extras", "--group", "dev", *with_runtime)
    for toolchain in TOOLCHAINS:
        compile_lock(folder / f"{toolchain}.lock", f"requirements/{toolchain}.in")


if __name__ == "__main__":
    sys.exit(main_of(lock))
