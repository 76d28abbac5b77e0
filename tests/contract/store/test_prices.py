"""No price changes on its way: message, domain, database, change log, router's row, JSON."""

from __future__ import annotations

import json
from typing import Any

from codevector.providers.v1 import provider_model_pb2, routing_service_pb2
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.json_forms import facts_from_json, facts_to_json
from service.domain.model import ModelSource, ProviderModel, ProviderModelView, State
from service.domain.prices import check_pricing
from service.domain.routing import ActiveProviderModel, EntryKind, entry_from_json, entry_to_json
from service.rpc import convert
from service.rpc.routing_codec import encode_rows, encode_segment, encode_whole
from service.store import Store, WriteUnit
from tests.support.doubles.hand_log import token
from tests.support.values.registry_values import START, a_provider, new_uuid

PRICES = ("input", "output", "cached_input", "cache_write")
DECIMAL = st.from_regex(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?", fullmatch=True) | st.sampled_from(
    ["0", "0.0", "0.10", "999999999.999999999999", "0.000000000001", "1.000000000000", "100000000"]
)
FIELDS = {f"{name}_per_million_tokens": DECIMAL for name in PRICES}
"""Each may be left out, which is not the same as "0"."""
THRESHOLDS = st.lists(st.integers(1, 100_000_000), unique=True, max_size=8).map(sorted)


@st.composite
def pricings(draw: st.DrawFn) -> provider_model_pb2.Pricing:
    def prices() -> dict[str, Any]:
        return draw(st.fixed_dictionaries({}, optional=FIELDS))

    tiers = [
        provider_model_pb2.PricingTier(above_input_tokens=threshold, **prices())
        for threshold in draw(THRESHOLDS)
    ]
    currency = draw(st.from_regex(r"[A-Z]{3}", fullmatch=True))
    return provider_model_pb2.Pricing(currency_code=currency, tiers=tiers, **prices())


def as_sent(pricing: provider_model_pb2.Pricing) -> dict[str, Any]:
    """The JSON a client would write."""
    value: dict[str, Any] = json_format.MessageToDict(pricing)
    return value


class TestPrices:
    def test_stay_what_they_are(self, store: Store) -> None:
        store.write(lambda unit: unit.providers.insert(a_provider("acme"), None))

        @settings(max_examples=60, deadline=None)
        @given(st.lists(pricings(), min_size=1, max_size=5))
        def check(sent: list[provider_model_pb2.Pricing]) -> None:
            typed = [json_format.ParseDict(as_sent(each), provider_model_pb2.Pricing()) for each in sent]
            drafts = [
                convert.provider_model_draft(
                    provider_model_pb2.ProviderModel(
                        upstream_model_id=f"m{number}",
                        kind=provider_model_pb2.ModelKind.MODEL_KIND_CHAT,
                        pricing=pricing,
                    )
                )
                for number, pricing in enumerate(typed)
            ]
            for draft in drafts:
                assert draft.facts.pricing is not None
                check_pricing(draft.facts.pricing, field="pricing")

            def replace_all(unit: WriteUnit) -> None:
                unit.provider_models.delete(unit.provider_models.of("acme"))
                unit.provider_models.insert(
                    [
                        ProviderModel(
                            "acme",
                            f"m{number}",
                            new_uuid(),
                            draft.facts,
                            State.ACTIVE,
                            ModelSource.CATALOG,
                            START,
                            START,
                            imported=draft.facts,
                        )
                        for number, draft in enumerate(drafts)
                    ]
                )

            before = store.read(lambda unit: unit.log.head().revision)
            store.write(replace_all)
            models = store.read(lambda unit: unit.provider_models.of("acme"))
            changes = store.read(lambda unit: unit.log.changes_since(before))
            logged = {
                change.entry.name: change.entry
                for change_set in changes
                for change in change_set.changes
                if isinstance(change.entry, ActiveProviderModel)
            }
            for model, original in zip(models, sent, strict=True):
                shown = convert.provider_model_to_pb(ProviderModelView(model, True))
                assert shown.pricing == original
                assert json.loads(json_format.MessageToJson(shown))["pricing"] == as_sent(original)
                assert model.imported == model.facts == facts_from_json(facts_to_json(model.facts))

            rows = encode_rows([entry_from_json(*_logged(entry)) for _, entry in sorted(logged.items())])
            snapshot = routing_service_pb2.GetRoutingSnapshotResponse.FromString(
                encode_whole(token(1), [encode_segment(EntryKind.PROVIDER_MODEL, rows)])
            ).snapshot
            by_name = {each.name: each.pricing for each in snapshot.provider_models}
            for model, original in zip(models, sent, strict=True):
                if model.name in by_name:  # else it is what it was, and nothing was logged
                    assert by_name[model.name] == original

        check()


def _logged(entry: ActiveProviderModel) -> tuple[EntryKind, bytes]:
    return EntryKind.PROVIDER_MODEL, entry_to_json(entry)
