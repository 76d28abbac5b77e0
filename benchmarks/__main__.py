"""`make bench`: what is measured, each against its limit in the same run. Prints Markdown tables."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import version

from benchmarks.attackers import ATTACKS
from benchmarks.attacks import attacks
from benchmarks.deletes import deletes
from benchmarks.imports import imports
from benchmarks.keyrings import DEFAULT_WRAPPERS, KEYRINGS
from benchmarks.latency import latency
from benchmarks.loads import loads
from benchmarks.mlflow_rotation import mlflow
from benchmarks.opens import opens
from benchmarks.peers import peers
from benchmarks.reads import reads
from benchmarks.replicas import replicas
from benchmarks.rewrap import rewrap
from benchmarks.sdk import sdk
from benchmarks.shared_writes import shared_writes
from benchmarks.sizes import sizes
from benchmarks.snapshots import snapshots
from benchmarks.starts import starts
from benchmarks.watch import watch
from benchmarks.writes import writes

DEFAULT = [
    "reads",
    "watch",
    "latency",
    "replicas",
    "opens",
    "writes",
    "shared",
    "imports",
    "deletes",
    "sdk",
    "starts",
    "attacks",
    "rewrap",
]
BY_NAME = ["sizes", "loads", "peers", "mlflow"]
"""What installs a peer or takes long, so is run only when asked for."""


def main() -> None:
    """Run what is asked for; by default all that needs no peer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*DEFAULT, *BY_NAME], default=DEFAULT)
    parser.add_argument(
        "--models", type=int, nargs="+", default=[1_000, 10_000], help="of the tables to read"
    )
    parser.add_argument("--calls", type=int, default=2000, help="of a repetition, in the smallest table")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--writes", type=int, default=200, help="of latency and replicas")
    parser.add_argument("--keyring", choices=list(KEYRINGS), default="local", help="what to rewrap in")
    parser.add_argument(
        "--wrappers", type=int, help="how many wrapped keys to rewrap: 100,000 locally, 20,000 in Vault"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of rotations and their floor in turn")
    parser.add_argument("--opens", type=int, default=20, help="how often 500 watchers come and go")
    parser.add_argument("--secrets", type=int, default=5000, help="to rotate here and in MLflow")
    parser.add_argument("--attacks", nargs="+", choices=list(ATTACKS), help="which of them; by default all")
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, grpcio {version('grpcio')}, protobuf {version('protobuf')}")
    print(_load("before"))
    if "reads" in options.what:
        snapshots(options.models, options.repetitions)
        reads(options.models, options.calls, options.repetitions)
    if "watch" in options.what:
        watch(options.repetitions)
    if "latency" in options.what:
        latency(options.writes)
    if "replicas" in options.what:
        replicas(options.writes)
    if "opens" in options.what:
        opens(options.opens)
    if "writes" in options.what:
        writes(200, options.repetitions)
    if "shared" in options.what:
        shared_writes(options.repetitions)
    if "imports" in options.what:
        imports(options.repetitions)
    if "deletes" in options.what:
        deletes(options.repetitions)
    if "sdk" in options.what:
        sdk(100_000, options.repetitions)
    if "starts" in options.what:
        starts(options.repetitions)
    if "attacks" in options.what:
        attacks(options.attacks)
    if "rewrap" in options.what:
        rewrap(options.keyring, options.wrappers or DEFAULT_WRAPPERS[options.keyring], options.rounds)
    if "sizes" in options.what:
        sizes([1_000, 10_000, 100_000], options.repetitions)
    if "loads" in options.what:
        loads(20_000)
    if "peers" in options.what:
        peers(options.repetitions)
    if "mlflow" in options.what:
        mlflow(options.secrets, options.rounds)
    print(f"\n{_load('after')}")


def _load(when: str) -> str:
    """Of the machine, our own included: what else runs here moves every figure."""
    return f"Load averages {when}: " + ", ".join(f"{load:.1f}" for load in os.getloadavg())


if __name__ == "__main__":
    main()
