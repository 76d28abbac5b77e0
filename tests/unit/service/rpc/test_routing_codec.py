"""Answers joined from ready rows are the bytes of the messages they stand for."""

from __future__ import annotations

from uuid import UUID

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
from service.domain.routing import ActiveModel, ActiveProviderModel, RoutingProvider
from service.rpc.routing_codec import (
    NOT_MODIFIED,
    encode_page,
    encode_row,
    encode_segments,
    encode_whole,
)

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
MODELS = st.builds(
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
FACADES = st.builds(
    ActiveModel,
    name=TEXT,
    kind=st.sampled_from(ModelKind),
    backends=st.lists(BACKENDS, max_size=3).map(tuple),
    labels=LABELS,
)


def message_of(
    row: bytes, kind: type[pb.RoutingProvider] | type[pb.ActiveProviderModel] | type[pb.ActiveModel]
) -> bytes:
    """The bytes behind a row's length, which must be all of them."""
    length, shift = 0, 0
    while row[shift // 7] >= 0x80:
        length |= (row[shift // 7] & 0x7F) << shift
        shift += 7
    length |= row[shift // 7] << shift
    body = row[shift // 7 + 1 :]
    assert len(body) == length
    kind.FromString(body)
    return body


class TestWhole:
    @given(
        st.integers(0, 2**62),
        st.lists(PROVIDERS, max_size=3),
        st.lists(MODELS, max_size=3),
        st.lists(FACADES, max_size=3),
    )
    def test_is_the_message_built_from_scratch(
        self,
        revision: int,
        providers: list[RoutingProvider],
        models: list[ActiveProviderModel],
        facades: list[ActiveModel],
    ) -> None:
        provider_rows = [encode_row(one) for one in providers]
        model_rows = [encode_row(one) for one in models]
        facade_rows = [encode_row(one) for one in facades]
        expected = pb.GetRoutingSnapshotResponse()
        expected.snapshot.SetInParent()
        expected.snapshot.revision, expected.snapshot.store_id = revision, "store"
        for row in provider_rows:
            expected.snapshot.providers.add().MergeFromString(message_of(row, pb.RoutingProvider))
        for row in model_rows:
            expected.snapshot.provider_models.add().MergeFromString(message_of(row, pb.ActiveProviderModel))
        for row in facade_rows:
            expected.snapshot.models.add().MergeFromString(message_of(row, pb.ActiveModel))
        whole = encode_whole(revision, "store", encode_segments(provider_rows, model_rows, facade_rows))
        assert pb.GetRoutingSnapshotResponse.FromString(whole) == expected
        assert len(whole) == expected.ByteSize()

    def test_of_nothing_is_a_snapshot_all_the_same(self) -> None:
        answer = pb.GetRoutingSnapshotResponse.FromString(encode_whole(0, "", []))
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

    @given(MODELS)
    def test_of_a_model_has_every_field(self, entry: ActiveProviderModel) -> None:
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

    @given(FACADES)
    def test_of_a_facade_has_its_backends_in_order(self, entry: ActiveModel) -> None:
        message = pb.ActiveModel.FromString(message_of(encode_row(entry), pb.ActiveModel))
        assert (message.name, int(message.kind)) == (entry.name, entry.kind)
        assert [(b.provider_model, b.priority, b.weight) for b in message.backends] == [
            (b.provider_model, b.priority, b.weight) for b in entry.backends
        ]
        assert all(b.routable and not b.disabled for b in message.backends)
        assert dict(message.labels) == entry.labels

    @given(PROVIDERS | MODELS)
    def test_of_equal_entries_are_equal_bytes(self, entry: RoutingProvider | ActiveProviderModel) -> None:
        assert encode_row(entry) == encode_row(entry)


class TestPage:
    @given(st.lists(MODELS, max_size=3), TEXT, st.integers(0, 2**62))
    def test_is_the_message_built_from_scratch(
        self, models: list[ActiveProviderModel], token: str, revision: int
    ) -> None:
        rows = [encode_row(one) for one in models]
        expected = pb.ListActiveProviderModelsResponse(
            next_page_token=token, revision=revision, store_id="store"
        )
        for row in rows:
            expected.active_provider_models.add().MergeFromString(message_of(row, pb.ActiveProviderModel))
        page = encode_page(rows, next_page_token=token, revision=revision, store_id="store")
        assert pb.ListActiveProviderModelsResponse.FromString(page) == expected
