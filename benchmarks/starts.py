"""How long the processes take to serve, and their memory then."""

from __future__ import annotations

import tempfile
from statistics import median

from benchmarks.processes import serving
from benchmarks.registry import ROUTING, registry
from tests.support.servers.harness import instance
from tests.support.servers.ports import free_port


def starts(repetitions: int) -> None:
    """From exec to serving, and memory then."""
    readings: dict[str, list[tuple[float, float]]] = {"sidecar": [], "registry": [], "bare grpcio": []}
    with tempfile.NamedTemporaryFile() as answer:
        for _ in range(repetitions):
            with instance() as made, registry(made) as (kms, service):
                readings["sidecar"].append((kms.started_seconds, kms.memory_mb()))
                readings["registry"].append((service.started_seconds, service.memory_mb()))
            port = free_port()
            arguments = ["benchmarks.bare_server", str(port), f"{ROUTING}/GetRoutingSnapshot={answer.name}"]
            with serving(arguments, "bare serving", f"127.0.0.1:{port}") as bare:
                readings["bare grpcio"].append((bare.started_seconds, bare.memory_mb()))
    print(f"\n## Start-up and memory, medians of {repetitions}\n")
    print("| process | seconds to serving | MB resident |")
    print("|---|---|---|")
    for name, values in readings.items():
        print(f"| {name} | {median(s for s, _ in values):.2f} | {median(m for _, m in values):.0f} |")
