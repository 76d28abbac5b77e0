"""When a router tells what it has applied, by a clock that the tests hold."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from codevector_providers._registry import Registry
from codevector_providers._reports import Reports
from google.rpc import code_pb2

from tests.support.doubles import registry_double
from tests.support.doubles.registry_double import PATIENCE_SECONDS, RegistryDouble

JITTER = 0.25


@dataclass
class Bench:
    registry: RegistryDouble
    reports: Reports
    now: float = 100.0

    def send(self) -> None:
        """Send the report that is due now, and wait for its outcome."""
        assert self.reports.due <= self.now
        self.reports.send()
        flight = self.reports._flight
        assert flight is not None
        landed = threading.Event()
        flight[0].add_done_callback(lambda call: landed.set())
        assert landed.wait(PATIENCE_SECONDS)

    @property
    def told(self) -> list[str]:
        return [report.token for report in self.registry.reports]


@pytest.fixture
def bench() -> Iterator[Bench]:
    double = RegistryDouble()
    with registry_double.serving(double) as address:
        registry = Registry(
            address,
            deadline_seconds=PATIENCE_SECONDS,
            channel_credentials=None,
            token=None,
            max_reconnect_seconds=0.1,
        )
        reports = Reports(registry, "me", b"s" * 16, clock=lambda: made.now, random=lambda: JITTER)
        made = Bench(double, reports)
        try:
            yield made
        finally:
            registry.close()


def test_nothing_is_due_before_there_is_a_table(bench: Bench) -> None:
    assert bench.reports.due == math.inf


def test_soon_after_it_is_in_use(bench: Bench) -> None:
    bench.reports.notice("s@1")
    assert bench.reports.due == 100 + JITTER
    bench.now += 1
    bench.send()
    assert bench.told == ["s@1"]
    (report,) = bench.registry.reports
    assert (report.watcher_id, report.token, report.stopping) == ("me", "s@1", False)
    assert report.session == b"s" * 16


def test_of_several_within_a_second_the_last(bench: Bench) -> None:
    bench.reports.notice("s@1")
    bench.now += 0.1
    bench.reports.notice("s@2")
    bench.reports.notice("s@3")
    assert bench.reports.due == 100 + JITTER
    bench.now += 0.15
    bench.send()
    bench.now += 0.1
    bench.reports.notice("s@4")
    assert bench.reports.due == 100 + JITTER + 1
    bench.now += 1
    bench.send()
    assert bench.told == ["s@3", "s@4"]


def test_the_same_is_not_told_twice(bench: Bench) -> None:
    bench.reports.notice("s@1")
    bench.now += 1
    bench.send()
    bench.reports.notice("s@1")
    assert bench.reports.due == math.inf
    bench.reports.notice("other@1")
    assert bench.reports.due < math.inf


def test_what_failed_is_told_with_the_next_message(bench: Bench) -> None:
    bench.registry.abort = registry_double.status(code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE")
    bench.reports.notice("s@1")
    bench.now += 1
    bench.send()
    bench.registry.abort = None
    bench.reports.notice("s@1")
    assert bench.reports.due < math.inf
    bench.now += 1
    bench.send()
    assert bench.told == ["s@1"]


def test_after_the_watch_was_taken_up_again_it_is_told_again(bench: Bench) -> None:
    bench.reports.notice("s@1")
    bench.now += 1
    bench.send()
    bench.reports.forget()
    bench.reports.notice("s@1")
    bench.now += 1
    bench.send()
    assert bench.told == ["s@1", "s@1"]


def test_a_registry_that_is_away_does_not_keep_a_router_from_stopping(bench: Bench) -> None:
    bench.registry.abort = registry_double.status(code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE")
    bench.reports.stop()
    assert bench.told == []
