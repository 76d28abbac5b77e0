"""What building a client takes in every language: whether it is current, and code from protos/."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools import client_protos
from tools.client_protos import descriptor_set, own_files
from tools.generate import PROTOS
from tools.steps import ROOT, TOOLS

FOLDER = ROOT / "clients"
TOOL_SOURCES = ROOT / "tools"

MADE = frozenset({"gen", "node_modules", "dist", "target"})
"""Folders that a client's build makes; git ignores them too."""


@dataclass(frozen=True, slots=True)
class Client:
    """One language. `name` is its folder under clients/; `outputs` exist once `build` has returned."""

    name: str
    title: str
    toolchain: str
    outputs: tuple[Path, ...]
    build: Callable[[], None]

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def stamp(self) -> Path:
        return TOOLS / "clients" / f"{self.name}.made-from"


def is_current(client: Client) -> bool:
    """Return whether it was built from the present sources, in this folder."""
    try:
        return client.stamp.read_text() == made_from(client) and all(path.exists() for path in client.outputs)
    except FileNotFoundError:
        return False


def mark_current(client: Client) -> None:
    client.stamp.parent.mkdir(parents=True, exist_ok=True)
    client.stamp.write_text(made_from(client))


def made_from(client: Client) -> str:
    """Return this folder's path and a digest of the client's sources, protos/ and tools/."""
    total = hashlib.sha256()
    for path in (path for folder in (client.folder, PROTOS, TOOL_SOURCES) for path in _sources(folder)):
        total.update(f"{path.relative_to(ROOT)}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"{ROOT}\n{total.hexdigest()}"


def generate(
    out: Path,
    *,
    protoc_options: Callable[[list[str]], list[str]],
    google_rpc: bool,
    protoc: Callable[..., object] = client_protos.protoc,
) -> None:
    """Replace the folder `out` with code generated from protos/.

    `protoc_options` maps the names of the files that code is generated for to the plugin's options. Files of
    google/rpc are among them if the language has no package of them.
    """
    files = descriptor_set()
    names = own_files(files)
    if google_rpc:
        names += [file.name for file in files.file if file.name.startswith("google/rpc/")]
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    with tempfile.NamedTemporaryFile(suffix=".binpb") as descriptors:
        descriptors.write(files.SerializeToString())
        descriptors.flush()
        protoc(f"--descriptor_set_in={descriptors.name}", *protoc_options(names), *names)


def _sources(folder: Path) -> Iterator[Path]:
    """Yield every file below in a fixed order, without what is generated or cached."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in MADE and name != "__pycache__")
        yield from (Path(parent, name) for name in sorted(names))
