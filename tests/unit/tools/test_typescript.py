"""Which Node builds and runs the TypeScript client, and what its lock file says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.clients import typescript


def put_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, **programs: str) -> None:
    """These programs alone, each saying its text."""
    for name, says in programs.items():
        (folder / name).write_text(f"#!/bin/sh\necho {says}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


class TestMachineNode:
    @pytest.mark.parametrize("version", ["v20.0.0", "v24.19.0"])
    def test_is_taken_where_it_is_new_enough(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
    ) -> None:
        put_on_path(tmp_path, monkeypatch, node=version, npm="11")
        found = typescript.machine_node()
        assert found == typescript.Node(tmp_path / "node", tmp_path / "npm")
        assert found.environment()["PATH"].split(":")[0] == str(tmp_path)

    @pytest.mark.parametrize(
        "programs",
        [
            pytest.param({"node": "v18.20.4", "npm": "10"}, id="too old"),
            pytest.param({"node": "nonsense", "npm": "10"}, id="not Node"),
            pytest.param({"node": "v22.1.0"}, id="without npm"),
            pytest.param({}, id="without Node"),
        ],
    )
    def test_is_not_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: dict[str, str]
    ) -> None:
        put_on_path(tmp_path, monkeypatch, **programs)
        assert typescript.machine_node() is None


def test_the_lock_ties_nobody_to_a_registry() -> None:
    packages = json.loads(typescript.LOCK.read_text())["packages"]
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert [name for name, entry in packages.items() if name and "integrity" not in entry] == []
