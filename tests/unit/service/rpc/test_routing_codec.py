"""Answers joined from ready rows are the bytes of the messages they stand for."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from codevector.providers.v1 import routing_service_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from service.domain.model import (
    CredentialType,
    ModelBackend,
    ModelCapability,
    ModelKind,
    Pricing,
    PricingTier,
    ProviderConfig,
    ProviderKind,
)
from service.domain.routing import ActiveModel, ActiveProviderModel, Entry, EntryKind, RoutingProvider
from service.readmodel.segments import Row
from service.readmodel.snapshot import RowChange, SnapshotReason
from service.rpc import routing_codec
from service.rpc.routing_codec import (
    CHUNK_BYTES,
    NOT_MODIFIED,
    encode_bookmark,
    encode_change_set,
    encode_chunks,
    encode_page,
    encode_rows,
    encode_segment,
    encode_whole,
)
from tests.support.doubles.hand_log import ONE, token
from tests.support.values.registry_values import START

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
LABELS = st.dictionaries(TEXT, TEXT, max_size=3)
PRICE = st.none() | st.sampled_from(["0", "0.10", "123456789.123456789012"])
NUMBERS = st.integers(0, 2**31 - 1)
PRICES = dict.fromkeys(("input", "output", "cached_input", "cache_write"), PRICE)
TIERS = st.builds(PricingTier, above_input_tokens=st.integers(1, 10**8), **PRICES)
PRICING = st.none() | st.builds(
    Pricing, currency_code=st.just("USD"), tiers=st.lists(TIERS, max_size=2).map(tuple), **PRICES
)
PROVIDERS = st.builds(
    RoutingProvider,
    name=TEXT,
    uid=st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number)),
    kind=st.just(ProviderKind.OPENAI_COMPATIBLE),
    display_name=TEXT,
    config=st.builds(ProviderConfig, values=st.just({"base_url": "https://x.example.com"}), headers=LABELS),
    credential_type=st.none() | st.sampled_from(CredentialType),
    credential_version=st.integers(0, 2**63 - 1),
    labels=LABELS,
)
PROVIDER_MODELS = st.builds(
    ActiveProviderModel,
    name=TEXT,
    provider=TEXT,
    provider_kind=st.sampled_from(ProviderKind),
    upstream_model_id=TEXT,
    kind=st.sampled_from(ModelKind),
    context_window=NUMBERS,
    max_output_tokens=NUMBERS,
    embedding_dimensions=NUMBERS,
    pricing=PRICING,
    capabilities=st.lists(st.sampled_from(ModelCapability), unique=True).map(tuple),
    labels=LABELS,
)
BACKENDS = st.builds(
    ModelBackend,
    provider_id=TEXT,
    provider_model_id=TEXT,
    priority=st.integers(0, 100),
    weight=st.integers(1, 10_000),
)
MODELS = st.builds(
    ActiveModel,
    name=TEXT,
    kind=st.sampled_from(ModelKind),
    backends=st.lists(BACKENDS, max_size=3).map(tuple),
    labels=LABELS,
)


def message_of(
    row: bytes, kind: type[pb.RoutingProvider] | type[pb.ActiveProviderModel] | type[pb.ActiveModel]
) -> bytes:
    """The bytes after a row's length, which must be all of them."""
    length, shift = 0, 0
    while row[shift // 7] >= 0x80:
        length |= (row[shift // 7] & 0x7F) << shift
        shift += 7
    length |= row[shift // 7] << shift
    body = row[shift // 7 + 1 :]
    assert len(body) == length
    kind.FromString(body)
    return body


def encode_row(entry: Entry) -> bytes:
    [row] = encode_rows([entry])
    return row


class TestWhole:
    @given(
        st.integers(0, 2**62),
        st.lists(PROVIDERS, max_size=3),
        st.lists(PROVIDER_MODELS, max_size=3),
        st.lists(MODELS, max_size=3),
    )
    def test_is_the_message_built_from_scratch(
        self,
        revision: int,
        providers: list[RoutingProvider],
        provider_models: list[ActiveProviderModel],
        models: list[ActiveModel],
    ) -> None:
        provider_rows = [encode_row(one) for one in providers]
        provider_model_rows = [encode_row(one) for one in provider_models]
        model_rows = [encode_row(one) for one in models]
        expected = pb.GetRoutingSnapshotResponse()
        expected.snapshot.SetInParent()
        expected.snapshot.revision, expected.snapshot.store_id = revision, str(ONE)
        expected.snapshot.token = str(token(revision))
        for row in provider_rows:
            expected.snapshot.providers.add().MergeFromString(message_of(row, pb.RoutingProvider))
        for row in provider_model_rows:
            expected.snapshot.provider_models.add().MergeFromString(message_of(row, pb.ActiveProviderModel))
        for row in model_rows:
            expected.snapshot.models.add().MergeFromString(message_of(row, pb.ActiveModel))
        segments = [
            encode_segment(EntryKind.PROVIDER, provider_rows),
            encode_segment(EntryKind.PROVIDER_MODEL, provider_model_rows[:1]),
            encode_segment(EntryKind.PROVIDER_MODEL, provider_model_rows[1:]),
            encode_segment(EntryKind.MODEL, model_rows),
        ]
        whole = encode_whole(token(revision), segments)
        assert pb.GetRoutingSnapshotResponse.FromString(whole) == expected
        assert len(whole) == expected.ByteSize()

    def test_of_nothing_is_a_snapshot_all_the_same(self) -> None:
        answer = pb.GetRoutingSnapshotResponse.FromString(encode_whole(token(0), []))
        assert answer.HasField("snapshot")

    def test_not_modified(self) -> None:
        answer = pb.GetRoutingSnapshotResponse.FromString(NOT_MODIFIED)
        assert answer == pb.GetRoutingSnapshotResponse(not_modified=True)


class TestRow:
    @given(PROVIDERS)
    def test_of_a_provider_has_every_field(self, entry: RoutingProvider) -> None:
        message = pb.RoutingProvider.FromString(message_of(encode_row(entry), pb.RoutingProvider))
        assert (message.name, message.uid) == (entry.name, str(entry.uid))
        assert int(message.kind) == entry.kind
        assert message.display_name == entry.display_name
        assert dict(message.config.openai_compatible.headers) == entry.config.headers
        assert message.credential_type == (entry.credential_type or 0)
        assert message.credential_version == entry.credential_version
        assert dict(message.labels) == entry.labels

    @given(PROVIDER_MODELS)
    def test_of_a_provider_model_has_every_field(self, entry: ActiveProviderModel) -> None:
        message = pb.ActiveProviderModel.FromString(message_of(encode_row(entry), pb.ActiveProviderModel))
        for field in ("name", "provider", "provider_kind", "upstream_model_id", "kind"):
            assert getattr(message, field) == getattr(entry, field)
        for field in ("context_window", "max_output_tokens", "embedding_dimensions"):
            assert getattr(message, field) == getattr(entry, field)
        assert message.HasField("pricing") == (entry.pricing is not None)
        if entry.pricing is not None:
            assert message.pricing.HasField("input_per_million_tokens") == (entry.pricing.input is not None)
            assert len(message.pricing.tiers) == len(entry.pricing.tiers)
        assert [int(one) for one in message.capabilities] == list(entry.capabilities)
        assert dict(message.labels) == entry.labels

    @given(MODELS)
    def test_of_a_model_has_its_backends_in_order(self, entry: ActiveModel) -> None:
        message = pb.ActiveModel.FromString(message_of(encode_row(entry), pb.ActiveModel))
        assert (message.name, int(message.kind)) == (entry.name, entry.kind)
        assert [(b.provider_model, b.priority, b.weight) for b in message.backends] == [
            (b.provider_model, b.priority, b.weight) for b in entry.backends
        ]
        assert all(b.routable and not b.disabled for b in message.backends)
        assert dict(message.labels) == entry.labels

    @given(PROVIDERS | PROVIDER_MODELS)
    def test_of_equal_entries_are_equal_bytes(self, entry: RoutingProvider | ActiveProviderModel) -> None:
        assert encode_row(entry) == encode_row(entry)

    @given(st.lists(PROVIDERS | PROVIDER_MODELS | MODELS, max_size=4), st.data())
    def test_of_many_that_share_values_is_as_of_each_alone(
        self, entries: list[Entry], data: st.DataObject
    ) -> None:
        models = [one for one in entries if isinstance(one, ActiveProviderModel)]
        if models:
            alike = st.sampled_from(models)
            entries += [replace(one, name="other") for one in data.draw(st.lists(alike, max_size=4))]
        assert encode_rows(entries) == [encode_row(copy.deepcopy(one)) for one in entries]

    @given(PROVIDER_MODELS)
    def test_is_as_protobuf_serializes_it(self, entry: ActiveProviderModel) -> None:
        row = encode_row(entry)
        body = message_of(row, pb.ActiveProviderModel)
        assert body == pb.ActiveProviderModel.FromString(body).SerializeToString(deterministic=True)


class TestPage:
    @given(st.lists(PROVIDER_MODELS, max_size=3), TEXT, st.integers(0, 2**62))
    def test_is_the_message_built_from_scratch(
        self, provider_models: list[ActiveProviderModel], next_page: str, revision: int
    ) -> None:
        rows = [encode_row(one) for one in provider_models]
        expected = pb.ListActiveProviderModelsResponse(
            next_page_token=next_page, revision=revision, store_id=str(ONE), token=str(token(revision))
        )
        for row in rows:
            expected.active_provider_models.add().MergeFromString(message_of(row, pb.ActiveProviderModel))
        page = encode_page(rows, next_page_token=next_page, token=token(revision))
        assert pb.ListActiveProviderModelsResponse.FromString(page) == expected


ROW_CHANGES = st.builds(
    lambda entry, kept: RowChange(
        _kind_of(entry), entry.name, Row(entry, encode_row(entry)) if kept else None
    ),
    PROVIDERS | PROVIDER_MODELS | MODELS,
    st.booleans(),
)


def _kind_of(entry: RoutingProvider | ActiveProviderModel | ActiveModel) -> EntryKind:
    if isinstance(entry, RoutingProvider):
        return EntryKind.PROVIDER
    return EntryKind.MODEL if isinstance(entry, ActiveModel) else EntryKind.PROVIDER_MODEL


class TestChunks:
    @given(st.integers(1, 2**62), st.lists(PROVIDER_MODELS, max_size=6), st.sampled_from(SnapshotReason))
    def test_put_together_are_the_table(
        self, revision: int, provider_models: list[ActiveProviderModel], reason: SnapshotReason
    ) -> None:
        segments = [encode_segment(EntryKind.PROVIDER_MODEL, [encode_row(one)]) for one in provider_models]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(routing_codec, "CHUNK_BYTES", 700)
            chunks = encode_chunks(token(revision), segments, reason)
        got = [pb.WatchRoutingResponse.FromString(chunk) for chunk in chunks]
        assert [one.revision for one in got] == [0] * (len(got) - 1) + [revision]
        assert {one.store_id for one in got} == {str(ONE)}
        assert [one.token for one in got] == [""] * (len(got) - 1) + [str(token(revision))]
        parts = [one.snapshot_chunk for one in got]
        assert [one.first for one in parts] == [True] + [False] * (len(got) - 1)
        assert [one.last for one in parts] == [False] * (len(got) - 1) + [True]
        assert [int(one.reason) for one in parts] == [int(reason)] + [0] * (len(got) - 1)
        whole = pb.GetRoutingSnapshotResponse.FromString(encode_whole(token(revision), segments)).snapshot
        assert [model for part in parts for model in part.provider_models] == list(whole.provider_models)

    def test_of_many_segments_are_as_few_as_their_size_allows(self) -> None:
        segments = [bytes(CHUNK_BYTES // 2)] * 4 + [bytes(2 * CHUNK_BYTES), bytes(1)]
        sizes = [len(chunk) for chunk in encode_chunks(token(3), segments, SnapshotReason.INITIAL)]
        overhead = 200
        whole = [CHUNK_BYTES, CHUNK_BYTES, 2 * CHUNK_BYTES, 1]
        assert all(0 < size - bytes_ < overhead for size, bytes_ in zip(sizes, whole, strict=True))

    def test_of_an_empty_table_are_one(self) -> None:
        [chunk] = encode_chunks(token(3), [], SnapshotReason.INITIAL)
        got = pb.WatchRoutingResponse.FromString(chunk)
        assert (got.snapshot_chunk.first, got.snapshot_chunk.last, got.revision) == (True, True, 3)


class TestChangeSet:
    @given(st.integers(1, 2**62), st.lists(ROW_CHANGES, max_size=5))
    def test_is_the_message_built_from_scratch(self, revision: int, changes: list[RowChange]) -> None:
        expected = pb.WatchRoutingResponse(store_id=str(ONE), revision=revision, token=str(token(revision)))
        expected.change_set.commit_time.FromDatetime(START)
        for change in changes:
            one = expected.change_set.changes.add()
            if change.row is None:
                one.removed = change.name
            elif change.kind is EntryKind.PROVIDER:
                one.provider.MergeFromString(message_of(change.row.encoded, pb.RoutingProvider))
            elif change.kind is EntryKind.PROVIDER_MODEL:
                one.provider_model.MergeFromString(message_of(change.row.encoded, pb.ActiveProviderModel))
            else:
                one.model.MergeFromString(message_of(change.row.encoded, pb.ActiveModel))
        encoded = encode_change_set(token(revision), changes, START)
        assert pb.WatchRoutingResponse.FromString(encoded) == expected
        assert len(encoded) == expected.ByteSize()


class TestBookmark:
    @pytest.mark.parametrize("draining", [False, True])
    def test_has_revision_time_and_goodbye(self, draining: bool) -> None:
        message = encode_bookmark(token(5), START, timedelta(seconds=2.5), draining)
        got = pb.WatchRoutingResponse.FromString(message)
        assert (got.revision, got.store_id, got.token) == (5, str(ONE), str(token(5)))
        assert got.bookmark.draining is draining
        assert got.bookmark.server_time.ToDatetime(START.tzinfo) == START
        assert got.bookmark.table_age.ToTimedelta() == timedelta(seconds=2.5)
