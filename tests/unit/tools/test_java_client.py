"""What the Java client's build does on machines that lack a JDK or Maven."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.clients import java
from tools.steps import StepFailed


def put_program(folder: Path, name: str, text: str = "") -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)


class TestHasTools:
    @pytest.mark.parametrize(
        ("said", "enough"),
        [
            ("Apache Maven 3.8.7\nJava version: 17.0.15, vendor: Debian", True),
            ("Apache Maven 4.0.1\nJava version: 25, vendor: Debian", True),
            ("Apache Maven 3.6.3\nJava version: 17.0.15, vendor: Debian", False),
            ("Apache Maven 3.8.7\nJava version: 11.0.2, vendor: Debian", False),
            ("The JAVA_HOME environment variable is not defined correctly", False),
        ],
    )
    def test_asks_maven_for_both_versions(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, enough: bool
    ) -> None:
        put_program(tmp_path, "mvn", said)
        put_program(tmp_path, "javac")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert java.has_tools() is enough

    def test_a_runtime_without_a_compiler_is_no_jdk(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_program(tmp_path, "mvn", "Apache Maven 3.8.7\nJava version: 17.0.15, vendor: Debian")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert not java.has_tools()

    def test_nothing_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert not java.has_tools()


class TestInstallTools:
    def test_who_may_not_install_is_told_what_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(StepFailed, match=r"Debian: apt-get install openjdk-17-jdk-headless maven\)"):
            java.install_tools()

    def test_root_installs_them(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setenv("PATH", str(tmp_path))
        program = tmp_path / "apt-get"
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
        program.chmod(0o755)
        java.install_tools()
        update, install = (tmp_path / "asked").read_text().splitlines()
        assert update.startswith("update")
        assert install.endswith("openjdk-17-jdk-headless maven")


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "linux-x86_64"),
        ("Linux", "aarch64", "linux-aarch_64"),
        ("Darwin", "arm64", "osx-aarch_64"),
    ],
)
def test_platforms_are_named_as_protobuf_names_them(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, name: str
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert java.platform_name() == name
