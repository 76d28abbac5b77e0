"""How `make` decides what to install, and that it installs through the user's own index."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import setup
from tools.steps import ROOT, StepFailed, main_of

LISTING = r"""
global.index-url='https://first.example/simple'
global.cert='/etc/ssl/corporate.pem'
install.index-url='https://second.example/simple'
list.format='columns'
:env:.find-links='/no/such/folder https://wheels.example'
:env:.timeout='180'
""".strip()


class TestPipSettings:
    def test_later_lines_win_and_uv_hears_its_own_names(self) -> None:
        assert setup.uv_settings(LISTING, {}) == {
            "UV_DEFAULT_INDEX": "https://second.example/simple",
            "SSL_CERT_FILE": "/etc/ssl/corporate.pem",
            "UV_FIND_LINKS": "https://wheels.example",
            "UV_HTTP_TIMEOUT": "180",
        }

    def test_what_the_user_set_for_uv_stays(self) -> None:
        own = {"UV_DEFAULT_INDEX": "https://mine.example", "SSL_CERT_FILE": "/mine.pem"}
        assert not set(own) & set(setup.uv_settings(LISTING, own))

    def test_a_folder_that_does_not_exist_is_passed_over(self) -> None:
        assert setup.uv_settings(":env:.find-links='/no/such/folder'", {}) == {}

    @pytest.mark.parametrize("line", ["", "garbage", "global.cert=unquoted", "freeze.timeout='1'"])
    def test_other_lines_say_nothing(self, line: str) -> None:
        assert setup.uv_settings(line, {}) == {}


class TestStamp:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(setup, "STAMP", tmp_path / "made-from")

    def test_nothing_made_yet(self) -> None:
        assert not setup.is_current(setup.digest())

    def test_made_here_from_this(self) -> None:
        setup.STAMP.write_text(f"{ROOT}\n{setup.digest()}")
        assert setup.is_current(setup.digest())

    def test_made_from_something_else(self) -> None:
        setup.STAMP.write_text(f"{ROOT}\n{'0' * 64}")
        assert not setup.is_current(setup.digest())

    def test_made_in_another_folder(self) -> None:
        setup.STAMP.write_text(f"/moved/since\n{setup.digest()}")
        assert not setup.is_current(setup.digest())


class TestLockedEntry:
    def test_holds_one_version_and_its_hashes(self) -> None:
        lines = setup.locked_entry("uv").splitlines()
        assert lines[0].startswith("uv==")
        assert len(lines) > 1
        assert all(line.strip().startswith("--hash=sha256:") for line in lines[1:])
        assert not lines[-1].endswith("\\")


class TestFailures:
    def test_a_sentence_and_the_end_of_what_was_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        def work() -> None:
            raise StepFailed("check the network.", "\n".join(map(str, range(20))))

        assert main_of(work) == 1
        told = capsys.readouterr().err.splitlines()
        assert told[-1] == "setup: check the network."
        assert told[-2].strip() == "19"
        assert len(told) == 9

    def test_a_full_or_read_only_disk(self, capsys: pytest.CaptureFixture[str]) -> None:
        def work() -> None:
            raise PermissionError(13, "Permission denied", "/clone/.venv")

        assert main_of(work) == 1
        assert capsys.readouterr().err.startswith("setup: /clone/.venv: Permission denied; ")
