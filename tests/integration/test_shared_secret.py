"""One secret for all replicas: a process with another one does not start, and says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.postgresql import PostgresServer

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


class Home:
    """A data directory of a replica, and the commands of the registry in it."""

    def __init__(self, path: Path, url: str) -> None:
        self.secret = path / "registry.secret"
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self._environment = {**kept, "CODEVECTOR_HOME": str(path), "CODEVECTOR_DATABASE_URL": url}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            cwd=REPOSITORY,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def refusal(self, *arguments: str) -> str:
        finished = self.run(*arguments)
        assert (finished.returncode, finished.stdout) == (1, "")
        assert finished.stderr.count("\n") == 1
        return finished.stderr


def test_two_homes_on_one_database(tmp_path: Path, url: str) -> None:
    first, second = Home(tmp_path / "first", url), Home(tmp_path / "second", url)
    assert first.run("migrate").returncode == 0
    assert second.run("migrate").returncode == 0
    assert not second.secret.exists(), "the database is used with the first one's secret"
    assert "is missing" in second.refusal("serve")

    second.secret.touch(mode=0o600)
    second.secret.write_bytes(bytes(32))
    for command in ("migrate", "serve"):
        sentence = second.refusal(command)
        assert "not the one that this database is used with" in sentence
        assert "`python -m service secret adopt`" in sentence

    second.secret.write_bytes(first.secret.read_bytes())
    assert second.run("migrate").returncode == 0


def test_a_lost_secret(tmp_path: Path, url: str) -> None:
    home, replica = Home(tmp_path / "home", url), Home(tmp_path / "replica", url)
    assert home.run("migrate").returncode == 0
    replica.secret.parent.mkdir(mode=0o700)
    shutil.copy(home.secret, replica.secret)
    home.secret.unlink()
    adopted = home.run("secret", "adopt")
    assert adopted.returncode == 0
    assert f"{home.secret} is valid now" in adopted.stdout
    assert "void now: page tokens, previews of deletions, and request ids" in adopted.stdout
    assert home.run("migrate").returncode == 0
    assert "not the one" in replica.refusal("serve")
    assert home.run("secret").returncode == 2
    assert home.run("secret", "renew").returncode == 2
