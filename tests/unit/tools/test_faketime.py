"""Where libfaketime is found, and what an account that cannot install it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools import faketime
from tools.steps import StepFailed


def test_is_found_whatever_the_machine_is_called(tmp_path: Path) -> None:
    library = tmp_path / "aarch64-linux-gnu" / "faketime" / "libfaketimeMT.so.1"
    library.parent.mkdir(parents=True)
    assert faketime.found(tmp_path) is None
    library.touch()
    assert faketime.found(tmp_path) == library


def test_who_cannot_install_it_is_told_what_to_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faketime, "found", lambda _root=None: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(StepFailed, match="apt-get install libfaketime"):
        faketime.provide()
