"""When a client in another language is built anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.clients import __main__ as clients
from tools.clients import builds
from tools.clients.builds import Client, is_current, mark_current
from tools.steps import StepFailed


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client whose build was marked as done, in a repository of its own."""
    for name, folder in (
        ("ROOT", ""),
        ("FOLDER", "clients"),
        ("PROTOS", "protos"),
        ("TOOL_SOURCES", "tools"),
    ):
        monkeypatch.setattr(builds, name, tmp_path / folder)
    monkeypatch.setattr(builds, "TOOLS", tmp_path / ".tools")
    for source in ("clients/c/main.c", "protos/a.proto", "tools/build.py"):
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / source).write_text("1")
    output = tmp_path / "program"
    output.touch()
    client = Client("c", "C", "cc", (output,), build=lambda: None)
    mark_current(client)
    return client


class TestIsCurrent:
    def test_right_after_a_build(self, client: Client) -> None:
        assert is_current(client)

    def test_never_built(self, client: Client) -> None:
        client.stamp.unlink()
        assert not is_current(client)

    @pytest.mark.parametrize(
        "source", ["clients/c/main.c", "clients/c/new.c", "protos/a.proto", "tools/build.py"]
    )
    def test_not_after_a_source_changed(self, client: Client, tmp_path: Path, source: str) -> None:
        (tmp_path / source).write_text("2")
        assert not is_current(client)

    def test_not_without_what_was_built(self, client: Client) -> None:
        client.outputs[0].unlink()
        assert not is_current(client)

    @pytest.mark.parametrize("made", ["clients/c/gen/a.c", "clients/c/target/a.o", "tools/__pycache__/a.pyc"])
    def test_what_builds_leave_behind_is_no_source(self, client: Client, tmp_path: Path, made: str) -> None:
        (tmp_path / made).parent.mkdir()
        (tmp_path / made).touch()
        assert is_current(client)


def test_a_client_that_is_not_there_is_named_in_a_sentence() -> None:
    with pytest.raises(StepFailed, match="client cobol not found: choose from go"):
        clients.main(["cobol"])
