"""What the worst client of a registry and of its sidecar makes grow, and what a day of it would be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from tests.integration.test_refusals import AT_ONCE, REGISTRY, SIDECAR
from tests.integration.test_watch_faults import BIG_LABELS
from tests.support.servers.api import Api
from tests.support.servers.harness import PATIENCE_SECONDS, Instance, running

SECONDS = 60
DAY = 86_400
MIB = 1 << 20
CHANGE_LOG_MIB = 16


@pytest.fixture
def made() -> Iterator[Instance]:
    with running(
        {"CODEVECTOR_LOG_LEVEL": "info", "CODEVECTOR_CHANGE_LOG_MIB": str(CHANGE_LOG_MIB)}
    ) as instance:
        yield instance


def size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def growth(made: Instance, seconds: float, once: Callable[[], int]) -> tuple[float, dict[str, int]]:
    """Do something for so long. Returns how often it was done each second, and by how much files grew."""
    places = {"logs": made.home / "test-logs", "audit": made.home / "kms" / "audit"}
    before = {name: size(place) for name, place in places.items()}
    began, count = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        count += once()
    return count / (time.monotonic() - began), {
        name: size(place) - before[name] for name, place in places.items()
    }


def a_day(octets: int, seconds: float) -> str:
    return f"{octets / seconds * DAY / MIB:,.1f} MiB a day"


@pytest.mark.parametrize("target", ["registry", "sidecar"])
def test_refused_calls(
    made: Instance, target: str, rounds: Callable[[int], int], tell: Callable[[str], None]
) -> None:
    seconds = rounds(SECONDS)
    address, method = {
        "registry": (made.address, REGISTRY),
        "sidecar": (f"unix:{made.registry_socket}", SIDECAR),
    }[target]
    with grpc.insecure_channel(address) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)

        def once() -> int:
            for future in [call.future(b"", timeout=PATIENCE_SECONDS) for _ in range(AT_ONCE)]:
                assert future.exception(timeout=PATIENCE_SECONDS)
            return AT_ONCE

        rate, grown = growth(made, seconds, once)
    assert sum(grown.values()) < 10_000 + 100 * seconds
    tell(
        f"{rate:,.0f} refused a second: logs {a_day(grown['logs'], seconds)}, "
        f"audit {a_day(grown['audit'], seconds)}"
    )


def test_label_updates(made: Instance, rounds: Callable[[int], int], tell: Callable[[str], None]) -> None:
    seconds = rounds(SECONDS)
    api = Api(made)
    provider = api.create()
    numbers = iter(range(1_000_000))
    first = next(iter(BIG_LABELS))

    def once() -> int:
        nonlocal provider
        provider.labels.update({**BIG_LABELS, first: str(next(numbers))})
        provider = api.update(provider, "labels")
        return 1

    rate, grown = growth(made, seconds, once)
    database = made.home / "registry.db"
    taken = sum(file.stat().st_size for file in database.parent.glob("registry.db*"))
    assert taken < 4 * CHANGE_LOG_MIB * MIB
    tell(
        f"{rate:,.0f} updates a second: {taken / MIB:,.1f} MiB of database at a change log of "
        f"{CHANGE_LOG_MIB} MiB, logs {a_day(grown['logs'], seconds)}"
    )
