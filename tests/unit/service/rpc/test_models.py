"""ModelService: models over provider models, from their creation to what routers see of them."""

from __future__ import annotations

from uuid import UUID, uuid4

import grpc
import pytest
from codevector.providers.v1 import model_pb2, provider_model_pb2
from codevector.providers.v1 import model_service_pb2 as pb
from codevector.providers.v1 import provider_service_pb2 as providers_pb
from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.servers.api import Api, new_name

CHAT = provider_model_pb2.ModelKind.MODEL_KIND_CHAT
EMBEDDING = provider_model_pb2.ModelKind.MODEL_KIND_EMBEDDING
ACTIVE = model_pb2.Model.STATE_ACTIVE
DISABLED = model_pb2.Model.STATE_DISABLED
Backend = model_pb2.ModelBackend


@pytest.fixture
def offered(api: Api) -> list[provider_model_pb2.ProviderModel]:
    """Three chat models at one provider, all of which routing offers."""
    parent = api.create().name
    return [api.create_provider_model(parent, upstream) for upstream in ("a", "b", "c")]


def routed(api: Api, name: str) -> list[tuple[str, int, int]] | None:
    """What routers try for a model, in order; None when they do not know it."""
    for model in api.snapshot().models:
        if model.name == name:
            assert all(backend.routable for backend in model.backends)
            return [(b.provider_model, b.priority, b.weight) for b in model.backends]
    return None


def to(
    model: provider_model_pb2.ProviderModel, priority: int = 0, weight: int = 0, *, disabled: bool = False
) -> model_pb2.ModelBackend:
    return Backend(provider_model=model.name, priority=priority, weight=weight, disabled=disabled)


def adding(
    model: model_pb2.Model, backend: model_pb2.ModelBackend, etag: str = ""
) -> pb.AddModelBackendRequest:
    return pb.AddModelBackendRequest(model=model.name, backend=backend, etag=etag)


class TestCreate:
    def test_with_all_fields(self, api: Api, offered: list[provider_model_pb2.ProviderModel]) -> None:
        a, b, c = offered
        sent = model_pb2.Model(
            display_name=new_name("Smart"),
            description="For everything.\nAlmost.",
            kind=CHAT,
            backends=[to(a, 1), to(b, 0, 2), to(c, 0, 5, disabled=True)],
            labels={"tier": "gold"},
            annotations={"tool/x": "y"},
        )
        made = api.call("CreateModel", pb.CreateModelRequest(model_id="smart.1-x", model=sent))
        assert made.name == "models/smart.1-x"
        assert UUID(made.uid).version == 4
        assert made.state == ACTIVE
        assert made.routable
        assert made.etag.startswith(f"{made.revision}-")
        for field in ("display_name", "description", "kind", "labels", "annotations"):
            assert getattr(made, field) == getattr(sent, field)
        assert [(b.provider_model, b.priority, b.weight, b.disabled, b.routable) for b in made.backends] == [
            (c.name, 0, 5, True, False),
            (b.name, 0, 2, False, True),
            (a.name, 1, 0, False, True),
        ]
        assert api.get(made.name) == made
        assert routed(api, made.name) == [(b.name, 0, 2), (a.name, 1, 1)]

    def test_without_backends_routers_do_not_know_it(self, api: Api) -> None:
        made = api.create_model()
        assert not made.routable
        assert routed(api, made.name) is None

    def test_display_names_need_not_be_unique(self, api: Api) -> None:
        name = new_name()
        one, other = api.create_model(display_name=name), api.create_model(display_name=name)
        assert one.name != other.name

    def test_a_taken_id_is_refused(self, api: Api) -> None:
        made = api.create_model()
        refusal = api.refuse(
            "CreateModel",
            pb.CreateModelRequest(
                model_id=made.name.removeprefix("models/"),
                model=model_pb2.Model(display_name=new_name(), kind=CHAT),
            ),
        )
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "NAME_TAKEN")
        assert refusal.resource == ("codevector/Model", made.name)

    def test_validate_only_answers_and_changes_nothing(
        self, api: Api, offered: list[provider_model_pb2.ProviderModel]
    ) -> None:
        model = model_pb2.Model(display_name="Preview", kind=CHAT, backends=[to(offered[0])])
        with api.nothing_changes():
            made = api.call(
                "CreateModel", pb.CreateModelRequest(model_id="preview", model=model, validate_only=True)
            )
        assert (made.name, made.routable) == ("models/preview", True)

    def test_a_request_id_makes_repeating_safe(self, api: Api) -> None:
        model = model_pb2.Model(display_name=new_name(), kind=CHAT)
        request = pb.CreateModelRequest(model_id=f"again-{uuid4().hex}", model=model, request_id=str(uuid4()))
        made = api.call("CreateModel", request)
        with api.nothing_changes():
            assert api.call("CreateModel", request) == made
        request.model.description = "Another"
        refusal = api.refuse("CreateModel", request)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "REQUEST_ID_REUSED")
        assert refusal.resource == ("codevector/Model", made.name)


class TestWiresThatAreRefused:
    """On creation, on update, and one by one."""

    @pytest.fixture
    def model(self, api: Api, offered: list[provider_model_pb2.ProviderModel]) -> model_pb2.Model:
        return api.create_model(offered[0])

    def test_to_what_does_not_exist(self, api: Api, model: model_pb2.Model) -> None:
        missing = "providers/none/models/none"
        changed = model_pb2.Model(name=model.name, backends=[Backend(provider_model=missing)])
        mask = FieldMask(paths=["backends"])
        fresh = model_pb2.Model(display_name="x", kind=CHAT, backends=changed.backends)
        with api.nothing_changes():
            for method, request in (
                ("CreateModel", pb.CreateModelRequest(model_id="dangling", model=fresh)),
                ("UpdateModel", pb.UpdateModelRequest(model=changed, update_mask=mask)),
                ("AddModelBackend", adding(model, changed.backends[0])),
            ):
                refusal = api.refuse(method, request)
                assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
                assert refusal.resource == ("codevector/ProviderModel", missing)

    def test_to_another_kind(
        self, api: Api, model: model_pb2.Model, offered: list[provider_model_pb2.ProviderModel]
    ) -> None:
        vectors = api.create_provider_model(
            offered[0].name.partition("/models/")[0], "vectors", kind=EMBEDDING
        )
        both = [to(offered[0]), to(vectors)]
        fresh = model_pb2.Model(display_name="x", kind=CHAT, backends=both)
        changed = model_pb2.Model(name=model.name, backends=both)
        with api.nothing_changes():
            for method, request, field in (
                (
                    "CreateModel",
                    pb.CreateModelRequest(model_id="mixed", model=fresh),
                    "model.backends[1].provider_model",
                ),
                (
                    "UpdateModel",
                    pb.UpdateModelRequest(model=changed),
                    "model.backends[1].provider_model",
                ),
                ("AddModelBackend", adding(model, both[1]), "backend.provider_model"),
            ):
                refusal = api.refuse(method, request)
                assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "KIND_MISMATCH")
                assert refusal.fields == (field,)

    def test_twice_to_the_same(
        self, api: Api, model: model_pb2.Model, offered: list[provider_model_pb2.ProviderModel]
    ) -> None:
        twice = [to(offered[1]), to(offered[1], 1)]
        fresh = model_pb2.Model(display_name="x", kind=CHAT, backends=twice)
        with api.nothing_changes():
            refusal = api.refuse("CreateModel", pb.CreateModelRequest(model_id="twice", model=fresh))
            assert refusal.fields == ("model.backends[1].provider_model",)
            changed = model_pb2.Model(name=model.name, backends=twice)
            again = api.refuse("UpdateModel", pb.UpdateModelRequest(model=changed))
            assert (again.code, again.fields) == (refusal.code, refusal.fields)

    def test_the_65th(self, api: Api) -> None:
        parent = api.create().name
        many = [api.create_provider_model(parent, f"m{number}") for number in range(65)]
        fresh = model_pb2.Model(display_name="x", kind=CHAT, backends=[to(each) for each in many])
        refusal = api.refuse("CreateModel", pb.CreateModelRequest(model_id="many", model=fresh))
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("model.backends",))
        full = api.create_model(*many[:64])
        with api.nothing_changes():
            one_more = api.refuse("AddModelBackend", adding(full, to(many[64])))
            assert (one_more.code, one_more.reason) == (
                grpc.StatusCode.FAILED_PRECONDITION,
                "TOO_MANY_BACKENDS",
            )
        assert api.call("AddModelBackend", adding(full, to(many[0], 9))).backends[-1].priority == 9


class TestBackends:
    def test_add_replace_and_remove(self, api: Api, offered: list[provider_model_pb2.ProviderModel]) -> None:
        a, b, _ = offered
        model = api.create_model(a)
        added = api.call("AddModelBackend", adding(model, to(b, 2), model.etag))
        assert [each.provider_model for each in added.backends] == [a.name, b.name]
        assert added.etag != model.etag
        replaced = api.call("AddModelBackend", adding(model, to(a, 3)))
        assert [(each.provider_model, each.priority) for each in replaced.backends] == [
            (b.name, 2),
            (a.name, 3),
        ]
        with api.nothing_changes():
            assert api.call("AddModelBackend", adding(model, to(a, 3))) == replaced
        assert routed(api, model.name) == [(b.name, 2, 1), (a.name, 3, 1)]
        removed = api.call(
            "RemoveModelBackend",
            pb.RemoveModelBackendRequest(model=model.name, provider_model=b.name, etag=replaced.etag),
        )
        assert [each.provider_model for each in removed.backends] == [a.name]
        refusal = api.refuse(
            "RemoveModelBackend", pb.RemoveModelBackendRequest(model=model.name, provider_model=b.name)
        )
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert refusal.resource == ("codevector/ProviderModel", b.name)

    def test_a_stale_etag_is_refused(self, api: Api, offered: list[provider_model_pb2.ProviderModel]) -> None:
        model = api.create_model(offered[0])
        now = api.call("AddModelBackend", adding(model, to(offered[1])))
        refusal = api.refuse("AddModelBackend", adding(model, to(offered[2]), model.etag))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
        assert refusal.metadata["current_etag"] == now.etag
        assert refusal.resource == ("codevector/Model", model.name)

    def test_follow_what_they_lead_to(
        self, api: Api, offered: list[provider_model_pb2.ProviderModel]
    ) -> None:
        """In one revision with it, and without a change of the model itself."""
        a, b, _ = offered
        provider = a.name.partition("/models/")[0]
        model = api.create_model(a, to(b, 1))
        api.call("DisableProviderModel", providers_pb.DisableProviderModelRequest(name=a.name))
        assert int(api.trailers["x-revision"]) == api.snapshot().revision
        assert routed(api, model.name) == [(b.name, 1, 1)]
        seen = api.get(model.name)
        assert [each.routable for each in seen.backends] == [False, True]
        assert (seen.etag, seen.revision) == (model.etag, model.revision)
        api.call("DisableProvider", providers_pb.DisableProviderRequest(name=provider))
        assert routed(api, model.name) is None
        assert not api.get(model.name).routable
        api.call("EnableProvider", providers_pb.EnableProviderRequest(name=provider))
        assert routed(api, model.name) == [(b.name, 1, 1)]


class TestUpdate:
    @pytest.fixture
    def model(self, api: Api, offered: list[provider_model_pb2.ProviderModel]) -> model_pb2.Model:
        return api.create_model(offered[0], description="Before", labels={"a": "1"}, annotations={"n": "1"})

    def test_writes_what_the_mask_names(self, api: Api, model: model_pb2.Model) -> None:
        changed = model_pb2.Model(name=model.name, display_name="After", description="After")
        after = api.update(changed, "description")
        assert (after.display_name, after.description) == (model.display_name, "After")
        assert after.revision > model.revision

    def test_without_a_mask_writes_what_is_set(self, api: Api, model: model_pb2.Model) -> None:
        after = api.update(model_pb2.Model(name=model.name, labels={"b": "2"}))
        assert (dict(after.labels), after.description) == ({"b": "2"}, "Before")
        assert after.backends == model.backends

    def test_with_a_star_replaces_all(self, api: Api, model: model_pb2.Model) -> None:
        after = api.update(model_pb2.Model(name=model.name, display_name="Bare"), "*")
        assert (after.display_name, after.description) == ("Bare", "")
        assert (list(after.backends), dict(after.labels), dict(after.annotations)) == ([], {}, {})
        assert routed(api, model.name) is None

    def test_sent_back_as_it_was_changes_nothing(self, api: Api, model: model_pb2.Model) -> None:
        with api.nothing_changes():
            assert api.update(model, "display_name", "description", "backends", "labels") == model

    @pytest.mark.parametrize(
        ("field", "reason", "paths"),
        [
            ("update_mask", "INVALID_UPDATE_MASK", ["routable"]),
            ("update_mask", "INVALID_UPDATE_MASK", ["backends.priority"]),
            ("update_mask", "INVALID_UPDATE_MASK", ["none"]),
            ("model.kind", "FIELD_IMMUTABLE", ["kind"]),
            ("model.display_name", "INVALID_FIELD", ["display_name"]),
        ],
    )
    def test_refuses(
        self, api: Api, model: model_pb2.Model, field: str, reason: str, paths: list[str]
    ) -> None:
        changed = model_pb2.Model(name=model.name, kind=EMBEDDING)
        request = pb.UpdateModelRequest(model=changed, update_mask=FieldMask(paths=paths))
        refusal = api.refuse("UpdateModel", request)
        assert (refusal.code, refusal.fields, refusal.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            (field,),
            reason,
        )

    def test_may_create(self, api: Api) -> None:
        name = f"models/{uuid4().hex}"
        sent = model_pb2.Model(name=name, display_name="Made", kind=CHAT)
        assert api.refuse("UpdateModel", pb.UpdateModelRequest(model=sent)).resource == (
            "codevector/Model",
            name,
        )
        assert api.update(sent, allow_missing=True).name == name
        sent.display_name = "Changed"
        assert api.update(sent, allow_missing=True).display_name == "Changed"
        missing = model_pb2.Model(name=f"models/{uuid4().hex}", display_name="No kind")
        refusal = api.refuse("UpdateModel", pb.UpdateModelRequest(model=missing, allow_missing=True))
        assert refusal.fields == ("model.kind",)


class TestState:
    def test_disabled_it_is_gone_for_routers_and_kept(
        self, api: Api, offered: list[provider_model_pb2.ProviderModel]
    ) -> None:
        model = api.create_model(offered[0])
        off = api.call("DisableModel", pb.DisableModelRequest(name=model.name, etag=model.etag))
        assert (off.state, off.routable, off.backends[0].routable) == (DISABLED, False, True)
        assert routed(api, model.name) is None
        with api.nothing_changes():
            assert api.call("DisableModel", pb.DisableModelRequest(name=model.name)) == off
        on = api.call("EnableModel", pb.EnableModelRequest(name=model.name))
        assert (on.state, on.routable) == (ACTIVE, True)
        assert routed(api, model.name) == [(offered[0].name, 0, 1)]


class TestDelete:
    def test_takes_its_backends_and_nothing_else(
        self, api: Api, offered: list[provider_model_pb2.ProviderModel]
    ) -> None:
        model = api.create_model(*offered)
        with api.nothing_changes():
            preview = api.call("DeleteModel", pb.DeleteModelRequest(name=model.name, validate_only=True))
        assert preview.revision == 0
        assert [(each.model, each.provider_model) for each in preview.impact.backends] == [
            (model.name, each.name) for each in sorted(offered, key=lambda one: one.name)
        ]
        assert {each.remaining_routable_backends for each in preview.impact.backends} == {0}
        assert preview.impact.backend_count == len(offered)
        assert list(preview.impact.models_left_unroutable) == [model.name]
        assert (preview.impact.provider_model_count, preview.impact.credential_destroyed) == (0, False)
        stale = api.refuse("DeleteModel", pb.DeleteModelRequest(name=model.name, etag="1-00000000"))
        assert stale.reason == "ETAG_MISMATCH"
        before = api.revision()
        deleted = api.call(
            "DeleteModel",
            pb.DeleteModelRequest(name=model.name, etag=model.etag, impact_token=preview.impact.impact_token),
        )
        assert deleted.impact == preview.impact
        assert deleted.revision == int(api.trailers["x-revision"]) == before + 1 == api.revision()
        assert routed(api, model.name) is None
        assert [api.get(each.name) for each in offered] == offered
        gone = api.refuse("DeleteModel", pb.DeleteModelRequest(name=model.name))
        assert (gone.code, gone.resource) == (
            grpc.StatusCode.NOT_FOUND,
            ("codevector/Model", model.name),
        )
        with api.nothing_changes():
            none = api.call("DeleteModel", pb.DeleteModelRequest(name=model.name, allow_missing=True))
        assert none.impact == type(none.impact)()

    def test_a_preview_does_not_outlive_what_it_said(
        self, api: Api, offered: list[provider_model_pb2.ProviderModel]
    ) -> None:
        model = api.create_model(offered[0])
        request = pb.DeleteModelRequest(name=model.name, validate_only=True)
        request.impact_token = api.call("DeleteModel", request).impact.impact_token
        request.validate_only = False
        api.call(
            "AddModelBackend",
            pb.AddModelBackendRequest(
                model=model.name, backend=model_pb2.ModelBackend(provider_model=offered[1].name)
            ),
        )
        with api.nothing_changes():
            refusal = api.refuse("DeleteModel", request)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "IMPACT_CHANGED")


@pytest.fixture(scope="module")
def label(api: Api) -> str:
    """Five models of one label: one over each of two providers, over both, over none, and disabled."""
    label = f"l{uuid4().hex[:8]}"
    a, b = (api.create_provider_model(api.create().name) for _ in range(2))
    for name, backends in (("one", [a]), ("two", [b]), ("both", [a, b]), ("none", []), ("off", [a])):
        api.create_model(
            *backends, display_name=f"{label} {name}", model_id=f"{label}-{name}", labels={"of": label}
        )
    api.call("DisableModel", pb.DisableModelRequest(name=f"models/{label}-off"))
    return label


class TestList:
    def found(self, api: Api, label: str, keep: str = "", order_by: str = "") -> list[str]:
        keep = keep.replace("{A}", api.get(f"models/{label}-one").backends[0].provider_model)
        request = pb.ListModelsRequest(
            filter=f"labels.of = {label} {'AND' if keep else ''} {keep}", order_by=order_by
        )
        pages = list(api.pages("ListModels", request, size=2))
        names = [model.name.rpartition("-")[2] for page in pages for model in page.models]
        assert {page.total_size for page in pages} == {len(names)}
        return names

    @pytest.mark.parametrize(
        ("keep", "expected"),
        [
            ("", ["both", "none", "off", "one", "two"]),
            ("routable = true", ["both", "one", "two"]),
            ("routable = false", ["none", "off"]),
            ("NOT routable = true", ["none", "off"]),
            ("state = STATE_DISABLED", ["off"]),
            ("kind = MODEL_KIND_EMBEDDING", []),
            ("kind = chat AND routable != false", ["both", "one", "two"]),
            ("backends.provider_model:{A}", ["both", "off", "one"]),
            ("NOT backends.provider_model:{A}", ["none", "two"]),
            ("backends.provider_model:*", ["both", "off", "one", "two"]),
            ("backends.provider_model:providers/none", []),
            ("nOnE", ["none"]),
        ],
    )
    def test_filters(self, api: Api, label: str, keep: str, expected: list[str]) -> None:
        assert self.found(api, label, keep) == expected

    def test_a_whole_provider(self, api: Api, label: str) -> None:
        provider = api.get(f"models/{label}-two").backends[0].provider_model.partition("/models/")[0]
        assert self.found(api, label, f"backends.provider_model:{provider}") == ["both", "two"]

    @pytest.mark.parametrize(
        ("order_by", "expected"),
        [
            ("display_name desc", ["two", "one", "off", "none", "both"]),
            ("name", ["both", "none", "off", "one", "two"]),
            ("create_time", ["one", "two", "both", "none", "off"]),
            ("update_time desc", ["off", "none", "both", "two", "one"]),
            ("kind", ["both", "none", "off", "one", "two"]),
            ("kind desc, name desc", ["two", "one", "off", "none", "both"]),
            (" kind ,create_time asc ", ["one", "two", "both", "none", "off"]),
        ],
    )
    def test_orders(self, api: Api, label: str, order_by: str, expected: list[str]) -> None:
        assert self.found(api, label, order_by=order_by) == expected

    @pytest.mark.parametrize(
        ("request_", "reason"),
        [
            (pb.ListModelsRequest(filter="description = x"), "INVALID_FILTER"),
            (pb.ListModelsRequest(filter="backends.provider_model = x"), "INVALID_FILTER"),
            (pb.ListModelsRequest(order_by="state"), "INVALID_FIELD"),
            (pb.ListModelsRequest(page_token="x"), "INVALID_PAGE_TOKEN"),
        ],
    )
    def test_refuses(self, api: Api, request_: pb.ListModelsRequest, reason: str) -> None:
        refusal = api.refuse("ListModels", request_)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
