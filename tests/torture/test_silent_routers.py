"""Routers that say nothing more: their machine is gone, or they do not read. It takes a minute to notice."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import grpc
import pytest

from tests.integration.test_watch_faults import QUIET, WATCH_FOR_EVER, fill
from tests.support.servers.api import Api
from tests.support.servers.harness import ROOT, Instance, running, wait_until
from tests.support.servers.watching import NARROW, Watch, connect, watcher_count, watching

LONGEST_SECONDS = 100.0


@pytest.fixture(scope="module")
def made() -> Iterator[Instance]:
    with running(QUIET) as instance:
        yield instance


def test_a_client_that_answers_nothing_is_let_go(made: Instance, tell: Callable[[str], None]) -> None:
    """As when its machine lost power: its connection stays open until nobody answers the registry's pings."""
    with subprocess.Popen(
        [sys.executable, "-c", WATCH_FOR_EVER, made.address, "frozen"],
        cwd=ROOT,
        env=made.environment,
        stdout=subprocess.PIPE,
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"watching\n"
        client.send_signal(signal.SIGSTOP)
        try:
            wait_until(
                lambda: watcher_count(made, "frozen AND watching = true") == 0,
                seconds=LONGEST_SECONDS,
                what="a frozen client is let go",
            )
        finally:
            client.kill()
    tell("50 watches of a frozen client were let go")


def test_a_client_that_reads_nothing_is_cut_off(made: Instance, tell: Callable[[str], None]) -> None:
    """And is told why, should it ever read on; another that reads is not."""
    fill(Api(made))
    with connect(made.address, *NARROW) as channel, watching(made, watcher_id="reader") as reader:
        reader.snapshot()
        deaf = Watch(channel, request={"watcher_id": "deaf"})
        wait_until(lambda: watcher_count(made, "deaf") == 1, what="it watches")
        wait_until(
            lambda: watcher_count(made, "deaf AND watching = true") == 0,
            seconds=LONGEST_SECONDS,
            what="a client that reads nothing is cut off",
        )
        assert watcher_count(made, "reader AND watching = true") == 1
        refusal = deaf.end()
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCHER_STALLED")
    tell("a watch that was not read was cut off")
