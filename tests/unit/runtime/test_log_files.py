"""Log files: bounded, few, and whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runtime.log_files import KEPT_FILES, LogFile, log_stream
from runtime.settings import SettingsError

LIMIT = 1_000
LINE = "{:099d}\n"
LINES_A_FILE = LIMIT // 100


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """Takes the place of stderr."""
    number = os.open(tmp_path / "stderr", os.O_WRONLY | os.O_CREAT)
    yield number
    os.close(number)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "service.log"


def files(path: Path) -> list[Path]:
    """The oldest first."""
    old = [path.with_name(f"{path.name}.{number}") for number in range(KEPT_FILES + 1, 0, -1)]
    return [file for file in (*old, path) if file.exists()]


def numbers(path: Path) -> list[int]:
    return [int(line) for file in files(path) for line in file.read_text().splitlines()]


class TestLogFile:
    def test_loses_no_line_and_cuts_none(self, path: Path, descriptor: int) -> None:
        log = LogFile(path, LIMIT, descriptor=descriptor)
        count = LINES_A_FILE * (KEPT_FILES + 1)
        for number in range(count):
            log.write(LINE.format(number))
        assert numbers(path) == list(range(count))
        assert [file.stat().st_size for file in files(path)] == [LIMIT] * (KEPT_FILES + 1)
        assert {file.stat().st_mode & 0o777 for file in files(path)} == {0o600}

    def test_keeps_the_newest(self, path: Path, descriptor: int) -> None:
        log = LogFile(path, LIMIT, descriptor=descriptor)
        for number in range(1_000):
            log.write(LINE.format(number))
        assert numbers(path) == list(range(1_000 - LINES_A_FILE * (KEPT_FILES + 1), 1_000))
        assert len(list(path.parent.iterdir())) == KEPT_FILES + 1

    def test_goes_on_in_the_file_that_is_there(self, path: Path, descriptor: int) -> None:
        for number in range(3):
            LogFile(path, LIMIT, descriptor=descriptor).write(LINE.format(number))
        assert (numbers(path), files(path)) == ([0, 1, 2], [path])

    def test_takes_a_line_that_is_longer_than_a_file(self, path: Path, descriptor: int) -> None:
        log = LogFile(path, LIMIT, descriptor=descriptor)
        for text in ("short\n", "x" * 3 * LIMIT + "\n", "short again\n"):
            log.write(text)
        assert [file.stat().st_size for file in files(path)] == [6, 3 * LIMIT + 1, 12]

    def test_what_others_write_to_the_descriptor_follows_and_counts(
        self, path: Path, descriptor: int
    ) -> None:
        log = LogFile(path, LIMIT, descriptor=descriptor)
        for number in range(LINES_A_FILE + 2):
            os.write(descriptor, LINE.format(2 * number).encode())
            log.write(LINE.format(2 * number + 1))
        assert numbers(path) == list(range(2 * LINES_A_FILE + 4))
        assert len(files(path)) == 3

    def test_threads_may_write(self, path: Path, descriptor: int) -> None:
        log = LogFile(path, LIMIT, descriptor=descriptor)
        count = LINES_A_FILE * (KEPT_FILES + 1)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: log.write(LINE.format(number)), range(count)))
        assert sorted(numbers(path)) == list(range(count))

    def test_without_a_new_file_the_old_one_grows(self, path: Path, descriptor: int) -> None:
        log = LogFile(path, LIMIT, descriptor=descriptor)
        in_the_way = path.with_name(f"{path.name}.new")
        in_the_way.mkdir()
        for number in range(3 * LINES_A_FILE):
            log.write(LINE.format(number))
        assert files(path) == [path]
        in_the_way.rmdir()
        log.write(LINE.format(3 * LINES_A_FILE))
        assert numbers(path) == list(range(3 * LINES_A_FILE + 1))
        assert len(files(path)) == 2

    def test_a_log_that_was_taken_away_is_made_again(self, path: Path, descriptor: int) -> None:
        log = LogFile(path, LIMIT, descriptor=descriptor)
        log.write(LINE.format(1))
        path.unlink()
        for number in range(LINES_A_FILE + 1):
            log.write(LINE.format(number))
        assert numbers(path)[-1] == LINES_A_FILE


def test_a_file_that_cannot_be_opened_is_refused_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"CODEVECTOR_LOG_FILE .* cannot be opened: Is a directory"):
        log_stream(tmp_path, LIMIT)
