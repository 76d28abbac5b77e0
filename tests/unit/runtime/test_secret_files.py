"""Files with one secret: who may read them, and what a refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.secret_files import LIMIT, read_secret_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("canary\n")
    path.chmod(0o600)
    return path


class TestReadSecretFile:
    def test_returns_the_text_without_its_line_break(self, file: Path) -> None:
        assert read_secret_file(file) == "canary"

    def test_follows_links_as_mounted_secrets_are(self, file: Path) -> None:
        link = file.with_name("link")
        link.symlink_to(file)
        assert read_secret_file(link) == "canary"

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
    def test_refuses_what_others_can_read(self, file: Path, mode: int) -> None:
        file.chmod(mode)
        with pytest.raises(ValueError, match="only this account"):
            read_secret_file(file)

    @pytest.mark.parametrize(
        ("octets", "says"),
        [(b"", "from 1 to"), (b"\n", "from 1 to"), (b"x" * (LIMIT + 1), "from 1 to"), (b"\xff", "UTF-8")],
        ids=["empty", "blank", "long", "no text"],
    )
    def test_refuses_what_is_no_secret(self, file: Path, octets: bytes, says: str) -> None:
        file.write_bytes(octets)
        with pytest.raises(ValueError, match=says):
            read_secret_file(file)

    def test_refuses_what_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="No such file"):
            read_secret_file(tmp_path / "nowhere")
        with pytest.raises(ValueError, match="plain file"):
            read_secret_file(tmp_path)
