"""Every write carries its caller: what the store commits can be told whose it was."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from service import usecases

ITS_OWN = frozenset({"kms_state"})
"""What the registry records for itself, whoever happens to ask."""
MODULES = sorted(
    path for path in Path(usecases.__path__[0]).glob("*.py") if path.stem not in {"__init__", *ITS_OWN}
)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_use_cases_hand_their_call_to_the_store(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ctx.store.write":
            assert [ast.unparse(argument) for argument in node.args[1:]] == ["call"], ast.unparse(node)
