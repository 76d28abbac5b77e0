"""The script for bash, sourced by a real one; the scripts for others where they are installed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from cli.line.completion import SCRIPTS

STUB = """
providerctl() {
    printf '%s\\n' "$@" > "$ASKED"
    printf 'openai-prod\\nopenai test\\tA sentence.\\n:files\\n'
}
COMP_WORDS=(providerctl provider get op) COMP_CWORD=3
_providerctl
printf '%s|' "${COMPREPLY[@]}"
"""


def test_bash(tmp_path: object) -> None:
    asked = f"{tmp_path}/asked"
    done = subprocess.run(
        ["bash", "--norc", "-c", SCRIPTS["bash"] + STUB],
        env={"ASKED": asked, "PATH": "/usr/bin:/bin"},
        cwd=str(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "openai-prod|openai test|"
    with open(asked) as file:
        assert file.read().split() == ["__complete", "--", "provider", "get", "op"]


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_each_script_is_one(shell: str) -> None:
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n", "-c", SCRIPTS[shell]], check=True)
