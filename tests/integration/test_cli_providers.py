"""``providerctl provider`` as a process, at a real terminal: what is typed without echo is not shown."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

from tests.support.servers.harness import ROOT, Instance, running

SECRET = "sk-canary-0123456789abcdefghijklmnop"
SECONDS = 120.0


def conversation(made: Instance, arguments: list[str], answers: dict[str, str]) -> tuple[int, str]:
    """Exit code, and all that the terminal showed. Each answer is typed once its question is there."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT,
        env={**made.environment, "TERM": "xterm", "NO_COLOR": "1"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
    )
    os.close(follower)
    shown, waiting, deadline = "", dict(answers), time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if not select.select([leader], [], [], 1.0)[0]:
            continue
        try:
            shown += os.read(leader, 65536).decode()
        except OSError:  # EIO: the last one that held the other end is gone
            break
        for question in [each for each in waiting if each in shown]:
            os.write(leader, f"{waiting.pop(question)}\n".encode())
    os.close(leader)
    return child.wait(SECONDS), shown


def test_create_asks_for_what_is_missing_and_shows_no_secret() -> None:
    with running() as made:
        answers = {"Kind: ": "groq", "Name [groq]: ": "mine", "not shown): ": SECRET}
        code, shown = conversation(made, ["provider", "create"], answers)
        assert code == 0, shown
        assert "created providers/mine at revision 1" in shown
        assert SECRET not in shown
        code, shown = conversation(made, ["provider", "delete", "mine"], {"(mine): ": "mine"})
        assert code == 0, shown
        assert "deleted providers/mine at revision " in shown
