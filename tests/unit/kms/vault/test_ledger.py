from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kms.files.generations import KeyringFile
from kms.files.private import make_private_directory
from kms.keyring import KeyringUnavailable, VersionState
from kms.vault.key import TransitAddress, TransitKey
from kms.vault.ledger import LEDGER_LIMIT, Ledger, LedgerError

ADDRESS = TransitAddress("transit", "codevector")
NOW = datetime(2026, 11, 23, 12, 0, 0, 999, tzinfo=UTC)
HOUR = timedelta(hours=1)
MADE = 1764000000


def key(*numbers: int, latest: int = 3, available: int = 0, made: int = MADE) -> TransitKey:
    created = {number: made + number for number in numbers}
    return TransitKey(ADDRESS, created, latest, available, min(numbers), 0, ())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make_private_directory(tmp_path / "kms")
    return tmp_path / "kms" / "transit.json"


@pytest.fixture
def file(path: Path) -> Iterator[KeyringFile]:
    with closing(KeyringFile(path, limit=LEDGER_LIMIT)) as file:
        yield file


def states(ledger: Ledger) -> list[tuple[int, str]]:
    return [(record.number, record.state.value) for record in ledger.records()]


class TestNote:
    def test_what_opens_and_which_is_primary(self, file: KeyringFile) -> None:
        ledger = Ledger(ADDRESS, file)
        ledger.note(key(1, 2, 3), NOW)
        assert states(ledger) == [(1, "DECRYPT_ONLY"), (2, "DECRYPT_ONLY"), (3, "PRIMARY")]

    def test_what_opens_no_more_is_disabled_since_it_was_noticed(self, file: KeyringFile) -> None:
        ledger = Ledger(ADDRESS, file)
        ledger.note(key(1, 2, 3), NOW)
        ledger.note(key(2, 3), NOW + HOUR)
        ledger.note(key(2, 3), NOW + 2 * HOUR)
        first = ledger.records()[0]
        assert (first.state, first.disable_time) == (VersionState.DISABLED, NOW.replace(microsecond=0) + HOUR)

    def test_what_opens_again_is_enabled(self, file: KeyringFile) -> None:
        ledger = Ledger(ADDRESS, file)
        for noted in (key(1, 2, 3), key(2, 3), key(1, 2, 3)):
            ledger.note(noted, NOW)
        first = ledger.records()[0]
        assert (first.state, first.disable_time) == (VersionState.DECRYPT_ONLY, None)

    def test_what_was_trimmed_is_destroyed_for_ever(self, file: KeyringFile) -> None:
        ledger = Ledger(ADDRESS, file)
        ledger.note(key(1, 2, 3), NOW)
        ledger.note(key(2, 3, available=2), NOW)
        ledger.note(key(2, 3, available=2), NOW + HOUR)
        assert states(ledger)[0] == (1, "DESTROYED")
        assert ledger.records()[0].destroy_time == NOW.replace(microsecond=0)

    def test_versions_of_a_key_that_was_made_anew_are_others(self, file: KeyringFile) -> None:
        ledger = Ledger(ADDRESS, file)
        ledger.note(key(1, 2, 3), NOW)
        ledger.note(key(1, latest=1, made=MADE + 500), NOW)
        assert states(ledger) == [(1, "DESTROYED"), (1, "PRIMARY"), (2, "DISABLED"), (3, "DISABLED")]


class TestFile:
    def test_another_process_reads_what_was_noted(self, path: Path) -> None:
        with closing(KeyringFile(path, limit=LEDGER_LIMIT)) as file:
            ledger = Ledger(ADDRESS, file)
            ledger.note(key(1, 2, 3), NOW)
            ledger.note(key(2, 3), NOW)
            ledger.put(replace(ledger.records()[1], request_id="r", expected_latest="keyVersions/x"))
            noted = ledger.records()
        with closing(KeyringFile(path, limit=LEDGER_LIMIT)) as file:
            assert Ledger(ADDRESS, file).records() == noted
        assert path.stat().st_mode & 0o777 == 0o600

    def test_nothing_is_written_where_nothing_changed(self, file: KeyringFile, path: Path) -> None:
        ledger = Ledger(ADDRESS, file)
        ledger.note(key(1, 2, 3), NOW)
        before = path.stat().st_ino
        ledger.note(key(1, 2, 3), NOW + HOUR)
        assert path.stat().st_ino == before

    def test_what_cannot_be_stored_is_not_noted(self, file: KeyringFile, path: Path) -> None:
        ledger = Ledger(ADDRESS, file)
        path.mkdir()
        with pytest.raises(KeyringUnavailable):
            ledger.note(key(1, 2, 3), NOW)
        assert ledger.records() == ()

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text[:-5],
            lambda text: text.replace("transit/codevector", "transit/another"),
            lambda text: text.replace('"format":1', '"format":2'),
            lambda text: text.replace('"PRIMARY"', '"WHATEVER"'),
            lambda text: text.replace(":", ": ", 1),
            lambda text: "[]\n",
            lambda text: json.dumps({"versions": [1]}),
        ],
        ids=["cut", "another key", "another format", "unknown state", "spaces", "a list", "not records"],
    )
    def test_a_damaged_one_is_refused(self, file: KeyringFile, path: Path, change: object) -> None:
        Ledger(ADDRESS, file).note(key(1, 2, 3), NOW)
        assert callable(change)
        path.write_text(change(path.read_text()))
        with pytest.raises(LedgerError, match="damaged or belongs to another key"):
            Ledger(ADDRESS, file)

    def test_in_memory_where_there_is_no_file(self) -> None:
        ledger = Ledger(ADDRESS, None)
        ledger.note(key(1, 2, 3), NOW)
        ledger.note(key(3), NOW)
        assert states(ledger) == [(1, "DISABLED"), (2, "DISABLED"), (3, "PRIMARY")]
