"""The attacks themselves: ``python -m benchmarks.attackers NAME ADDRESS``, until its input ends.

Each runs in a process of its own, so that it does not slow down the client that is measured. It says
"attacking" once it is under way, and at the end how much it did.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final

import grpc
from codevector.providers.v1 import (
    provider_pb2,
    provider_service_pb2_grpc,
    routing_service_pb2_grpc,
    system_service_pb2_grpc,
)
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1 import routing_service_pb2 as routing_pb2
from codevector.providers.v1 import system_service_pb2 as system_pb2

from tests.support.servers.frames import NO_WINDOW, Frames, call, reset

ROUTING = "codevector.providers.v1.RoutingService"
PROVIDERS = "codevector.providers.v1.ProviderService"
REFLECTION = "grpc.reflection.v1.ServerReflection"
WORDS = 64
FILTERING, LISTING, STREAMS, WRITES, UNREAD, WATCHES, IDS = 4, 90, 1_000, 300, 200, 10_000, 50_000
WAITS, WATCHING, TESTS, CONNECTIONS = 300, 1_000, 40, 4_200
ON_ONE = 50
"""Watches on one connection, where there are to be many in all."""
RESETS_AT_ONCE = 100
LONG_SECONDS = 55.0

Done = threading.Event
Attack = Callable[[str, Done, ExitStack], Counter[str]]
"""Given the address; returns what it did, counted by outcome, once it is under way or `Done` is set."""


def _channel(address: str, stack: ExitStack, number: int = 0) -> grpc.Channel:
    """A connection of its own: gRPC shares one among channels with equal options."""
    options = [("grpc.max_receive_message_length", 64 << 20), ("benchmark.channel", number)]
    return stack.enter_context(grpc.insecure_channel(address, options=options))


def _under_way() -> None:
    print("attacking", flush=True)


def _repeat(count: int, work: Callable[[int], object], done: Done) -> Counter[str]:
    """Do it over and over in so many threads, and count how it ends."""
    counts: Counter[str] = Counter()

    def repeat(number: int) -> None:
        while not done.is_set():
            try:
                work(number)
                counts["OK"] += 1
            except grpc.RpcError as error:
                counts[error.code().name] += 1

    threads = [threading.Thread(target=repeat, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    _under_way()
    done.wait()
    return counts


def _hold(calls: Sequence[Any], done: Done) -> Counter[str]:
    """Let calls hang until the end, and count those that ended before."""
    _under_way()
    done.wait()
    ended = Counter(each.code().name for each in calls if each.done())
    return ended + Counter({"held": len(calls) - sum(ended.values())})


def filters(address: str, done: Done, stack: ExitStack) -> Counter[str]:
    """Repeat long filters over the routing table, each a new one."""
    stub = routing_service_pb2_grpc.RoutingServiceStub(_channel(address, stack))

    def ask(_: int) -> None:
        words = " OR ".join(f"w{random.randrange(10**6):06}" for _ in range(WORDS))
        stub.ListActiveProviderModels(routing_pb2.ListActiveProviderModelsRequest(filter=words), timeout=30)

    return _repeat(FILTERING, ask, done)


def lists(address: str, done: Done, stack: ExitStack) -> Counter[str]:
    """Have the database try long filters, many at once."""
    stub = provider_service_pb2_grpc.ProviderServiceStub(_channel(address, stack))

    def ask(_: int) -> None:
        words = " OR ".join(f"w{random.randrange(10**6):06}" for _ in range(WORDS))
        request = pb.ListProviderModelsRequest(parent="providers/bench", filter=words)
        stub.ListProviderModels(request, timeout=30)

    return _repeat(LISTING, ask, done)


def reflections(address: str, done: Done, stack: ExitStack) -> Counter[str]:
    """Open reflection streams and say nothing on them."""
    ask: grpc.StreamStreamMultiCallable[bytes, bytes] = _channel(address, stack).stream_stream(
        f"/{REFLECTION}/ServerReflectionInfo"
    )

    def silent() -> Iterator[bytes]:
        done.wait()
        yield from ()

    count = 16 if address.startswith("unix:") else STREAMS
    return _hold([ask(silent()) for _ in range(count)], done)


def writes(address: str, done: Done, stack: ExitStack) -> Counter[str]:
    """Write while the database is locked, which the caller sees to."""
    stub = provider_service_pb2_grpc.ProviderServiceStub(_channel(address, stack))
    request = pb.DisableProviderRequest(name="providers/bench", validate_only=True)
    return _hold([stub.DisableProvider.future(request, timeout=LONG_SECONDS) for _ in range(WRITES)], done)


def _untaken(method: str, count: int) -> Attack:
    """Ask for the whole table over and over on one connection, and take none of it."""

    def attack(address: str, done: Done, stack: ExitStack) -> Counter[str]:
        connection = stack.enter_context(Frames(address, settings=NO_WINDOW))
        threading.Thread(target=connection.answer_pings, daemon=True).start()
        for stream in range(1, 2 * count, 2):
            connection.send(call(stream, f"{ROUTING}/{method}"))
        _under_way()
        done.wait()
        return Counter({"sent": count})

    return attack


def _resets(method: str) -> Attack:
    def attack(address: str, done: Done, stack: ExitStack) -> Counter[str]:
        connections = 0
        streams = 0
        _under_way()
        while not done.is_set():
            connections += 1
            try:
                with Frames(address) as connection:
                    threading.Thread(target=connection.answer_pings, daemon=True).start()
                    for first in range(1, 1 << 30, 2 * RESETS_AT_ONCE):
                        numbers = range(first, first + 2 * RESETS_AT_ONCE, 2)
                        connection.send(b"".join(call(n, method) + reset(n) for n in numbers))
                        streams += RESETS_AT_ONCE
                        if done.is_set():
                            break
            except OSError:  # the server has ended the connection
                continue
        return Counter({"streams": streams, "connections": connections})

    return attack


def watches(address: str, done: Done, stack: ExitStack) -> Counter[str]:
    """Take all watches there are, on one connection."""
    stub = routing_service_pb2_grpc.RoutingServiceStub(_channel(address, stack))
    head = stub.GetRoutingSnapshot(routing_pb2.GetRoutingSnapshotRequest()).snapshot
    calls = []
    for number in range(WATCHES):
        request = routing_pb2.WatchRoutingRequest(watcher_id=f"made-up-{number}", resume_token=head.token)
        calls.append(stub.WatchRouting(request))
    _until_answered(calls)
    return _hold(calls, done)


def _until_answered(calls: Sequence[Any]) -> None:
    """Wait until each has begun, or ended."""
    for each in calls:
        with contextlib.suppress(grpc.RpcError):
            each.initial_metadata()


def ids(address: str, done: Done, stack: ExitStack) -> Counter[str]:
    """Report under ids that nobody has."""
    stub = routing_service_pb2_grpc.RoutingServiceStub(_channel(address, stack))
    numbers = itertools.count()

    def report(_: int) -> None:
        request = routing_pb2.ReportAppliedRevisionRequest(watcher_id=f"made-up-{next(numbers)}")
        stub.ReportAppliedRevision(request, timeout=30)

    return _repeat(8, report, done)


def waits(address: str, done: Done, stack: ExitStack) -> Counter[str]:
    """Wait for a revision that a thousand routers do not apply, over as many connections as that takes."""
    channels = [_channel(address, stack, number) for number in range(WATCHING // ON_ONE)]
    routing = [routing_service_pb2_grpc.RoutingServiceStub(each) for each in channels]
    head = routing[0].GetRoutingSnapshot(routing_pb2.GetRoutingSnapshotRequest()).snapshot
    watching = [
        routing[number % len(routing)].WatchRouting(
            routing_pb2.WatchRoutingRequest(
                watcher_id=f"silent-{number}", session=os.urandom(16), resume_token=head.token
            )
        )
        for number in range(WATCHING)
    ]
    _until_answered(watching)
    request = system_pb2.AwaitAppliedRevisionRequest(revision=head.revision)
    request.timeout.FromSeconds(int(LONG_SECONDS))
    system = [system_service_pb2_grpc.SystemServiceStub(each) for each in channels]
    calls = [
        system[number % len(system)].AwaitAppliedRevision.future(request, timeout=LONG_SECONDS + 4)
        for number in range(WAITS)
    ]
    return _hold(calls, done)


def upstreams(address: str, done: Done, stack: ExitStack) -> Counter[str]:
    """Test a provider whose upstream accepts and says nothing."""
    silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
    stub = provider_service_pb2_grpc.ProviderServiceStub(_channel(address, stack))
    request = validation(silent.getsockname()[1])
    return _repeat(TESTS, lambda _: stub.ValidateProvider(request, timeout=30), done)


def validation(port: int) -> pb.ValidateProviderRequest:
    """Return the test of a provider at a port of this machine."""
    config = provider_pb2.ProviderConfig(
        openai_compatible=provider_pb2.OpenAICompatibleConfig(base_url=f"http://127.0.0.1:{port}/v1")
    )
    provider = provider_pb2.Provider(
        display_name="Test", kind=provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE, config=config
    )
    return pb.ValidateProviderRequest(
        provider=provider,
        candidate_credential=provider_pb2.CredentialInput(
            api_key=provider_pb2.ApiKeyCredential(api_key="sk-made-up-0123")
        ),
    )


def connections(address: str, done: Done, stack: ExitStack) -> Counter[str]:
    """Connect again and again, and say nothing."""
    counts: Counter[str] = Counter()
    for _ in range(CONNECTIONS):
        try:
            if address.startswith("unix:"):
                opened = socket.socket(socket.AF_UNIX)
                stack.enter_context(opened).settimeout(0.05)
                opened.connect(address.removeprefix("unix:"))
            else:
                host, _, port = address.rpartition(":")
                stack.enter_context(socket.create_connection((host, int(port)), 1.0))
            counts["connected"] += 1
        except OSError:
            counts["refused"] += 1
            break
    _under_way()
    done.wait()
    return counts


ATTACKS: Final[dict[str, Attack]] = {
    "filters": filters,
    "lists": lists,
    "reflections": reflections,
    "writes": writes,
    "unread": _untaken("GetRoutingSnapshot", UNREAD),
    "stalled-watches": _untaken("WatchRouting", STREAMS),
    "reset-lists": _resets(f"{PROVIDERS}/ListProviders"),
    "reset-watches": _resets(f"{ROUTING}/WatchRouting"),
    "watches": watches,
    "ids": ids,
    "waits": waits,
    "upstreams": upstreams,
    "connections": connections,
}


def _wait_for_end(done: Done) -> None:
    sys.stdin.read()
    done.set()


def main() -> None:
    """Attack until the input ends."""
    name, address = sys.argv[1:]
    done = threading.Event()
    threading.Thread(target=_wait_for_end, args=(done,), daemon=True).start()
    with ExitStack() as stack:
        counts = ATTACKS[name](address, done, stack)
        print(", ".join(f"{count:,} {what}" for what, count in sorted(counts.items())), flush=True)
        os._exit(0)  # thousands of calls are cancelled sooner by the kernel


if __name__ == "__main__":
    main()
