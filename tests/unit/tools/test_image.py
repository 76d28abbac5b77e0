"""The container image gets everything that the application's wheel is made from."""

from __future__ import annotations

import tomllib

from tools.steps import ROOT


def test_what_the_wheel_holds_is_copied_into_the_image() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    admitted = (ROOT / ".dockerignore").read_text().splitlines()
    for folder in (*wheel["packages"], *wheel["force-include"], "gen", "sdk"):
        assert f"!{folder}" in admitted
