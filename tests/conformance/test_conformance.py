"""Every client library plays the same scenario, against real processes of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.player import Player
from tests.conformance.programs import PROGRAMS, started
from tests.support.servers.harness import running

SCENARIO: dict[str, Any] = json.loads((Path(__file__).parent / "scenario.json").read_text())


@pytest.mark.parametrize("language", PROGRAMS)
def test_scenario(language: str) -> None:
    with (
        running({"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"}) as instance,
        started(PROGRAMS[language], instance) as client,
    ):
        player = Player(instance, client)
        for chapter in SCENARIO["chapters"]:
            for number, step in enumerate(chapter["steps"], start=1):
                try:
                    player.play(step)
                except BaseException as error:
                    error.add_note(f"{language}, chapter {chapter['title']!r}, step {number}")
                    raise
        assert client.finish() == 0
