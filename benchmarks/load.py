"""The client of the measurements: ghz, a Go program, on the clients' core; a fixed number of calls."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from statistics import median

from benchmarks.processes import CLIENT_CORE, ROOT, Server, pin

GHZ = ROOT / ".tools" / "bin" / "ghz"
PROTOSET = ROOT / "gen" / "codevector" / "descriptors.binpb"


@dataclass(frozen=True, slots=True)
class Reading:
    """One repetition: calls per second, server CPU and median latency in microseconds per call."""

    calls_per_second: float
    cpu_us: float
    p50_us: float


def measure(server: Server, method: str, data: object, *, calls: int, concurrency: int) -> Reading:
    """Make the calls, and fail if one fails."""
    before = server.cpu_seconds()
    done = subprocess.run(
        [*pin(CLIENT_CORE), str(GHZ), "--insecure", "--protoset", str(PROTOSET), "--call", method,
         "--format", "json", "--total", str(calls), "--concurrency", str(concurrency), "--connections", "1",
         "--max-recv-message-size", str(64 << 20), "--data", json.dumps(data), server.address],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    cpu = server.cpu_seconds() - before
    report = json.loads(done.stdout)
    if report["statusCodeDistribution"] != {"OK": calls}:
        raise RuntimeError(f"{method}: {report['statusCodeDistribution']}")
    p50 = next(point["latency"] for point in report["latencyDistribution"] if point["percentage"] == 50)
    return Reading(report["rps"], cpu / calls * 1e6, p50 / 1000)


def medians(readings: list[Reading]) -> Reading:
    """Each figure's median over the repetitions."""
    return Reading(
        median(one.calls_per_second for one in readings),
        median(one.cpu_us for one in readings),
        median(one.p50_us for one in readings),
    )
