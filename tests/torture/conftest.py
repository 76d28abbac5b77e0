"""What the long suites share: how far to go, and a line about each at the end (`make torture`)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_RESULT = "torture"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rounds", type=int, default=0, help="Rounds of each long suite, in place of its own number."
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Also with several workers: results come with the reports."""
    results = [
        f"{report.nodeid.partition('::')[2]}: {value}"
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == _RESULT
    ]
    if results:
        terminalreporter.section("results")
        for result in sorted(results):
            terminalreporter.write_line(result)


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """From a suite's own number of rounds to the number to run."""
    asked: int = request.config.getoption("--rounds")
    return lambda own: asked or own


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Put a line into the summary."""
    return lambda line: record_property(_RESULT, line)
