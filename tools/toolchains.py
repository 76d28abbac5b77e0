"""The toolchains that builds and tests need in addition to Python, and which of them this machine lacks.

Go and Node come from PATH or from the package index, a JDK and Maven from PATH or, for root on Debian, from
Debian's packages; Chromium from any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tools import chromium, go_tools
from tools.clients import java, typescript
from tools.steps import StepFailed

TOOLCHAINS: Mapping[str, Callable[[], object]] = {
    "chromium": chromium.provide,
    "go": go_tools.go,
    "java": java.provide_tools,
    "node": typescript.node,
}
"""What finds or installs each; it raises `StepFailed` with how to have it."""

VARIABLE = "CODEVECTOR_TESTS_WITHOUT"
"""Names the toolchains whose tests are to be skipped, separated by commas."""


def unavailable(toolchains: Mapping[str, Callable[[], object]] = TOOLCHAINS) -> dict[str, str]:
    """Find or install every toolchain; return those that this machine cannot have, each with what to do."""
    return dict(_refusals(toolchains))


def without(names: Sequence[str]) -> dict[str, str]:
    """Return the environment variable that has the tests of these toolchains skipped."""
    return {VARIABLE: ",".join(names)}


def _refusals(toolchains: Mapping[str, Callable[[], object]]) -> Iterator[tuple[str, str]]:
    for name, provide in toolchains.items():
        try:
            provide()
        except StepFailed as failure:
            yield name, str(failure)
