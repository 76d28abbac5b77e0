"""A snapshot that was brought up to date is the one that would be built anew."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import pytest
from codevector.providers.v1 import routing_service_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from service.domain.history import RevisionToken
from service.domain.model import State
from service.domain.routing import (
    Change,
    ChangeSet,
    Entry,
    EntryKind,
    active_provider_model,
    routing_provider,
)
from service.readmodel import snapshot as snapshots
from service.readmodel.live import Newer
from service.readmodel.snapshot import Snapshot, SnapshotReason, build, encoded_sets
from service.rpc.routing_codec import CODEC
from service.store import Store, WriteUnit, migrate, open_store
from service.usecases.routing_source import routing_source
from tests.support.doubles.hand_log import change_set, commit_id, token
from tests.support.values.registry_values import (
    ManualClock,
    a_credential,
    a_provider,
    a_provider_model,
)

PROVIDERS = ("acme", "bolt", "corp")
MODELS = ("fast", "slow")


def provider_entry(provider_id: str, number: int) -> Entry:
    entry = routing_provider(a_provider(provider_id, labels={"n": str(number)}))
    assert entry is not None
    return entry


def model_entry(provider_id: str, model_id: str, number: int) -> Entry:
    model = a_provider_model(model_id, provider_id=provider_id, context_window=number)
    entry = active_provider_model(a_provider(provider_id), model)
    assert entry is not None
    return entry


@st.composite
def changes(draw: st.DrawFn) -> Change:
    provider_id, number = draw(st.sampled_from(PROVIDERS)), draw(st.integers(0, 5))
    model_id = draw(st.none() | st.sampled_from(MODELS))
    if model_id is None:
        entry = provider_entry(provider_id, number)
        kind = EntryKind.PROVIDER
    else:
        entry = model_entry(provider_id, model_id, number)
        kind = EntryKind.PROVIDER_MODEL
    return Change(kind, entry.name, entry if draw(st.booleans()) else None)


def advance(current: Snapshot, change_sets: Sequence[ChangeSet], head: int) -> Snapshot:
    """As the live table does it."""
    sets = encoded_sets(CODEC, current.store_id, change_sets)
    changes = [change for one in sets for change in one.changes]
    return snapshots.advance(CODEC, current, changes, token(head), commit_id(head))


def told(snapshot: Snapshot) -> tuple[object, ...]:
    """All that anybody learns from a snapshot, whatever its segments are."""
    tables = (snapshot.providers, snapshot.provider_models, snapshot.models)
    chunks = snapshot.chunks(SnapshotReason.INITIAL)
    assert pb.GetRoutingSnapshotResponse.FromString(snapshot.whole).snapshot == put_together(chunks)
    rows = [list(table.items()) for table in tables]
    return snapshot.at, snapshot.commit_id, snapshot.token, rows, snapshot.whole


def put_together(chunks: Sequence[bytes]) -> pb.RoutingSnapshot:
    parts = [pb.WatchRoutingResponse.FromString(chunk) for chunk in chunks]
    last = parts[-1]
    table = pb.RoutingSnapshot(revision=last.revision, store_id=last.store_id, token=last.token)
    for part in parts:
        table.providers.extend(part.snapshot_chunk.providers)
        table.provider_models.extend(part.snapshot_chunk.provider_models)
        table.models.extend(part.snapshot_chunk.models)
    return table


def built(revision: int, entries: Sequence[Entry]) -> Snapshot:
    return build(CODEC, token(revision), commit_id(revision), entries)


CHANGE_SETS = st.lists(st.lists(changes(), max_size=4).map(tuple), max_size=12)


def table_of(sets: list[tuple[Change, ...]]) -> list[Entry]:
    """What is left of all changes, in no particular order."""
    table = {change.name: change.entry for one in sets for change in one}
    entries = [entry for entry in table.values() if entry is not None]
    random.Random(len(sets)).shuffle(entries)
    return entries


class TestAdvance:
    @given(CHANGE_SETS, st.lists(st.integers(1, 4), min_size=12, max_size=12), st.integers(0, 3))
    def test_equals_building_anew(
        self, sets: list[tuple[Change, ...]], steps: list[int], repeated: int
    ) -> None:
        """In steps of any size, each of which may bring change sets that were applied before."""
        snapshot = built(0, [])
        numbered = [change_set(revision, *one) for revision, one in enumerate(sets, start=1)]
        while snapshot.revision < len(sets):
            begin = max(0, snapshot.revision - repeated)
            head = min(snapshot.revision + steps[snapshot.revision], len(sets))
            snapshot = advance(snapshot, numbered[begin:head], head)
        assert told(snapshot) == told(built(len(sets), table_of(sets)))

    def test_keeps_the_order_where_a_name_leaves_and_enters_again(self) -> None:
        fast, slow = (model_entry("acme", model_id, 1) for model_id in MODELS)
        before = built(1, [fast, slow])
        left = change_set(2, Change(EntryKind.PROVIDER_MODEL, fast.name, None))
        entered = change_set(3, Change(EntryKind.PROVIDER_MODEL, fast.name, fast))
        assert tuple(advance(before, [left, entered], 3).provider_models) == (fast.name, slow.name)

    def test_moves_the_revision_where_routers_see_nothing(self) -> None:
        before = built(1, [provider_entry("acme", 1)])
        after = advance(before, [], 5)
        assert after.revision == 5
        assert after.providers is before.providers
        assert after.whole != before.whole

    def test_shares_the_rows_that_did_not_change(self) -> None:
        entries = [model_entry("acme", model_id, 1) for model_id in MODELS]
        before = built(1, entries)
        left = change_set(2, Change(EntryKind.PROVIDER_MODEL, entries[0].name, None))
        after = advance(before, [left], 2)
        assert after.provider_model_rows == before.provider_model_rows[1:]
        assert after.provider_model_rows[0] is before.provider_model_rows[1]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(("create", "delete", "enable", "disable", "label", "seal", "add", "drop", "switch")),
        st.sampled_from(PROVIDERS),
        st.sampled_from(MODELS),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path_factory.mktemp('follow') / 'registry.db'}"
    migrate(url)
    with closing(open_store(url, clock=ManualClock())) as store:
        yield store


class TestFollowingTheStore:
    """Whatever is done to the store, following its change log leads to the table it has."""

    @given(operations=OPERATIONS, every=st.integers(1, 5))
    def test_leads_to_what_loading_gives(
        self, store: Store, operations: list[tuple[str, str, str]], every: int
    ) -> None:
        snapshot = loaded(store)
        for number, (operation, provider_id, model_id) in enumerate(operations):
            store.write(lambda unit, o=operation, p=provider_id, m=model_id: do(unit, o, p, m))  # type: ignore[misc]
            if number % every == 0:
                snapshot = followed(store, snapshot)
        assert told(followed(store, snapshot)) == told(loaded(store))


def loaded(store: Store) -> Snapshot:
    found = routing_source(store).load()
    return build(CODEC, found.at, found.commit_id, found.entries)


def followed(store: Store, snapshot: Snapshot) -> Snapshot:
    found = routing_source(store).changes(snapshot.at, snapshot.commit_id)
    assert isinstance(found, Newer)
    sets = encoded_sets(CODEC, snapshot.store_id, found.change_sets)
    changes = [change for one in sets for change in one.changes]
    content_id = sets[-1].at.content_id if sets else snapshot.at.content_id
    at = RevisionToken(snapshot.store_id, content_id, found.revision)
    return snapshots.advance(CODEC, snapshot, changes, at, found.commit_id)


def do(unit: WriteUnit, operation: str, provider_id: str, model_id: str) -> None:
    """One operation, or nothing where it does not apply."""
    provider, model = unit.providers.get(provider_id), unit.provider_models.get(provider_id, model_id)
    if provider is None:
        if operation == "create":
            unit.providers.insert(a_provider(provider_id), None)
        return
    match operation:
        case "delete":
            unit.providers.delete(provider)
        case "enable":
            unit.providers.update(provider, replace(provider, state=State.ACTIVE))
        case "disable":
            unit.providers.update(provider, replace(provider, state=State.DISABLED))
        case "label":
            unit.providers.update(provider, replace(provider, labels={"n": str(unit.revision)}))
        case "seal":
            view, sealed = a_credential(provider.credential.version + 1 if provider.credential else 1)
            unit.providers.update(provider, replace(provider, credential=view), sealed)
        case "add" if model is None:
            unit.provider_models.insert([a_provider_model(model_id, provider_id=provider_id)])
        case "drop" if model is not None:
            unit.provider_models.delete([model])
        case "switch" if model is not None:
            state = State.DISABLED if model.state is State.ACTIVE else State.ACTIVE
            unit.provider_models.update(model, replace(model, state=state))
