"""A writer killed at any moment: what it was told is committed is there, and nothing else is half there."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from service.domain.routing import EntryKind
from service.store import open_store
from tests.support.values.registry_values import ManualClock

WRITER = """
import sys
from datetime import UTC, datetime
from service.store import open_store
from tests.support.values.registry_values import a_credential, a_provider_model, a_provider

store = open_store(sys.argv[1], clock=lambda: datetime.now(UTC))
for number in range(10_000):
    provider_id = f"p{number}"
    view, sealed = a_credential()
    def work(unit):
        unit.providers.insert(a_provider(provider_id, credential=view), sealed)
        unit.provider_models.insert([a_provider_model(f"m{n}", provider_id=provider_id) for n in range(5)])
        return unit.revision
    print(provider_id, store.write(work), flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 20])
def test_loses_nothing_acknowledged(url: str, clock: ManualClock, acknowledged: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline().split() for _ in range(acknowledged)]
        writer.send_signal(signal.SIGKILL)
        told += [line.split() for line in writer.stdout if line.endswith("\n")]
    store = open_store(url, clock=clock)
    newest = store.read(lambda unit: unit.log.head()).revision
    providers = store.read(
        lambda unit: {
            f"p{n}": (unit.providers.get(f"p{n}"), unit.provider_models.of(f"p{n}")) for n in range(newest)
        }
    )
    sets = store.read(lambda unit: unit.log.changes_since(0))
    sealed = store.read(lambda unit: unit.providers.sealed_credentials(list(providers)))
    store.close()

    assert newest in (len(told), len(told) + 1)
    for provider_id, revision in told:
        provider, _ = providers[provider_id]
        assert provider is not None
        assert provider.revision == int(revision)
    assert all(provider is not None and len(models) == 5 for provider, models in providers.values())
    assert set(sealed) == set(providers)
    assert [change_set.revision for change_set in sets] == list(range(1, newest + 1))
    for change_set in sets:
        kinds = [change.kind for change in change_set.changes]
        assert kinds == [EntryKind.PROVIDER] + 5 * [EntryKind.PROVIDER_MODEL]
