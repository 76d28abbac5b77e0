"""Which Chromium the tests of the console get, and what a machine that cannot have one is told."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from tools import chromium
from tools.steps import StepFailed


def put_program(folder: Path, name: str, text: str, code: int = 0) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "UNPACKED", tmp_path / "unpacked")


class TestFound:
    def test_takes_the_one_on_path(self, tmp_path: Path) -> None:
        there = put_program(tmp_path, "chromium", "Chromium 156.0.8078.108")
        assert chromium.found() == there

    def test_passes_over_one_that_does_not_start(self, tmp_path: Path) -> None:
        put_program(tmp_path, "chromium", "libnss3.so: cannot open shared object file", 127)
        there = put_program(tmp_path, "google-chrome", "Google Chrome 156.0.8078.108")
        assert chromium.found() == there

    def test_takes_the_one_that_was_unpacked(self, tmp_path: Path) -> None:
        there = put_program(tmp_path, "unpacked", "Chromium 153.0.8010.0")
        assert chromium.found() == there

    def test_nothing_there(self) -> None:
        assert chromium.found() is None


class TestProvide:
    def test_who_cannot_have_one_is_told_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(platform, "machine", lambda: "riscv64")
        with pytest.raises(StepFailed, match=r"Debian: apt-get install chromium fonts-dejavu-core\)"):
            chromium.provide()
