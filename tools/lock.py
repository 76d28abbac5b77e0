"""Renews the lock files from the pyproject.toml files: `make lock`.

requirements/runtime.lock is what a container of the service holds; requirements/dev.lock adds what it takes
to build, check and test, on the same versions; requirements/go.lock and node.lock are the Go and Node
toolchains for machines without one. None names an index: whoever installs brings their own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tools.setup import PYTHON, UV_NAMES, pip_configuration, uv_settings
from tools.steps import ROOT, StepFailed, environment, main_of, run

OWN_DISTRIBUTIONS = ("codevector-providers", "codevector-providers-protos")
"""Installed from this folder, so not in the lock."""

HEADER = "# Made by `make lock`; edit pyproject.toml instead.\n"
EXTRAS = ("cli", "postgres")


def compile_lock(target: Path, source: str, *options: str) -> None:
    """Writes one lock file: exact versions with hashes, for every platform and Python the project supports.

    Versions already in `target` are kept unless `make lock UPGRADE=1`.
    """
    arguments: list[object] = [PYTHON, "-m", "uv", "pip", "compile", "-q", source]
    arguments += ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header"]
    arguments += ["--no-emit-index-url", "--no-emit-find-links", "-o", target.relative_to(ROOT)]
    arguments += [part for name in OWN_DISTRIBUTIONS for part in ("--no-emit-package", name)]
    if os.environ.get("UPGRADE"):
        arguments.append("--upgrade")
    env = environment(**uv_settings(pip_configuration(), os.environ))
    run([*arguments, *options], env=env, fix="the requirements cannot be met together: see above.")
    content = target.read_text()
    if any(name in content for name in ("://", *UV_NAMES.values())):
        raise StepFailed(
            f"{target.name} names an address: it would tie everyone to this machine's package index."
        )
    target.write_text(HEADER + content.removeprefix(HEADER))


def lock() -> None:
    folder = ROOT / "requirements"
    folder.mkdir(exist_ok=True)
    with_runtime = ("--constraint", "requirements/runtime.lock")
    compile_lock(folder / "runtime.lock", "pyproject.toml", "--all-extras")
    compile_lock(folder / "dev.lock", "pyproject.toml", "--all-extras", "--group", "dev", *with_runtime)
    for toolchain in ("go", "node"):
        compile_lock(folder / f"{toolchain}.lock", f"requirements/{toolchain}.in")


if __name__ == "__main__":
    sys.exit(main_of(lock))
