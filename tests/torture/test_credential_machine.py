"""More than 2,000 runs of the state machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.storms.credential_machine import STEPS, run
from tests.support.storms.disk_installation import make_template

PARTS = 4
RUNS = 512


@pytest.mark.parametrize("part", range(PARTS))
def test_2048_runs(
    tmp_path: Path, rounds: Callable[[int], int], tell: Callable[[str], None], part: int
) -> None:
    template = tmp_path / "template"
    template.mkdir(mode=0o700)
    make_template(template)
    run(template, runs=rounds(RUNS))
    tell(f"{rounds(RUNS)} runs of at most {STEPS} steps")
