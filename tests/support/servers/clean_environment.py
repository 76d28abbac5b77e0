"""An environment that holds nothing but wheels of this repository and what they ask for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.servers.harness import ROOT

UV = Path(sys.executable).with_name("uv")
DISTRIBUTIONS = {
    "gen": "codevector-providers-protos",
    "sdk": "codevector-providers",
    ".": "codevector-provider-service",
}
"""The folders that wheels are built from."""


def call(*command: str | Path) -> str:
    """Return what the command printed; it must succeed."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def clean_environment(folder: Path, sources: Iterable[str]) -> Path:
    """Install the wheels of these folders in a new environment and return its interpreter, offline."""
    names = [DISTRIBUTIONS[source] for source in sources]
    for source in sources:
        call(UV, "build", "-q", "--wheel", "--no-build-isolation", "--out-dir", folder / "dist", source)
    environment = folder / "venv"
    call(UV, "venv", "-q", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    wheels = sorted((folder / "dist").glob("*.whl"))
    assert len(wheels) == len(names)
    call(UV, "pip", "install", "-q", "--offline", "--no-deps", "--python", python, *wheels)
    (site,) = environment.glob("lib/python*/site-packages")
    for distribution in _dependencies(names):
        _link(distribution, site)
    return python


def _dependencies(ours: Iterable[str]) -> Iterator[metadata.Distribution]:
    """Yield what the wheels need, and what that needs, as it is installed here."""
    waiting, seen = list(ours), set(ours)
    while waiting:
        name = waiting.pop()
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            needed = canonicalize_name(requirement.name)
            if needed not in seen and (
                requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            ):
                seen.add(needed)
                waiting.append(needed)
                yield metadata.distribution(needed)


def _link(distribution: metadata.Distribution, site: Path) -> None:
    for file in distribution.files or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(str(distribution.locate_file(file))))
