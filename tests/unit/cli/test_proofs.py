from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cli import proofs
from cli.failures import Failure


def test_canonical_bytes() -> None:
    assert proofs.canonical({"b": 1, "a": ["ü", None]}) == b'{"a":["\\u00fc",null],"b":1}\n'


def test_the_digest_is_over_all_else() -> None:
    content = proofs.sealed({"format": "f", "n": 1})
    assert content["sha256"] == proofs.digest({"format": "f", "n": 1})
    assert proofs.digest(content) == content["sha256"]


def test_files_are_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "d.json"
    proofs.write(path, {"n": 1})
    proofs.write(path, {"n": 2})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert proofs.read(path) == {"n": 2}
    assert [each.name for each in path.parent.iterdir()] == ["d.json"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="cannot be written"):
        proofs.write(tmp_path / "file" / "d.json", {})


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    with proofs.only_one(tmp_path / "lock", "rotation"):
        again = proofs.only_one(tmp_path / "lock", "rotation")
        with pytest.raises(Failure, match="another rotation is running"), again:
            raise AssertionError("held twice")
    with proofs.only_one(tmp_path / "lock", "rotation"):
        pass


def test_removing_nothing_is_nothing(tmp_path: Path) -> None:
    proofs.remove(tmp_path / "none")
