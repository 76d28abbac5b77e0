"""The lock files fit the pyproject.toml files, and tie nobody to a package index."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.lock import OWN_DISTRIBUTIONS
from tools.steps import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
ENTRY = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>\S+)", re.MULTILINE)


def versions(lock: Path) -> dict[str, str]:
    return {match["name"]: match["version"] for match in ENTRY.finditer(lock.read_text())}


def declared(folder: str, *, groups: bool) -> Iterator[Requirement]:
    content = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
    project = content["project"]
    texts = list(project.get("dependencies", []))
    for extra in project.get("optional-dependencies", {}).values():
        texts += extra
    if groups:
        for group in content.get("dependency-groups", {}).values():
            texts += group
    return (Requirement(text) for text in texts)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
class TestEachLock:
    def test_names_no_address(self, lock: Path) -> None:
        assert not re.search(r"://|--(index-url|extra-index-url|find-links|trusted-host)", lock.read_text())

    def test_every_entry_has_hashes(self, lock: Path) -> None:
        entries = re.split(r"^(?=\S)", lock.read_text(), flags=re.MULTILINE)
        without = [
            entry for entry in entries if "==" in entry.split("\n")[0] and "--hash=sha256:" not in entry
        ]
        assert without == []


@pytest.mark.parametrize(
    ("folder", "lock", "groups"),
    [
        pytest.param(".", "runtime.lock", False, id="container"),
        pytest.param("gen", "runtime.lock", False, id="container-messages"),
        pytest.param(".", "dev.lock", True, id="developer"),
        pytest.param("gen", "dev.lock", False, id="developer-messages"),
        pytest.param("sdk", "dev.lock", False, id="developer-sdk"),
    ],
)
def test_what_is_declared_is_locked(folder: str, lock: str, groups: bool) -> None:
    locked = versions(ROOT / "requirements" / lock)
    for requirement in declared(folder, groups=groups):
        name = canonicalize_name(requirement.name)
        if name not in OWN_DISTRIBUTIONS:
            assert requirement.specifier.contains(locked[name]), f"`make lock`: {requirement} is not met"


def test_what_is_tested_is_what_is_shipped() -> None:
    tested = versions(ROOT / "requirements" / "dev.lock")
    for name, version in versions(ROOT / "requirements" / "runtime.lock").items():
        assert tested[name] == version
