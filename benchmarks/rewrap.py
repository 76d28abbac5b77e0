"""Whole rotations while serving, in turn with the floor: bare rewraps and a bulk compare-and-swap."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import grpc
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc
from codevector.providers.v1 import system_service_pb2 as pb
from codevector.providers.v1 import system_service_pb2_grpc

from benchmarks.floor import BareRewrap, BulkSwap, FloorReading, bulk_swap, read_floor
from benchmarks.installation import fill, process, rotate, some_wrapped, verify
from benchmarks.keyrings import KEYRINGS
from benchmarks.processes import Server
from tests.support.servers.harness import instance

FLOOR_ITEMS = 20_000
UNWRAPS = 2000


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation: seconds, and CPU seconds of both processes."""

    seconds: float
    kms_cpu: float
    service_cpu: float


@dataclass(frozen=True, slots=True)
class Rig:
    """What is rotated, and by what means."""

    kms: Server
    service: Server
    admin: grpc.Channel
    system: system_service_pb2_grpc.SystemServiceStub

    def rotate(self) -> Rotation:
        kms, service = self.kms.cpu_seconds(), self.service.cpu_seconds()
        seconds = rotate(self.admin, self.system)
        return Rotation(seconds, self.kms.cpu_seconds() - kms, self.service.cpu_seconds() - service)


def rewrap(keyring: str, wrappers: int, rounds: int) -> None:
    """Rotate an installation of that many credentials, and measure each part of it."""
    with (
        KEYRINGS[keyring]() as measured,
        instance({"CODEVECTOR_LOG_LEVEL": "info", **measured.environment}) as made,
        process(made, "kms", "kms serving") as kms,
    ):
        fill(made, wrappers)
        items = min(wrappers, FLOOR_ITEMS)
        with (
            bulk_swap(made.home, items) as swap,
            measured.floor(_contexts(made.home, items)) as bare,
            process(made, "service", "service serving") as service,
            grpc.insecure_channel(made.address) as channel,
            grpc.insecure_channel(f"unix:{made.home}/kms/admin.sock") as admin,
            grpc.insecure_channel(f"unix:{made.router_socket}") as router,
        ):
            system = system_service_pb2_grpc.SystemServiceStub(channel)
            rig = Rig(kms, service, admin, system)
            alone = _unwraps(router, some_wrapped(made.home), threading.Event(), UNWRAPS)
            digest = system.DigestProviders(pb.DigestProvidersRequest())
            floors, rotations = _in_turn(rig, bare, swap, rounds)
            disturbed, during = _while_unwrapping(rig, router, some_wrapped(made.home))
            started = time.perf_counter()
            assert verify(system) == wrappers
            verify_seconds = time.perf_counter() - started
            assert system.DigestProviders(pb.DigestProvidersRequest()) == digest
    print(
        f"\n## Rotation: {wrappers:,} wrapped keys, SQLite, {measured.title}, two processes, "
        f"sweep by itself, medians of {rounds}\n"
    )
    _print_rates(wrappers, floors, rotations, disturbed, verify_seconds)
    print("| unwrap through the socket, one at a time | p50 ms | p99 ms |")
    print("|---|---|---|")
    for name, times in (("alone", alone), (f"during the sweep ({len(during):,} calls)", during)):
        cuts = quantiles(times, n=100)
        print(f"| {name} | {cuts[49] * 1e3:.2f} | {cuts[98] * 1e3:.2f} |")


def _in_turn(
    rig: Rig, bare: BareRewrap, swap: BulkSwap, rounds: int
) -> tuple[list[FloorReading], list[Rotation]]:
    floors, rotations = list[FloorReading](), list[Rotation]()
    for _ in range(rounds):
        for ours in random.sample([True, False], 2):
            if ours:
                rotations.append(rig.rotate())
            else:
                floors.append(read_floor(bare, swap))
    return floors, rotations


def _while_unwrapping(
    rig: Rig, router: grpc.Channel, items: Sequence[kms_pb2.WrappedDataKey]
) -> tuple[Rotation, list[float]]:
    """One more rotation, with the times of a client that unwraps all along."""
    done = threading.Event()
    during = list[float]()
    client = threading.Thread(target=lambda: during.extend(_unwraps(router, items, done, 1_000_000)))
    client.start()
    try:
        return rig.rotate(), during
    finally:
        done.set()
        client.join()


def _print_rates(
    wrappers: int,
    floors: list[FloorReading],
    rotations: list[Rotation],
    disturbed: Rotation,
    verify_seconds: float,
) -> None:
    crypto, swap = median(one.rewrap for one in floors), median(one.swap for one in floors)
    seconds = median(one.seconds for one in rotations)
    bare, rate = 1 / (crypto + swap), wrappers / seconds
    print("| what | per second | seconds | µs each | ratio to the floor |")
    print("|---|---|---|---|---|")
    print(f"| floor: bare rewrap | {1 / crypto:,.0f} | | {crypto * 1e6:.1f} | |")
    print(f"| floor: bulk compare-and-swap | {1 / swap:,.0f} | | {swap * 1e6:.1f} | |")
    print(f"| floor: both, in sequence | {bare:,.0f} | | {1e6 / bare:.1f} | 1.00 |")
    print(
        f"| requested until all moved | {rate:,.0f} | {seconds:.2f} | {1e6 / rate:.1f} | {rate / bare:.2f} |"
    )
    again = disturbed.seconds
    print(f"| the same while unwrapping | {wrappers / again:,.0f} | {again:.2f} | | |")
    print(f"| verified, every one | {wrappers / verify_seconds:,.0f} | {verify_seconds:.2f} | | |")
    kms, service = median(one.kms_cpu for one in rotations), median(one.service_cpu for one in rotations)
    print(
        f"\nCPU per wrapped key moved: sidecar {kms / wrappers * 1e6:.1f} µs, "
        f"registry {service / wrappers * 1e6:.1f} µs.\n"
    )


def _contexts(home: Path, items: int) -> list[bytes]:
    with closing(sqlite3.connect(home / "registry.db")) as connection:
        rows = connection.execute(
            "SELECT context FROM data_keys ORDER BY dek_id LIMIT ?", (items,)
        ).fetchall()
    return [context for (context,) in rows]


def _unwraps(
    router: grpc.Channel, items: Sequence[kms_pb2.WrappedDataKey], done: threading.Event, most: int
) -> list[float]:
    """Seconds of one unwrap after the other, until stopped."""
    stub = kms_grpc.KeyManagementServiceStub(router)
    times = list[float]()
    while len(times) < most and not done.is_set():
        request = kms_pb2.BatchUnwrapDataKeysRequest(
            items=[kms_pb2.UnwrapItem(wrapped=items[len(times) % len(items)])]
        )
        started = time.perf_counter()
        answer = stub.BatchUnwrapDataKeys(request)
        times.append(time.perf_counter() - started)
        assert answer.results[0].WhichOneof("outcome") == "plaintext"
    return times
