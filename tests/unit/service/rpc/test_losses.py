"""What goes, and what models lose by it: deletions, batches, retirements."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from codevector.providers.v1 import model_pb2, provider_model_pb2, provider_pb2
from codevector.providers.v1 import model_service_pb2 as models_pb
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.servers.api import KINDS, Api, api_key, read_status
from tests.support.servers.wired import wired

UNCHANGED = pb.ProviderModelResult.ACTION_UNCHANGED
DISABLED = pb.ProviderModelResult.ACTION_DISABLED
ENABLED = pb.ProviderModelResult.ACTION_ENABLED
DELETED = pb.ProviderModelResult.ACTION_DELETED


@pytest.fixture
def provider(api: Api) -> provider_pb2.Provider:
    return api.create(kind=KINDS.PROVIDER_KIND_OPENAI, credential=api_key())


@pytest.fixture
def elsewhere(api: Api) -> provider_model_pb2.ProviderModel:
    """A routable provider model of another provider."""
    return api.create_provider_model(api.create().name)


def wires(impact: pb.DeletionImpact) -> list[tuple[str, str, int]]:
    return [(b.model, b.provider_model, b.remaining_routable_backends) for b in impact.backends]


class TestDeletingAProvider:
    def test_takes_backends_along_and_says_what_remains(
        self, api: Api, provider: provider_pb2.Provider, elsewhere: provider_model_pb2.ProviderModel
    ) -> None:
        one, two = (api.create_provider_model(provider.name, upstream) for upstream in ("one", "two"))
        both, last, off = (api.create_model(*backends) for backends in ([one, two, elsewhere], [two], [one]))
        api.call("DisableModel", models_pb.DisableModelRequest(name=off.name))
        with api.nothing_changes():
            preview = api.delete(provider.name, validate_only=True)
            refusal = api.refuse("DeleteProvider", pb.DeleteProviderRequest(name=provider.name))
        assert refusal.reason == "PROVIDER_HAS_MODELS"
        assert (preview.provider_model_count, preview.backend_count) == (2, 4)
        assert preview.credential_destroyed
        assert wires(preview) == sorted(
            [
                (both.name, one.name, 1),
                (both.name, two.name, 1),
                (last.name, two.name, 0),
                (off.name, one.name, 0),
            ]
        )
        assert list(preview.models_left_unroutable) == [last.name]
        assert preview.models_left_unroutable_count == 1
        before = api.revision()
        assert api.delete(provider.name, force=True, impact_token=preview.impact_token) == preview
        assert api.revision() == before + 1
        assert {model.name for model in api.snapshot().models} & {both.name, last.name, off.name} == {
            both.name
        }
        after = api.get(both.name)
        assert [backend.provider_model for backend in after.backends] == [elsewhere.name]
        assert (after.revision, after.etag != both.etag) == (before + 1, True)
        assert list(api.get(last.name).backends) == []

    @pytest.mark.parametrize("change", ["wire", "unwire", "disable-the-rest", "disable-the-model"])
    def test_a_preview_does_not_outlive_what_it_said(
        self,
        api: Api,
        provider: provider_pb2.Provider,
        elsewhere: provider_model_pb2.ProviderModel,
        change: str,
    ) -> None:
        one = api.create_provider_model(provider.name, "one")
        model = api.create_model(one, elsewhere)
        alone = api.create_model(one)
        token = api.delete(provider.name, validate_only=True).impact_token
        match change:
            case "wire":
                api.create_model(one)
            case "unwire":
                api.call(
                    "RemoveModelBackend",
                    models_pb.RemoveModelBackendRequest(model=model.name, provider_model=one.name),
                )
            case "disable-the-rest":
                api.call("DisableProviderModel", pb.DisableProviderModelRequest(name=elsewhere.name))
            case "disable-the-model":
                api.call("DisableModel", models_pb.DisableModelRequest(name=alone.name))
        request = pb.DeleteProviderRequest(name=provider.name, force=True, impact_token=token)
        with api.nothing_changes():
            refusal = api.refuse("DeleteProvider", request)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "IMPACT_CHANGED")


class TestDeletingAProviderModel:
    def test_asks_for_force_where_models_are_wired_to_it(
        self, api: Api, provider: provider_pb2.Provider
    ) -> None:
        one = api.create_provider_model(provider.name, "one")
        models = [api.create_model(one) for _ in range(21)]
        with api.nothing_changes():
            refusal = api.refuse("DeleteProviderModel", pb.DeleteProviderModelRequest(name=one.name))
            preview = api.delete(one.name, validate_only=True)
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "MODEL_HAS_BACKENDS",
        )
        assert refusal.preconditions == tuple(
            ("CHILD_RESOURCE", name) for name in sorted(model.name for model in models)[:20]
        )
        assert refusal.metadata["backend_count"] == "21"
        assert preview.backend_count == preview.models_left_unroutable_count == 21
        assert not preview.credential_destroyed
        assert api.delete(one.name, force=True, impact_token=preview.impact_token) == preview
        assert not any(api.get(model.name).backends for model in models)

    def test_needs_none_where_none_is(self, api: Api, provider: provider_pb2.Provider) -> None:
        one = api.create_provider_model(provider.name, "one")
        impact = api.delete(one.name)
        assert (impact.provider_model_count, impact.backend_count) == (1, 0)


class TestBatches:
    @pytest.fixture
    def some(self, api: Api, provider: provider_pb2.Provider) -> list[provider_model_pb2.ProviderModel]:
        return [api.create_provider_model(provider.name, f"m{number}") for number in range(3)]

    def names(self, some: list[provider_model_pb2.ProviderModel], *more: str) -> list[str]:
        return [*(model.name for model in some), *more]

    def outcomes(self, answer: Any) -> list[Any]:
        """The action of each, or the reason why there was none."""
        return [
            result.action if result.WhichOneof("outcome") == "action" else read_status(result.error).reason
            for result in answer.results
        ]

    def test_change_states_in_one_revision(
        self, api: Api, some: list[provider_model_pb2.ProviderModel]
    ) -> None:
        model = api.create_model(*some)
        api.call("DisableProviderModel", pb.DisableProviderModelRequest(name=some[1].name))
        names = self.names(some, "providers/none/models/none")
        request = pb.BatchDisableProviderModelsRequest(names=names, validate_only=True)
        before = api.revision()
        with api.nothing_changes():
            preview = api.call("BatchDisableProviderModels", request)
        request.validate_only = False
        answer = api.call("BatchDisableProviderModels", request)
        assert self.outcomes(answer) == self.outcomes(preview)
        assert self.outcomes(answer) == [DISABLED, UNCHANGED, DISABLED, "RESOURCE_NOT_FOUND"]
        assert [result.provider_model for result in answer.results] == names
        assert (answer.changed_count, answer.failed_count) == (2, 1)
        assert answer.revision == int(api.trailers["x-revision"]) == before + 1 == api.revision()
        assert not api.get(model.name).routable
        with api.nothing_changes():
            again = api.call("BatchDisableProviderModels", request)
        assert (again.changed_count, again.revision) == (0, before + 1)
        back = api.call("BatchEnableProviderModels", pb.BatchEnableProviderModelsRequest(names=names[:3]))
        assert self.outcomes(back) == [ENABLED] * 3
        assert api.get(model.name).routable
        assert {api.get(name).revision for name in names[:3]} == {before + 2}

    def test_delete_what_nothing_is_wired_to_and_tell_of_the_rest(
        self, api: Api, some: list[provider_model_pb2.ProviderModel]
    ) -> None:
        model = api.create_model(some[1])
        names = self.names(some, "providers/none/models/none")
        before = api.revision()
        answer = api.call("BatchDeleteProviderModels", pb.BatchDeleteProviderModelsRequest(names=names))
        assert self.outcomes(answer) == [DELETED, "MODEL_HAS_BACKENDS", DELETED, "RESOURCE_NOT_FOUND"]
        assert list(answer.impact.provider_models) == [some[0].name, some[2].name]
        assert answer.impact.backend_count == 0
        assert api.revision() == before + 1
        assert api.get(model.name) == model

    def test_delete_as_previewed_or_not_at_all(
        self, api: Api, some: list[provider_model_pb2.ProviderModel]
    ) -> None:
        model = api.create_model(some[1])
        request = pb.BatchDeleteProviderModelsRequest(names=self.names(some), validate_only=True)
        with api.nothing_changes():
            preview = api.call("BatchDeleteProviderModels", request)
            assert self.outcomes(preview) == [DELETED] * 3
            request.validate_only = False
            request.impact_token = preview.impact.impact_token
            refusal = api.refuse("BatchDeleteProviderModels", request)
        assert refusal.reason == "MODEL_HAS_BACKENDS"
        request.force = True
        api.create_model(some[0])
        with api.nothing_changes():
            assert api.refuse("BatchDeleteProviderModels", request).reason == "IMPACT_CHANGED"
        request.validate_only = True
        request.impact_token = ""
        preview = api.call("BatchDeleteProviderModels", request)
        request.validate_only = False
        request.impact_token = preview.impact.impact_token
        answer = api.call("BatchDeleteProviderModels", request)
        assert answer.impact == preview.impact
        assert answer.impact.models_left_unroutable_count == 2
        assert not api.get(model.name).backends

    @pytest.mark.parametrize(
        ("method", "request_type"),
        [
            ("BatchEnableProviderModels", pb.BatchEnableProviderModelsRequest),
            ("BatchDisableProviderModels", pb.BatchDisableProviderModelsRequest),
            ("BatchDeleteProviderModels", pb.BatchDeleteProviderModelsRequest),
        ],
    )
    def test_hold_names_to_their_parent(
        self, api: Api, some: list[provider_model_pb2.ProviderModel], method: str, request_type: Any
    ) -> None:
        here = some[0].name.partition("/models/")[0]
        names = [*self.names(some), "providers/none/models/none"]
        with api.nothing_changes():
            refusal = api.refuse(method, request_type(names=names, parent=here))
            assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("names[3]",))
            assert api.refuse(method, request_type(names=names, parent="p")).fields == ("parent",)
        assert api.call(method, request_type(names=names, parent="providers/-")).failed_count == 1
        assert api.call(method, request_type(names=names[:3], parent=here)).results

    def test_of_a_thousand(self, api: Api, provider: provider_pb2.Provider) -> None:
        names = [f"{provider.name}/models/m{number}" for number in range(1001)]
        request = pb.BatchEnableProviderModelsRequest(names=names[:1000])
        assert api.call("BatchEnableProviderModels", request).failed_count == 1000
        for bad, field in ((names, "names"), ([names[0], names[0]], "names"), ([], "names")):
            refusal = api.refuse("BatchEnableProviderModels", pb.BatchEnableProviderModelsRequest(names=bad))
            assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
        refusal = api.refuse(
            "BatchDisableProviderModels", pb.BatchDisableProviderModelsRequest(names=["models/x"])
        )
        assert refusal.fields == ("names[0]",)


@pytest.fixture(scope="module")
def retiring() -> Iterator[Api]:
    """A registry of its own: retirements are listed over all providers."""
    with wired() as made:
        yield Api(made)


class TestRetirements:
    def test_tell_who_loses_what_when(self, retiring: Api) -> None:
        api = retiring
        now = datetime.now(UTC)

        def ending(parent: str, upstream: str, days: int) -> provider_model_pb2.ProviderModel:
            moment = Timestamp()
            moment.FromDatetime(now + timedelta(days=days))
            return api.create_provider_model(parent, upstream, retire_time=moment)

        here, there = api.create().name, api.create().name
        gone, soon, far = (ending(here, n, d) for n, d in (("gone", -3), ("soon", 20), ("far", 400)))
        next_ = ending(there, "next", 40)
        stays = api.create_provider_model(there, "stays")
        api.call("DisableProviderModel", pb.DisableProviderModelRequest(name=gone.name))
        models = {
            name: api.create_model(*backends, model_id=name)
            for name, backends in (
                ("last", [soon]),
                ("one-by-one", [soon, next_]),
                ("safe", [soon, stays]),
                ("dark", [gone]),
            )
        }
        off = model_pb2.ModelBackend(provider_model=next_.name, disabled=True)
        api.create_model(soon, off, model_id="switched")

        def listed(**request: Any) -> pb.ListRetirementsResponse:
            answer = api.call("ListRetirements", pb.ListRetirementsRequest(**request))
            assert isinstance(answer, pb.ListRetirementsResponse)
            return answer

        near = listed(within_days=30)
        assert [each.provider_model for each in near.retirements] == [gone.name, soon.name]
        assert (near.total_size, near.affected_model_count) == (2, 5)
        assert list(near.models_left_unroutable) == ["models/last", "models/switched"]
        assert near.models_left_unroutable_count == 2
        assert abs(near.horizon_time.ToDatetime(tzinfo=UTC) - now - timedelta(days=30)) < timedelta(minutes=5)
        overdue, ends = near.retirements
        assert (overdue.routable, ends.routable) == (False, True)
        assert (ends.upstream_model_id, ends.retire_time) == ("soon", soon.retire_time)
        assert [(b.model, b.remaining_routable_backends) for b in ends.backends] == [
            ("models/last", 0),
            ("models/one-by-one", 1),
            ("models/safe", 1),
            ("models/switched", 0),
        ]
        assert (ends.backend_count, ends.models_left_unroutable_count) == (4, 2)
        assert [b.model for b in overdue.backends] == ["models/dark"]
        assert not overdue.models_left_unroutable

        by_default = listed()
        assert [each.provider_model for each in by_default.retirements] == [gone.name, soon.name, next_.name]
        assert list(by_default.models_left_unroutable) == [
            "models/last",
            "models/one-by-one",
            "models/switched",
        ]
        at_one = listed(parent=there)
        assert [each.provider_model for each in at_one.retirements] == [next_.name]
        assert list(at_one.models_left_unroutable) == ["models/one-by-one"]
        assert listed(within_days=3650).total_size == 4
        assert far.name == listed(within_days=3650).retirements[-1].provider_model

        first = listed(page_size=2, within_days=90)
        second = listed(page_size=2, within_days=90, page_token=first.next_page_token)
        assert [*first.retirements, *second.retirements] == list(by_default.retirements)
        assert (second.total_size, second.next_page_token) == (3, "")
        assert second.models_left_unroutable == by_default.models_left_unroutable
        refusal = api.refuse(
            "ListRetirements",
            pb.ListRetirementsRequest(within_days=30, page_token=first.next_page_token),
        )
        assert refusal.reason == "INVALID_PAGE_TOKEN"
        assert models["safe"].name in [model.name for model in api.snapshot().models]

    @pytest.mark.parametrize(
        ("request_", "code"),
        [
            (pb.ListRetirementsRequest(within_days=-1), grpc.StatusCode.INVALID_ARGUMENT),
            (pb.ListRetirementsRequest(within_days=3651), grpc.StatusCode.INVALID_ARGUMENT),
            (pb.ListRetirementsRequest(parent="x"), grpc.StatusCode.INVALID_ARGUMENT),
            (pb.ListRetirementsRequest(parent="providers/none"), grpc.StatusCode.NOT_FOUND),
        ],
    )
    def test_refuse(self, api: Api, request_: pb.ListRetirementsRequest, code: grpc.StatusCode) -> None:
        assert api.refuse("ListRetirements", request_).code is code
