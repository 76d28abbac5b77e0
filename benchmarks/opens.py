"""Watchers that come and go: the server's memory before and after thousands of them."""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack

from benchmarks.processes import settled
from benchmarks.watch import MODELS
from benchmarks.watched import Watched, bare_grpcio, ours

AT_ONCE = 500
SIZE = 300


def opens(rounds: int) -> None:
    """Each round opens watchers at once, which then leave, or in every second round are killed."""
    with ExitStack() as stack:
        servers = [stack.enter_context(each) for each in (ours(MODELS), bare_grpcio(SIZE))]
        memory = {each.name: [settled(each.server).memory_mb()] for each in servers}
        for number in range(rounds):
            for each in random.sample(servers, len(servers)):
                _round(each, kill=number % 2 == 1)
                memory[each.name].append(settled(each.server).memory_mb())
    shown = sorted({0, 1, 2, rounds // 4, rounds // 2, rounds})
    print(f"\n## Opens: {AT_ONCE} watchers at once, a connection each, who leave, {rounds} times\n")
    print("MB resident after so many had come and gone; every second time they were killed.\n")
    print("| server | " + " | ".join(f"{number * AT_ONCE:,}" for number in shown) + " |")
    print("|---|" + "---|" * len(shown))
    for name, values in memory.items():
        print(f"| {name} | " + " | ".join(f"{values[number]:.1f}" for number in shown) + " |")


def _round(watched: Watched, *, kill: bool) -> None:
    with watched.streams(AT_ONCE, AT_ONCE) as streams:
        assert streams.served == AT_ONCE, streams.failed
        if kill:
            os.kill(streams.pid, signal.SIGKILL)
