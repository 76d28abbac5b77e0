"""docs/runbooks/backup-and-restore.md to the letter: backed up while it serves, lost, and restored."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.test_cli_keys import command, create, opened, versions
from tests.support.servers.harness import ROOT, Instance, instance, running

RUNBOOK = ROOT / "docs" / "runbooks" / "backup-and-restore.md"
QUIET = {"CODEVECTOR_LOG_LEVEL": "info"}


def scripts(heading: str) -> list[str]:
    """The shell blocks of a section, without those that only show what to type afterwards."""
    section = RUNBOOK.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)
    return [block for block in blocks if not block.startswith("providerctl")]


def follow(script: str, home: Path, places: Mapping[str, Path]) -> None:
    """Runs a block as its reader would."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "CODEVECTOR_HOME": str(home),
            **{name: str(path) for name, path in places.items()},
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    return {"FIRST": tmp_path / "first", "SECOND": tmp_path / "second"}


@contextmanager
def restored(places: Mapping[str, Path]) -> Iterator[Instance]:
    """Another installation that has nothing but what was backed up."""
    with instance(QUIET) as made:
        shutil.rmtree(made.home)
        for script in scripts("Restore"):
            follow(script, made.home, places)
        made.start_kms()
        made.start_service()
        yield made


def start_over(made: Instance) -> None:
    made.start_kms()
    made.start_service()


def sick(made: Instance) -> dict[str, str]:
    told = command(made, "doctor", "-o", "json")
    found = {each["subject"]: each["sentence"] for each in told.data if each["level"] == "FAILED"}
    assert told.code == (1 if found else 0)
    return found


def test_a_home_that_was_lost(places: dict[str, Path]) -> None:
    """Backed up between two rotations, with creates going on; everything of that moment opens again."""
    with running(QUIET) as made:
        keys = create(made, 20)
        assert command(made, "key", "rotate").code == 0
        later = threading.Thread(target=create, args=(made, 30), kwargs={"prefix": "late"})
        later.start()
        (script,) = scripts("Back up")
        follow(script, made.home, places)
        later.join(60)
        assert command(made, "key", "rotate").code == 0
        before = command(made, "key", "status", "-o", "json").data["encryption"]["deploymentId"]
    with restored(places) as made:
        assert sick(made) == {}
        assert command(made, "key", "audit", "verify").code == 0
        status = command(made, "key", "status", "-o", "json").data["encryption"]
        assert status["deploymentId"] == before
        assert 20 <= int(status["dataKeyCount"]) <= 50
        assert opened(made, *keys) == keys
        assert len(create(made, 1, prefix="new")) == 1
        assert command(made, "key", "rotate").code == 0


def test_neither_place_alone_holds_a_credential(places: dict[str, Path]) -> None:
    with running(QUIET) as made:
        keys = create(made, 3)
        (script,) = scripts("Back up")
        follow(script, made.home, places)
    for place in places.values():
        octets = b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
        assert not any(key.encode() in octets for key in keys.values())
    assert not {"unlock.key", "registry.secret", "audit.key"} & set(_names(places["FIRST"]))
    assert set(_names(places["SECOND"])) == {"unlock.key", "registry.secret", "audit.key"}


def test_a_database_of_before_a_rotation(places: dict[str, Path]) -> None:
    """Under a version that was retired since: enabled again, all of it is moved and proved."""
    with running(QUIET) as made:
        keys = create(made, 5)
        (script,) = scripts("Back up")
        follow(script, made.home, places)
        assert command(made, "key", "rotate").code == 0
        old = versions(made)[0]["name"]
        assert command(made, "key", "disable", old, "--confirm-unreferenced").code == 0
        made.stop_service()
        for part in made.home.glob("registry.db*"):
            part.unlink()
        follow(scripts("Restore")[1], made.home, places)
        made.start_service()
        found = sick(made)
        assert all("KEY_VERSION_UNAVAILABLE" in found[f"providers/{name}"] for name in keys)
        assert command(made, "key", "enable", old).code == 0
        told = command(made, "key", "rotate", "--release-quarantined", "-o", "json")
        assert told.code == 0, told.err
        assert opened(made, *keys) == keys
        assert sick(made) == {}


def test_a_keyring_of_before_a_version(places: dict[str, Path]) -> None:
    """Refused until the registry is told; then what the keyring still has opens."""
    with running(QUIET) as made:
        keys = create(made, 5)
        (script,) = scripts("Back up")
        follow(script, made.home, places)
        assert command(made, "key", "create").code == 0
        assert command(made, "key", "rewrap").code == 0
        made.stop_service()
        made.stop_kms()
        shutil.copy(places["FIRST"] / "keyring.json", made.home / "kms")
        start_over(made)
        assert "keyring" in sick(made)
        made.stop_service()
        (forget,) = scripts("Only the keyring is lost")
        follow(forget, made.home, places)
        made.start_service()
        assert sick(made) == {}
        assert opened(made, *keys) == keys


def _names(place: Path) -> list[str]:
    return [path.name for path in place.rglob("*") if path.is_file()]
