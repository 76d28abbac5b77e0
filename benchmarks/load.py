"""The client of the measurements: a Go program that knows bytes alone, on the clients' core."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from statistics import median

from benchmarks.processes import CLIENT_CORE, ROOT, Server, pin

WIRE = ROOT / ".tools" / "bin" / "wire"


@dataclass(frozen=True, slots=True)
class Reading:
    """One repetition: calls per second, server CPU and median latency in microseconds per call."""

    calls_per_second: float
    cpu_us: float
    p50_us: float


def measure(server: Server, method: str, request: bytes, *, calls: int, concurrency: int) -> Reading:
    """Make the calls, and fail if one fails."""
    before = server.cpu_seconds()
    done = subprocess.run(
        [*pin(CLIENT_CORE), str(WIRE), "call", "-address", server.address, "-method", f"/{method}",
         "-request", base64.b64encode(request).decode(), "-calls", str(calls),
         "-concurrency", str(concurrency)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{method}: {done.stderr}")
    cpu = server.cpu_seconds() - before
    report = json.loads(done.stdout)
    return Reading(calls / report["seconds"], cpu / calls * 1e6, report["p50_ns"] / 1000)


def medians(readings: list[Reading]) -> Reading:
    """Each figure's median over the repetitions."""
    return Reading(
        median(one.calls_per_second for one in readings),
        median(one.cpu_us for one in readings),
        median(one.p50_us for one in readings),
    )
