"""Where CI runs, a test that did not run is a failure, so that no promise goes unchecked there.

And what must be so before any test imports gRPC.
"""

from __future__ import annotations

import os

import pytest

# Tests start processes by fork, some with a step of their own before exec. In a child that still has this
# process's gRPC, its handlers of forks would poll what is closed by then, and now and then abort the child.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"


def skipped(config: pytest.Config) -> int:
    """How many tests were skipped, all workers together."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return len(reporter.stats.get("skipped", ())) if isinstance(reporter, pytest.TerminalReporter) else 0


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") == "true" and skipped(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if os.environ.get("CI") == "true" and (count := skipped(config)):
        terminalreporter.write_line(f"CI: {count} skipped, which counts as failed", red=True)
