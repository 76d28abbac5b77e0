"""Time from the response to a write until every watcher of the process has it."""

from __future__ import annotations

from statistics import quantiles

from benchmarks.watch import MODELS
from benchmarks.watched import ours

WATCHERS = 100


def latency(writes: int) -> None:
    """One write after the other, with a connection for each watcher."""
    from_answer, from_commit = [], []
    with ours(MODELS) as mine, mine.streams(WATCHERS, WATCHERS) as streams:
        assert streams.served == WATCHERS, streams.failed
        for _ in range(writes):
            delivery = mine.deliver(streams)
            from_answer.append((delivery.last - delivery.answered) / 1e6)
            from_commit.append((delivery.last - mine.began(delivery)) / 1e6)
    print(f"\n## Latency: {writes} writes, in sequence, {WATCHERS} watchers, one connection each\n")
    print("| until every watcher has it, from | p50 ms | p99 ms | had by all before the response |")
    print("|---|---|---|---|")
    for name, times in (("the response to the write", from_answer), ("its commit", from_commit)):
        cuts = quantiles(times, n=100)
        before = f"{sum(time < 0 for time in times)} of {writes}" if times is from_answer else ""
        print(f"| {name} | {cuts[49]:.2f} | {cuts[98]:.2f} | {before} |")
