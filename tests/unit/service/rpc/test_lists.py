"""The lists: pages that join to all in every order, totals, and filters on every field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from codevector.providers.v1 import provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.servers.api import KINDS, SAMPLES, Api, api_key

ORDERS = ("display_name", "name", "create_time", "update_time", "kind", "kind desc, create_time")
MODEL_ORDERS = (
    "upstream_model_id",
    "name",
    "display_name",
    "create_time",
    "update_time",
    "context_window",
    "kind",
    "context_window desc, kind",
)
CHAT = provider_model_pb2.ModelKind.MODEL_KIND_CHAT
EMBEDDING = provider_model_pb2.ModelKind.MODEL_KIND_EMBEDDING
CAPABILITY = provider_model_pb2.ModelCapability
CAPABILITIES = {
    1: [CAPABILITY.MODEL_CAPABILITY_STREAMING, CAPABILITY.MODEL_CAPABILITY_TOOLS],
    3: [CAPABILITY.MODEL_CAPABILITY_STREAMING],
    5: [CAPABILITY.MODEL_CAPABILITY_TOOLS, CAPABILITY.MODEL_CAPABILITY_PARALLEL_TOOLS],
}


class Shelf:
    """Providers that only these tests see: every filter asks for their common label."""

    def __init__(self, api: Api) -> None:
        # Part of every display name: letters that no word searched for holds.
        self.mark = uuid4().hex[:12].translate(str.maketrans("0123456789abcdef", "qwxyvukjmnqwxyvu"))
        self.providers: list[provider_pb2.Provider] = []
        names = ("Éclair", "apple", "Zebra", "banana", "ÄPFEL", "cherry 10", "cherry 9", "ZZ top", "straße")
        for number, name in enumerate(names):
            sample = SAMPLES[number % 4]
            credential = api_key() if number in (0, 8) else None
            if credential is not None and number == 8:
                credential.expire_time.CopyFrom(Timestamp(seconds=1_800_000_000))
            made = api.create(
                f"{name} {self.mark}",
                kind=sample.kind,
                config=sample.config,
                credential=credential,
                labels={"mark": self.mark, **({"even": "yes"} if number % 2 == 0 else {})},
            )
            if number in (1, 2):
                made = api.call("DisableProvider", pb.DisableProviderRequest(name=made.name))
            self.providers.append(made)
        self.parent = self.providers[0].name
        for number in range(7):
            api.create_provider_model(
                self.parent,
                f"{'Bb' if number % 2 else 'aa'}-{number}",
                display_name=f"{'z' if number % 3 else 'A'}{number} {self.mark}",
                context_window=(number % 3) * 1000,
                kind=EMBEDDING if number == 3 else CHAT,
                capabilities=CAPABILITIES.get(number, []),
                labels={"mark": self.mark, "n": str(number)},
            )
        for other in self.providers[1:3]:
            api.create_provider_model(other.name, "aa-0", labels={"mark": self.mark})
        api.call("DisableProviderModel", pb.DisableProviderModelRequest(name=f"{self.parent}/models/aa-2"))


@pytest.fixture(scope="module")
def shelf(api: Api) -> Shelf:
    return Shelf(api)


def listed(api: Api, request: Any, *, size: int = 1000) -> list[Any]:
    """All resources of a list, and the totals of its pages held to be the same on each."""
    method = request.DESCRIPTOR.name.removesuffix("Request")
    field = "providers" if method == "ListProviders" else "provider_models"
    pages = list(api.pages(method, request, size=size))
    rows = [row for page in pages for row in getattr(page, field)]
    assert {page.total_size for page in pages} == {len(rows)}
    assert all(len(getattr(page, field)) == size for page in pages[:-1])
    assert rows == [] or len(getattr(pages[-1], field)) > 0
    return rows


def names(rows: list[Any]) -> list[str]:
    return [row.name for row in rows]


class TestProviders:
    @pytest.mark.parametrize("order", [*ORDERS, "display_name asc", "kind desc"])
    def test_pages_of_every_size_join_to_all(self, api: Api, shelf: Shelf, order: str) -> None:
        """With a token for each type of key. That every field is in order both ways is `contract/store`'s."""
        request = pb.ListProvidersRequest(filter=f"labels.mark={shelf.mark}", order_by=order)
        whole = names(listed(api, request))
        assert sorted(whole) == sorted(names(shelf.providers))
        for size in (1, 4, len(whole), len(whole) + 1):
            assert names(listed(api, request, size=size)) == whole

    @pytest.mark.parametrize(
        ("order", "key"),
        [
            ("create_time", lambda one: one.create_time.ToNanoseconds()),
            ("update_time", lambda one: one.update_time.ToNanoseconds()),
            ("kind", lambda one: one.kind),
        ],
        ids=["create_time", "update_time", "kind"],
    )
    def test_orders_mean_what_they_say(
        self, api: Api, shelf: Shelf, order: str, key: Callable[[Any], int]
    ) -> None:
        mark = f"labels.mark={shelf.mark}"
        rows = listed(api, pb.ListProvidersRequest(filter=mark, order_by=order))
        assert rows == sorted(rows, key=lambda one: (key(one), one.name))
        falling = listed(api, pb.ListProvidersRequest(filter=mark, order_by=f"{order} desc"))
        assert falling == rows[::-1]

    def test_names_are_ordered_without_case_by_default(self, api: Api, shelf: Shelf) -> None:
        rows = listed(api, pb.ListProvidersRequest(filter=f"labels.mark={shelf.mark}"))
        shown = [row.display_name.removesuffix(f" {shelf.mark}") for row in rows]
        assert shown == sorted(shown, key=str.casefold)
        assert shown[0] == "apple"
        assert shown[-3:] == ["ZZ top", "ÄPFEL", "Éclair"]

    def test_rows_are_the_whole_resources(self, api: Api, shelf: Shelf) -> None:
        for row in listed(api, pb.ListProvidersRequest(filter=f"labels.mark={shelf.mark}")):
            assert row == api.get(row.name)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", range(9)),
            ("apple", [1]),
            ("ECLAIR", []),
            ("éCLAIR", [0]),
            ("STRASSE", [8]),
            ('"cherry 9"', [6]),
            ("cherry", [5, 6]),
            ("cherry NOT 10", [6]),
            ("apple OR zebra", [1, 2]),
            ("-apple -zebra", [0, 3, 4, 5, 6, 7, 8]),
            ("(apple OR cherry) AND NOT 9", [1, 5]),
            ("display_name:err", [5, 6]),
            ("kind = openai", [0, 4, 8]),
            ("kind = PROVIDER_KIND_AZURE", [2, 6]),
            ("kind != OPENAI", [1, 2, 3, 5, 6, 7]),
            ("state = DISABLED", [1, 2]),
            ("state = STATE_ACTIVE", [0, 3, 4, 5, 6, 7, 8]),
            ("labels.even = yes", [0, 2, 4, 6, 8]),
            ("labels.even != yes", [1, 3, 5, 7]),
            ("labels:even", [0, 2, 4, 6, 8]),
            ("NOT labels.even:*", [1, 3, 5, 7]),
            ("labels.none = x", []),
            ("credential.expire_time:*", [8]),
            ("credential.expire_time < 2027-01-15T08:00:00Z", []),
            ("credential.expire_time <= 2027-01-15T08:00:00Z", [8]),
            ("NOT credential.expire_time < 2100-01-01T00:00:00Z", range(8)),
            ("credential:*", [0, 8]),
            ("NOT credential:*", [1, 2, 3, 4, 5, 6, 7]),
            ("routable = true", [0, 8]),
            ("routable = false", [1, 2, 3, 4, 5, 6, 7]),
            ("unroutable_reason = NO_CREDENTIAL", [3, 4, 5, 6, 7]),
            ("unroutable_reason = UNROUTABLE_REASON_DISABLED", [1, 2]),
            ("display_name = cherry*", [5, 6]),
            ('display_name = "CHERRY 1*"', [5]),
            ("display_name:app*", [1]),
            ("display_name != z*", [0, 1, 3, 4, 5, 6, 8]),
            ("z*", [2, 7]),
            ('display_name = "cherry\\*"', []),
            ('name:"providers/zebra*"', [2]),
            ("name = providers/banana*", [3]),
            ("name:nana", [3]),
            ("create_time < 2020-01-01T00:00:00Z", []),
            ("create_time > 2020-01-01T00:00:00Z", range(9)),
        ],
    )
    def test_filters(self, api: Api, shelf: Shelf, text: str, expected: list[int]) -> None:
        request = pb.ListProvidersRequest(
            filter=f"labels.mark={shelf.mark} AND ({text})" if text else f"labels.mark={shelf.mark}"
        )
        assert sorted(names(listed(api, request))) == sorted(names([shelf.providers[n] for n in expected]))
        assert len(names(listed(api, request, size=2))) == len(expected)

    def test_by_the_exact_name(self, api: Api, shelf: Shelf) -> None:
        request = pb.ListProvidersRequest(filter=f'display_name = "APPLE {shelf.mark}"')
        assert names(listed(api, request)) == [shelf.providers[1].name]

    def test_a_moment_splits_what_was_created(self, api: Api, shelf: Shelf) -> None:
        moment = shelf.providers[4].create_time.ToDatetime().isoformat() + "Z"
        mark = f"labels.mark={shelf.mark}"
        until = listed(api, pb.ListProvidersRequest(filter=f"{mark} create_time <= {moment}"))
        behind = listed(api, pb.ListProvidersRequest(filter=f"{mark} create_time > {moment}"))
        assert (len(until), len(behind)) == (5, 4)

    def test_the_default_page_holds_50_and_the_largest_1000(self, api: Api) -> None:
        mark = f"d{uuid4().hex[:8]}"
        for _ in range(52):
            api.create(labels={"mark": mark})
        request = pb.ListProvidersRequest(filter=f"labels.mark={mark}")
        first = api.call("ListProviders", request)
        assert (len(first.providers), first.total_size) == (50, 52)
        request.page_token = first.next_page_token
        second = api.call("ListProviders", request)
        assert (len(second.providers), second.total_size, second.next_page_token) == (2, 52, "")
        request.page_token, request.page_size = "", 2**31 - 1
        assert len(api.call("ListProviders", request).providers) == 52

    def test_the_page_size_may_change_on_the_way(self, api: Api, shelf: Shelf) -> None:
        request = pb.ListProvidersRequest(filter=f"labels.mark={shelf.mark}", page_size=2)
        first = api.call("ListProviders", request)
        request.page_token, request.page_size = first.next_page_token, 100
        assert len(api.call("ListProviders", request).providers) == 7

    def test_what_stays_comes_once_while_others_come_and_go(self, api: Api) -> None:
        mark = f"g{uuid4().hex[:8]}"
        made = [api.create(f"{letter} {mark}", labels={"mark": mark}) for letter in "bdfhj"]
        request = pb.ListProvidersRequest(filter=f"labels.mark={mark}", page_size=2)
        first = api.call("ListProviders", request)
        api.delete(first.providers[1].name)
        api.create(f"a {mark}", labels={"mark": mark})
        late = api.create(f"e {mark}", labels={"mark": mark})
        request.page_token, request.page_size = first.next_page_token, 10
        rest = api.call("ListProviders", request)
        assert names(list(rest.providers)) == [late.name, *names(made[2:])]


class TestProviderModels:
    @pytest.mark.parametrize("order", [*MODEL_ORDERS, f"{MODEL_ORDERS[0]} desc"])
    @pytest.mark.parametrize("parent", ["one", "all"])
    def test_pages_of_every_size_join_to_all(self, api: Api, shelf: Shelf, parent: str, order: str) -> None:
        request = pb.ListProviderModelsRequest(
            parent=shelf.parent if parent == "one" else "providers/-",
            filter=f"labels.mark={shelf.mark}",
            order_by=order,
        )
        whole = names(listed(api, request))
        assert len(whole) == (7 if parent == "one" else 9)
        for size in (1, 3, len(whole)):
            assert names(listed(api, request, size=size)) == whole

    def test_rows_are_the_whole_resources(self, api: Api, shelf: Shelf) -> None:
        request = pb.ListProviderModelsRequest(parent="providers/-", filter=f"labels.mark={shelf.mark}")
        for row in listed(api, request):
            assert row == api.get(row.name)

    def test_upstream_ids_are_ordered_by_code_point_by_default(self, api: Api, shelf: Shelf) -> None:
        rows = listed(api, pb.ListProviderModelsRequest(parent=shelf.parent))
        upstream = [row.upstream_model_id for row in rows]
        assert upstream == sorted(upstream)
        assert upstream[0] == "Bb-1"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "0123456"),
            ("bb", "135"),
            ("upstream_model_id = aa-0", "0"),
            ("upstream_model_id:AA", "0246"),
            ('upstream_model_id >= "aa-4"', "46"),
            ("display_name:Z", "1245"),
            ("kind = embedding", "3"),
            ("kind != MODEL_KIND_EMBEDDING", "012456"),
            ("state = DISABLED", "2"),
            ("source = CUSTOM", "0123456"),
            ("source = SOURCE_CATALOG", ""),
            ('catalog_version = ""', "0123456"),
            ("catalog_version = 2026.04.15", ""),
            ("routable = true", "013456"),
            ("routable = false", "2"),
            ("NOT routable = true", "2"),
            ("capabilities:TOOLS", "15"),
            ("capabilities:model_capability_parallel_tools", "5"),
            ("NOT capabilities:*", "0246"),
            ("capabilities:STREAMING capabilities:TOOLS", "1"),
            ("needs_review = true", ""),
            ("upstream_model_id = bb*", ""),
            ("upstream_model_id = Bb*", "135"),
            ("upstream_model_id:bb*", "135"),
            ("name:models/aa*", ""),
            ("name:/models/aa-0", "0"),
            ("context_window = 0", "036"),
            ("context_window > 1000", "25"),
            ("context_window >= 1000 context_window < 2000", "14"),
            ("labels.n = 4", "4"),
            ("labels:n -labels.n = 4", "012356"),
        ],
    )
    def test_filters(self, api: Api, shelf: Shelf, text: str, expected: str) -> None:
        request = pb.ListProviderModelsRequest(parent=shelf.parent, filter=text)
        rows = listed(api, request)
        assert sorted(row.upstream_model_id[-1] for row in rows) == list(expected)
        assert names(listed(api, request, size=2)) == names(rows)

    def test_imported_ones_by_their_source(self, api: Api) -> None:
        parent = api.create(kind=KINDS.PROVIDER_KIND_OPENAI).name
        api.create_provider_model(parent, "own")
        wanted = ["gpt-4o", "o3"]
        api.call(
            "ImportProviderModels", pb.ImportProviderModelsRequest(parent=parent, upstream_model_ids=wanted)
        )
        for text in ("source = catalog", "catalog_version = 2026.04.15", "NOT source = custom"):
            rows = listed(api, pb.ListProviderModelsRequest(parent=parent, filter=text))
            assert [row.upstream_model_id for row in rows] == wanted

    def test_all_providers_are_told_apart(self, api: Api, shelf: Shelf) -> None:
        request = pb.ListProviderModelsRequest(
            parent="providers/-", filter=f"labels.mark={shelf.mark} upstream_model_id=aa-0"
        )
        rows = listed(api, request, size=1)
        assert sorted(names(rows)) == sorted(f"{one.name}/models/aa-0" for one in shelf.providers[:3])
        assert {row.routable for row in rows} == {True, False}
