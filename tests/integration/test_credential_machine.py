"""Some runs of the state machine; `make torture` does more than 2,000."""

from __future__ import annotations

from pathlib import Path

from tests.support.storms.credential_machine import run
from tests.support.storms.disk_installation import make_template

RUNS = 80


def test_every_secret_opens_whatever_happens(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir(mode=0o700)
    make_template(template)
    run(template, runs=RUNS)
