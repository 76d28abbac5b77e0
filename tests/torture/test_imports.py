"""What a process has imported when it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys, service.app, cli.running
ground = ("upstreams", "upstreams.addresses", "upstreams.kinds")
rooms = ("upstreams", "httpx", "httpcore", "botocore", "codevector_providers")
found = [
    name for name in sys.modules
    if name.partition(".")[0] in rooms and name not in ground and not name.startswith("upstreams.kinds.")
]
sys.exit(", ".join(found) or 0)
"""


def test_the_upstreams_room_is_not_entered_before_it_is_needed() -> None:
    """Its HTTP library is slow to import, and most registries are asked to test nothing."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
