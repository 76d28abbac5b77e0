from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from io import StringIO
from unittest.mock import create_autospec

import pytest

from kms.background import Upkeep, upkeep
from kms.keyring import KeyringUnavailable, KeyVersion, KeyVersions, VersionState
from runtime.logs import build_logger

DESTROYED = KeyVersion(
    "keyVersions/local-0123abcd-v1-89abcdef01234567",
    VersionState.DESTROYED,
    "AES_256_GCM",
    datetime(2026, 11, 23, tzinfo=UTC),
)


class Keeper:
    """Versions of which only ``destroy_due`` is called."""

    def __init__(self, *answers: list[KeyVersion] | KeyringUnavailable) -> None:
        self.answers = list(answers)

    def destroy_due(self) -> list[KeyVersion]:
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, KeyringUnavailable):
            raise answer
        return answer


@pytest.fixture
def log() -> StringIO:
    return StringIO()


def lines(log: StringIO) -> list[tuple[str, str]]:
    parsed = [json.loads(line) for line in log.getvalue().splitlines()]
    return [(line["event"], line.get("failure", line.get("key_version", ""))) for line in parsed]


def versions(*answers: list[KeyVersion] | KeyringUnavailable) -> KeyVersions:
    spec: KeyVersions = create_autospec(KeyVersions, instance=True)
    spec.destroy_due = Keeper(*answers).destroy_due  # type: ignore[method-assign]
    return spec


class TestUpkeep:
    def test_a_failure_is_told_when_it_begins_and_when_it_ends(self, log: StringIO) -> None:
        outcomes = ["", "away", "away", "sealed", ""]

        def refresh() -> None:
            if message := outcomes.pop(0):
                raise KeyringUnavailable(message)

        keeper = Upkeep(versions(), [refresh], build_logger(log, logging.INFO))
        for _ in range(5):
            keeper.round()
        assert lines(log) == [("kms_upkeep", "away"), ("kms_upkeep", "sealed"), ("kms_upkeep", "")]

    def test_one_that_fails_does_not_keep_the_others_from_theirs(self, log: StringIO) -> None:
        done: list[str] = []

        def refuse() -> None:
            raise KeyringUnavailable("away")

        keeper = Upkeep(
            versions([DESTROYED]), [refuse, lambda: done.append("second")], build_logger(log, logging.INFO)
        )
        keeper.round()
        assert done == ["second"]
        assert lines(log) == [("kms_upkeep", "away"), ("kms_key_version_destroyed", DESTROYED.name)]

    def test_a_bug_does_not_end_the_rounds_and_tells_its_type_alone(self, log: StringIO) -> None:
        done: list[str] = []

        def stumble() -> None:
            raise KeyError("hvs.token-in-a-text")

        keeper = Upkeep(versions(), [stumble, lambda: done.append("second")], build_logger(log, logging.INFO))
        keeper.round()
        keeper.round()
        assert done == ["second", "second"]
        assert lines(log) == [("kms_upkeep", "KeyError")]

    def test_a_destruction_that_could_not_be_done_is_tried_again(self, log: StringIO) -> None:
        keeper = Upkeep(
            versions(KeyringUnavailable("disk full"), [DESTROYED]), [], build_logger(log, logging.INFO)
        )
        keeper.round()
        keeper.round()
        assert lines(log) == [
            ("kms_upkeep", "disk full"),
            ("kms_key_version_destroyed", DESTROYED.name),
            ("kms_upkeep", ""),
        ]

    def test_runs_at_once_and_ends_with_its_context(self, log: StringIO) -> None:
        ran = threading.Event()
        with upkeep(versions(), [ran.set], build_logger(log, logging.INFO)):
            assert ran.wait(60)
            assert "kms-upkeep" in {thread.name for thread in threading.enumerate()}
        assert "kms-upkeep" not in {thread.name for thread in threading.enumerate()}
