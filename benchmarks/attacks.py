"""What one client can do to the others: each attack as the load, while an honest client goes on."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from statistics import median

import grpc
from codevector.kms.v1 import key_management_service_pb2, key_management_service_pb2_grpc
from codevector.providers.v1 import routing_service_pb2 as routing_pb2
from codevector.providers.v1 import routing_service_pb2_grpc

from benchmarks.attackers import validation
from benchmarks.processes import CLIENT_CORE, ROOT, pin, program
from benchmarks.registry import PROVIDERS, ROUTING, fill
from tests.support.doubles.openai_upstream import serving as upstream
from tests.support.servers.harness import Instance, instance

MODELS = 5_000
WARM_SECONDS, PAUSE_SECONDS, CALL_SECONDS = 1.0, 0.05, 20.0
OPEN_FILES = 1_024
"""As many as systemd allows; both processes may have no more."""
P50_MS, MAX_MS, RESET_MAX_MS, MEMORY_MB = 20.0, 500.0, 1_000.0, 100.0

Extra = Callable[[Instance], str]


def _nothing(_: Instance) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Case:
    """One attack. ``around`` is the ground it needs, ``meanwhile`` what else an honest client tries."""

    shown: str
    name: str
    seconds: float = 4.0
    around: Callable[[Instance], AbstractContextManager[object]] = nullcontext
    meanwhile: Extra = _nothing
    sidecar: bool = False
    max_ms: float = MAX_MS


@dataclass(slots=True)
class Honest:
    """Calls of a client that does nothing wrong, each with its duration in milliseconds."""

    snapshots: list[float] = field(default_factory=list)
    lists: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    megabytes: float = 0.0


def attacks(names: list[str] | None = None) -> None:
    """Every attack against a registry of its own, or those that are named."""
    print(f"\n## Attacks: {MODELS:,} models, at most {OPEN_FILES:,} open files\n")
    print(
        "| attack | the attacker's own calls | snapshot p50 ms | max ms | ListProviders p50, max ms "
        "| MB more | failed | also |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for case in CASES:
        if names is None or case.name in names:
            with ExitStack() as stack:
                print(_row(case, *_measured(stack, case)), flush=True)


def _measured(stack: ExitStack, case: Case) -> tuple[Honest, str, str]:
    extra_environment = {"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1", "CODEVECTOR_LOG_LEVEL": "info"}
    made = stack.enter_context(instance(extra_environment))
    fill(made, MODELS)
    limited = ["prlimit", f"--nofile={OPEN_FILES}:{OPEN_FILES}", sys.executable, "-m"]
    kms = stack.enter_context(program([*limited, "kms"], "kms serving", "", made.environment))
    server = stack.enter_context(program([*limited, "service"], "service serving", "", made.environment))
    stack.callback(made.disconnect)
    made.connect()
    _probe(made, Honest(), time.perf_counter() + WARM_SECONDS)
    target = f"unix:{made.router_socket}" if case.sidecar else made.address
    attacked = kms if case.sidecar else server
    honest = Honest(megabytes=-attacked.memory_mb())
    with case.around(made), _attacking(case.name, target) as attacker:
        most = 0.0
        until = time.perf_counter() + case.seconds
        probing = threading.Thread(target=_probe, args=(made, honest, until))
        probing.start()
        also = case.meanwhile(made)
        while probing.is_alive():
            most = max(most, attacked.memory_mb())
            probing.join(PAUSE_SECONDS)
        honest.megabytes += max(most, attacked.memory_mb())
        did = attacker()
    return honest, did, also


@contextmanager
def _attacking(name: str, target: str) -> Iterator[Callable[[], str]]:
    """Attack from another process until the yielded function is called, which returns what was done."""
    command = [*pin(CLIENT_CORE), sys.executable, "-m", "benchmarks.attackers", name, target]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "attacking\n"
        output, given = child.stdout, child.stdin

        def ended() -> str:
            given.close()
            return output.readline().strip()

        try:
            yield ended
        finally:
            child.kill()


def _probe(made: Instance, honest: Honest, until: float) -> None:
    """Read as a router and as an administrator do, over one connection that was open before."""
    snapshot = _raw(made.channel, f"/{ROUTING}/GetRoutingSnapshot")
    listing = _raw(made.channel, f"/{PROVIDERS}/ListProviders")
    while time.perf_counter() < until:
        for call, durations in ((snapshot, honest.snapshots), (listing, honest.lists)):
            begun = time.perf_counter()
            try:
                call(b"", timeout=CALL_SECONDS)
            except grpc.RpcError as error:
                honest.failed.append(error.code().name)
            durations.append((time.perf_counter() - begun) * 1e3)
            time.sleep(PAUSE_SECONDS)


def _raw(channel: grpc.Channel | None, method: str) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
    """A call that parses nothing, which would take longer than the call."""
    assert channel is not None
    return channel.unary_unary(method)


@contextmanager
def _locked(made: Instance) -> Iterator[None]:
    """Hold the write lock of the database."""
    with closing(sqlite3.connect(made.home / "registry.db", isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        yield


def _timed(what: str, work: Callable[[], object]) -> str:
    begun = time.perf_counter()
    try:
        work()
        ended = ""
    except grpc.RpcError as error:
        ended = f" {error.code().name}"
    return f"{what}:{ended} {(time.perf_counter() - begun) * 1e3:,.0f} ms"


def _anew(address: str) -> grpc.Channel:
    return grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])


def _new_watch(made: Instance) -> str:
    """A router that has just been started."""
    with _anew(made.address) as channel:
        stub = routing_service_pb2_grpc.RoutingServiceStub(channel)
        request = routing_pb2.WatchRoutingRequest(watcher_id="honest")
        return _timed("new router", lambda: next(stub.WatchRouting(request, timeout=CALL_SECONDS)))


def _new_connection(made: Instance) -> str:
    """An administrator who has just begun to work."""
    with _anew(made.address) as channel:
        call = _raw(channel, f"/{PROVIDERS}/ListProviders")
        return _timed("new connection", lambda: call(b"", timeout=CALL_SECONDS, wait_for_ready=True))


def _honest_test(made: Instance) -> str:
    """A test of a connection whose upstream answers."""
    with upstream() as answering:
        request = validation(answering.port)
        return _timed("honest test", lambda: made.providers.ValidateProvider(request, timeout=30))


def _status(socket: str) -> Extra:
    def ask(made: Instance) -> str:
        with _anew(f"unix:{made.home / 'kms' / socket}") as channel:
            stub = key_management_service_pb2_grpc.KeyManagementServiceStub(channel)
            request = key_management_service_pb2.GetStatusRequest()
            return _timed(f"GetStatus at {socket}", lambda: stub.GetStatus(request, timeout=5))

    return ask


def _both(*extras: Extra) -> Extra:
    return lambda made: ", ".join(each(made) for each in extras)


CASES = (
    Case("4 long filters over and over", "filters"),
    Case("90 lists with long filters at once", "lists"),
    Case("1,000 silent reflection streams", "reflections"),
    Case("300 writes, the database locked", "writes", around=_locked),
    Case("200 answers that are not read", "unread"),
    Case("1,000 watches that are not read, one connection", "stalled-watches"),
    Case("requests reset at once: ListProviders", "reset-lists", max_ms=RESET_MAX_MS),
    Case("requests reset at once: WatchRouting", "reset-watches", max_ms=RESET_MAX_MS),
    Case("10,000 watches on one connection", "watches", 25.0, meanwhile=_new_watch),
    Case("reports of made-up watcher_ids", "ids"),
    Case("300 waits for 1,000 routers", "waits", 6.0),
    Case("40 tests of a silent upstream", "upstreams", meanwhile=_honest_test),
    Case("4,200 silent connections", "connections", meanwhile=_new_connection),
    Case(
        "sidecar: 16 silent reflection streams", "reflections", sidecar=True, meanwhile=_status("router.sock")
    ),
    Case(
        "sidecar: 4,200 silent connections to router.sock",
        "connections",
        sidecar=True,
        meanwhile=_both(_status("admin.sock"), _status("registry.sock")),
    ),
)


def _row(case: Case, honest: Honest, did: str, also: str) -> str:
    snapshots, lists = honest.snapshots, honest.lists
    return (
        f"| {case.shown} | {did} | {_at_most(median(snapshots), P50_MS)} "
        f"| {_at_most(max(snapshots), case.max_ms)} | {median(lists):.1f}, {max(lists):.0f} "
        f"| {_at_most(honest.megabytes, MEMORY_MB)} | {len(honest.failed)} of {len(snapshots) + len(lists)} "
        f"| {also} |"
    )


def _at_most(figure: float, limit: float) -> str:
    return f"{figure:.1f}, ≤ {limit:.0f} {'met' if figure <= limit else 'missed'}"
