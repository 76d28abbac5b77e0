"""One change to many watchers: ours, a bare server in Python and one in Go, and etcd, in turn."""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from benchmarks import etcd
from benchmarks.limits import at_most
from benchmarks.processes import settled
from benchmarks.streams import Streams
from benchmarks.watched import Watched, bare_grpc_go, bare_grpcio, one_etcd, ours
from tools.steps import StepFailed

CASES = ((100, 100), (1_000, 1_000), (5_000, 5_000), (5_000, 50))
"""Watchers and their connections: one each, as routers have, and many on one, as behind a proxy."""
EVENTS = 5
"""In one turn."""
MODELS = 1_000
LIMIT = 1.2


@dataclass(slots=True)
class Figures:
    """Of one server in one case. ``last`` and ``call`` are milliseconds, ``cpu`` seconds, one per event."""

    watched: Watched
    alone_cpu: float
    kilobytes: float
    streams: Streams
    last: list[float] = field(default_factory=list)
    call: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def turn(self) -> None:
        """Some changes, in sequence."""
        for _ in range(EVENTS):
            before = self.watched.server.cpu_seconds()
            delivery = self.watched.deliver(self.streams)
            self.cpu.append(settled(self.watched.server).cpu_seconds() - before)
            self.last.append((delivery.last - self.watched.began(delivery)) / 1e6)
            self.call.append((delivery.answered - delivery.sent) / 1e6)

    @property
    def cpu_us(self) -> float:
        """What one watcher more costs in each event: the change itself is taken off."""
        return (median(self.cpu) - self.alone_cpu) / max(self.streams.served - 1, 1) * 1e6


def watch(repetitions: int) -> None:
    """Every case with fresh servers."""
    print(f"\n## Watch: one change to all; medians of {repetitions * EVENTS}, in {repetitions} turns\n")
    with_etcd = _has_etcd()
    print("| watchers, connections | server | served | opened in s | commit to last delivery, ms "
          "| the call, ms | CPU µs per event and watcher | kB per watcher | time to bare "
          "| memory to bare |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for watchers, connections in CASES:
        with ExitStack() as stack:
            _case(stack, watchers, connections, repetitions, with_etcd=with_etcd)


def _has_etcd() -> bool:
    try:
        etcd.install()
    except StepFailed as failure:
        print(f"Without etcd, which is not to be had here: {failure}.\n")
        return False
    return True


def _case(stack: ExitStack, watchers: int, connections: int, repetitions: int, *, with_etcd: bool) -> None:
    mine = stack.enter_context(ours(MODELS))
    with mine.streams(1, 1) as one:
        size = len(mine.deliver(one).message)
    others = [bare_grpcio(size), bare_grpc_go(size), *([one_etcd(size)] if with_etcd else [])]
    servers = [mine, *(stack.enter_context(each) for each in others)]
    alone = {each.name: _alone_cpu(each) for each in servers}
    figures: dict[str, Figures] = {}
    for each in random.sample(servers, len(servers)):
        before = settled(each.server).memory_mb()
        streams = stack.enter_context(each.streams(watchers, connections))
        grown = settled(each.server).memory_mb() - before
        figures[each.name] = Figures(each, alone[each.name], grown * 1e3 / max(streams.served, 1), streams)
    for _ in range(repetitions):
        for each in random.sample(servers, len(servers)):
            figures[each.name].turn()
    bare = figures["bare grpcio"]
    for each in servers:
        print(_row(f"{watchers:,}, {connections:,}", watchers, figures[each.name], bare), flush=True)


def _alone_cpu(watched: Watched) -> float:
    """CPU seconds of a change that one watcher gets."""
    cpu = []
    with watched.streams(1, 1) as streams:
        for _ in range(2 * EVENTS):
            before = watched.server.cpu_seconds()
            watched.deliver(streams)
            cpu.append(settled(watched.server).cpu_seconds() - before)
    return median(cpu)


def _row(case: str, watchers: int, one: Figures, bare: Figures) -> str:
    time, memory = median(one.last) / median(bare.last), one.kilobytes / bare.kilobytes
    mine = one.watched.name == "ours"
    return (
        f"| {case} | {one.watched.name} | {one.streams.served:,} of {watchers:,} "
        f"| {one.streams.seconds:.2f} | {median(one.last):.1f} | {median(one.call):.1f} "
        f"| {one.cpu_us:.1f} | {one.kilobytes:.1f} "
        f"| {at_most(time, LIMIT) if mine else f'{time:.2f}'} "
        f"| {at_most(memory, LIMIT) if mine else f'{memory:.2f}'} |"
    )
