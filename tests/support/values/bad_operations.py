"""Bad operations: queries, masks, and requests that do not fit what is there."""

from __future__ import annotations

from codevector.providers.v1 import provider_model_pb2, provider_pb2, routing_service_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.servers.api import (
    API_KEY,
    KINDS,
    api_key,
    new_name,
)
from tests.support.values.bad_input import (
    ABORTED,
    CANARY,
    CHAT,
    EXISTS,
    FAILED,
    HOST,
    NOT_FOUND,
    OPENAI,
    Case,
    filtered,
    updating,
    updating_model,
)

NESTED = "(" * 17 + "x" + ")" * 17
QUERIES = (
    *(
        Case(f"filter-{name}", filtered(text), ("filter",), reason="INVALID_FILTER", sent=(CANARY,))
        for name, text in {
            "unknown-field": f"{CANARY} = 1",
            "unknown-operator": f"display_name == {CANARY}",
            "operator-of-another-type": f"kind < {CANARY}",
            "unknown-kind": f"kind = {CANARY}",
            "half": f'display_name = "{CANARY}',
            "time-malformed": f"create_time > {CANARY}",
            "deep": NESTED.replace("x", CANARY),
            "many-terms": " ".join([CANARY] * 65),
            "control-character": f"{CANARY}\x00",
        }.items()
    ),
    Case("filter-of-1025", filtered(CANARY + "x" * 1024), ("filter",), sent=(CANARY,)),
    Case(
        "filter-unknown-field-of-models",
        lambda _: pb.ListProviderModelsRequest(parent="providers/-", filter=f"{CANARY}:1"),
        ("filter",),
        reason="INVALID_FILTER",
        sent=(CANARY,),
    ),
    Case(
        "filter-unknown-field-of-active-models",
        lambda _: routing_service_pb2.ListActiveProviderModelsRequest(filter=f"{CANARY}:1"),
        ("filter",),
        reason="INVALID_FILTER",
        sent=(CANARY,),
    ),
    Case("order-unknown", lambda _: pb.ListProvidersRequest(order_by=CANARY), ("order_by",), sent=(CANARY,)),
    Case("order-empty-field", lambda _: pb.ListProvidersRequest(order_by="kind,"), ("order_by",)),
    Case("order-field-twice", lambda _: pb.ListProvidersRequest(order_by="kind, kind desc"), ("order_by",)),
    Case("order-no-comma", lambda _: pb.ListProvidersRequest(order_by="kind display_name"), ("order_by",)),
    Case(
        "order-unknown-of-models",
        lambda _: pb.ListProviderModelsRequest(parent="providers/-", order_by=CANARY),
        ("order_by",),
        sent=(CANARY,),
    ),
    Case("page-size-negative", lambda _: pb.ListProvidersRequest(page_size=-1), ("page_size",)),
    *(
        Case(f"page-token-{name}", request, ("page_token",), reason="INVALID_PAGE_TOKEN")
        for name, request in {
            "made-up": lambda _: pb.ListProvidersRequest(page_token=CANARY),
            "edited": lambda world: pb.ListProvidersRequest(page_token=f"{world.page_token[:-4]}AAAA"),
            "of-another-filter": lambda world: pb.ListProvidersRequest(
                page_token=world.page_token, filter="x"
            ),
            "of-another-order": lambda world: pb.ListProvidersRequest(
                page_token=world.page_token, order_by="kind"
            ),
            "of-another-list": lambda world: pb.ListCatalogsRequest(page_token=world.page_token),
            "of-another-parent": lambda world: pb.ListProviderModelsRequest(
                parent="providers/-", page_token=world.models_page_token
            ),
            "of-routing": lambda world: routing_service_pb2.ListActiveProviderModelsRequest(
                page_token=world.models_page_token
            ),
        }.items()
    ),
    Case(
        "snapshot-revision-negative",
        lambda _: routing_service_pb2.GetRoutingSnapshotRequest(if_revision_not=-1),
        ("if_revision_not",),
    ),
    Case("sealed-none", lambda _: routing_service_pb2.BatchGetSealedCredentialsRequest(), ("providers",)),
    Case(
        "sealed-twice",
        lambda world: routing_service_pb2.BatchGetSealedCredentialsRequest(
            providers=[world.provider.name] * 2
        ),
        ("providers",),
    ),
    Case(
        "sealed-malformed-name",
        lambda world: routing_service_pb2.BatchGetSealedCredentialsRequest(
            providers=[world.provider.name, CANARY]
        ),
        ("providers[1]",),
        sent=(CANARY,),
    ),
)

MASKS = (
    *(
        Case(
            f"mask-{path}",
            updating(path, display_name="x"),
            ("update_mask",),
            reason="INVALID_UPDATE_MASK",
        )
        for path in (
            "nope",
            "uid",
            "state",
            "credential",
            "details",
            "model_count",
            "create_time",
            "revision",
            "etag",
            "name",
            "config.openai",
            "config.openai.base_url",
            "labels.team",
            "displayName",
        )
    ),
    Case("mask-star-and-more", updating("*", "labels"), ("update_mask",), reason="INVALID_UPDATE_MASK"),
    Case("mask-empty-path", updating(""), ("update_mask",), reason="INVALID_UPDATE_MASK"),
    Case(
        "mask-secret-in-it",
        updating(f"{CANARY} {API_KEY}"),
        ("update_mask",),
        reason="INVALID_UPDATE_MASK",
        sent=(CANARY, API_KEY),
    ),
    *(
        Case(
            f"mask-of-model-{path}",
            updating_model(path, display_name="x"),
            ("update_mask",),
            reason="INVALID_UPDATE_MASK",
        )
        for path in (
            "nope",
            "state",
            "routable",
            "overridden_fields",
            "needs_review",
            "pricing.tiers",
            "source",
        )
    ),
    Case(
        "mask-unknown-on-a-missing-one",
        lambda _: pb.UpdateProviderRequest(
            provider=provider_pb2.Provider(name="providers/unborn", display_name="Unborn", kind=OPENAI),
            update_mask=FieldMask(paths=["nope"]),
            allow_missing=True,
        ),
        ("update_mask",),
        reason="INVALID_UPDATE_MASK",
    ),
    Case(
        "label-value-control-character-update",
        updating("labels", labels={"k": f"{CANARY}\x07"}),
        ("provider.labels",),
        sent=(CANARY,),
    ),
    Case(
        "model-label-value-control-character-update",
        updating_model("labels", labels={"k": f"{CANARY}\x07"}),
        ("provider_model.labels",),
        sent=(CANARY,),
    ),
    Case("clear-display-name", updating("display_name"), ("provider.display_name",)),
    Case("clear-display-name-by-star", updating("*"), ("provider.display_name",)),
    Case("clear-kind", updating("kind"), ("provider.kind",), reason="FIELD_IMMUTABLE"),
    Case(
        "change-kind",
        updating("kind", kind=KINDS.PROVIDER_KIND_GROQ),
        ("provider.kind",),
        reason="FIELD_IMMUTABLE",
    ),
    Case(
        "change-kind-without-mask",
        updating(display_name="x", kind=KINDS.PROVIDER_KIND_GROQ),
        ("provider.kind",),
        reason="FIELD_IMMUTABLE",
    ),
    Case(
        "change-upstream-id",
        updating_model("upstream_model_id", upstream_model_id=CANARY),
        ("provider_model.upstream_model_id",),
        reason="FIELD_IMMUTABLE",
        sent=(CANARY,),
    ),
    Case(
        "change-model-kind",
        updating_model(kind=provider_model_pb2.ModelKind.MODEL_KIND_EMBEDDING),
        ("provider_model.kind",),
        reason="FIELD_IMMUTABLE",
    ),
    Case(
        "clear-model-kind",
        updating_model("kind"),
        ("provider_model.kind",),
        reason="FIELD_IMMUTABLE",
    ),
)

STATE = (
    Case(
        "no-such-provider",
        lambda _: pb.GetProviderRequest(name="providers/none"),
        code=NOT_FOUND,
        reason="RESOURCE_NOT_FOUND",
    ),
    *(
        Case(f"no-such-provider-{name}", request, code=NOT_FOUND, reason="RESOURCE_NOT_FOUND")
        for name, request in {
            "update": lambda _: pb.UpdateProviderRequest(
                provider=provider_pb2.Provider(name="providers/none", display_name="x")
            ),
            "delete": lambda _: pb.DeleteProviderRequest(name="providers/none"),
            "delete-preview": lambda _: pb.DeleteProviderRequest(name="providers/none", validate_only=True),
            "enable": lambda _: pb.EnableProviderRequest(name="providers/none"),
            "disable": lambda _: pb.DisableProviderRequest(name="providers/none"),
            "set-credential": lambda _: pb.SetProviderCredentialRequest(
                name="providers/none", credential=api_key()
            ),
            "list-models": lambda _: pb.ListProviderModelsRequest(parent="providers/none"),
            "create-model": lambda _: pb.CreateProviderModelRequest(
                parent="providers/none",
                provider_model=provider_model_pb2.ProviderModel(upstream_model_id="x", kind=CHAT),
            ),
            "import": lambda _: pb.ImportProviderModelsRequest(parent="providers/none"),
        }.items()
    ),
    *(
        Case(f"no-such-model-{name}", request, code=NOT_FOUND, reason="RESOURCE_NOT_FOUND")
        for name, request in {
            "get": lambda world: pb.GetProviderModelRequest(name=f"{world.provider.name}/models/none"),
            "get-of-no-provider": lambda _: pb.GetProviderModelRequest(name="providers/none/models/none"),
            "update": lambda world: pb.UpdateProviderModelRequest(
                provider_model=provider_model_pb2.ProviderModel(name=f"{world.provider.name}/models/none")
            ),
            "delete": lambda world: pb.DeleteProviderModelRequest(name=f"{world.provider.name}/models/none"),
            "enable": lambda world: pb.EnableProviderModelRequest(name=f"{world.provider.name}/models/none"),
            "disable": lambda world: pb.DisableProviderModelRequest(
                name=f"{world.provider.name}/models/none"
            ),
            "update-of-no-provider": lambda _: pb.UpdateProviderModelRequest(
                provider_model=provider_model_pb2.ProviderModel(
                    name="providers/none/models/none", upstream_model_id="x", kind=CHAT
                ),
                allow_missing=True,
            ),
        }.items()
    ),
    Case(
        "no-catalog",
        lambda _: pb.GetCatalogRequest(name="catalogs/openai-compatible"),
        code=NOT_FOUND,
        reason="RESOURCE_NOT_FOUND",
    ),
    Case(
        "catalog-of-no-kind",
        lambda _: pb.GetCatalogRequest(name="catalogs/none"),
        code=NOT_FOUND,
        reason="RESOURCE_NOT_FOUND",
    ),
    Case(
        "catalog-version-not-bundled",
        lambda _: pb.GetCatalogRequest(name="catalogs/openai", catalog_version="1999.01.01"),
        code=FAILED,
        reason="CATALOG_VERSION_UNAVAILABLE",
    ),
    Case(
        "id-taken",
        lambda world: pb.CreateProviderRequest(
            provider_id=world.provider.name.removeprefix("providers/"),
            provider=provider_pb2.Provider(display_name=new_name(), kind=OPENAI),
        ),
        code=EXISTS,
        reason="NAME_TAKEN",
    ),
    Case(
        "display-name-taken-in-other-case",
        lambda world: pb.CreateProviderRequest(
            provider=provider_pb2.Provider(display_name=world.provider.display_name.upper(), kind=OPENAI)
        ),
        code=EXISTS,
        reason="DISPLAY_NAME_TAKEN",
    ),
    Case(
        "model-id-taken",
        lambda world: pb.CreateProviderModelRequest(
            parent=world.provider.name,
            provider_model_id="custom-1",
            provider_model=provider_model_pb2.ProviderModel(upstream_model_id="another", kind=CHAT),
        ),
        code=EXISTS,
        reason="NAME_TAKEN",
    ),
    *(
        Case(f"etag-stale-{name}", request, code=ABORTED, reason="ETAG_MISMATCH", sent=("1-00000000",))
        for name, request in {
            "update": lambda world: pb.UpdateProviderRequest(
                provider=provider_pb2.Provider(name=world.provider.name, display_name="x", etag="1-00000000")
            ),
            "enable": lambda world: pb.EnableProviderRequest(name=world.provider.name, etag="1-00000000"),
            "disable": lambda world: pb.DisableProviderRequest(name=world.provider.name, etag="1-00000000"),
            "delete": lambda world: pb.DeleteProviderRequest(
                name=world.provider.name, etag="1-00000000", force=True
            ),
            "update-model": lambda world: pb.UpdateProviderModelRequest(
                provider_model=provider_model_pb2.ProviderModel(
                    name=world.custom.name, display_name="x", etag="1-00000000"
                )
            ),
            "disable-model": lambda world: pb.DisableProviderModelRequest(
                name=world.custom.name, etag="1-00000000"
            ),
            "delete-model": lambda world: pb.DeleteProviderModelRequest(
                name=world.custom.name, etag="1-00000000"
            ),
        }.items()
    ),
    Case(
        "request-id-reused",
        lambda world: pb.CreateProviderRequest(
            provider=provider_pb2.Provider(display_name=new_name(CANARY), kind=OPENAI),
            request_id=world.used_request_id,
        ),
        code=ABORTED,
        reason="REQUEST_ID_REUSED",
        sent=(CANARY,),
    ),
    Case(
        "request-id-reused-with-another-secret",
        lambda world: pb.CreateProviderRequest(
            provider=provider_pb2.Provider(
                display_name=world.provider.display_name, kind=OPENAI, labels={"team": "blue"}
            ),
            credential=api_key(CANARY),
            request_id=world.used_request_id,
        ),
        code=ABORTED,
        reason="REQUEST_ID_REUSED",
        sent=(CANARY,),
    ),
    Case(
        "expected-version-stale",
        lambda world: pb.SetProviderCredentialRequest(
            name=world.provider.name, credential=api_key(CANARY), expected_version=7
        ),
        code=ABORTED,
        reason="CREDENTIAL_VERSION_MISMATCH",
        sent=(CANARY,),
    ),
    Case(
        "impact-token-stale",
        lambda world: pb.DeleteProviderRequest(name=world.provider.name, force=True, impact_token=CANARY),
        code=ABORTED,
        reason="IMPACT_CHANGED",
        sent=(CANARY,),
    ),
    Case(
        "impact-token-of-model-stale",
        lambda world: pb.DeleteProviderModelRequest(name=world.custom.name, impact_token=CANARY),
        code=ABORTED,
        reason="IMPACT_CHANGED",
        sent=(CANARY,),
    ),
    Case(
        "delete-with-models",
        lambda world: pb.DeleteProviderRequest(name=world.provider.name),
        code=FAILED,
        reason="PROVIDER_HAS_MODELS",
    ),
    Case(
        "retarget-without-credential",
        updating(
            "config",
            config=provider_pb2.ProviderConfig(
                openai=provider_pb2.OpenAIConfig(base_url=f"https://{HOST}/v1")
            ),
        ),
        code=FAILED,
        reason="CREDENTIAL_REENTRY_REQUIRED",
        sent=(HOST,),
    ),
)

CASES = (*QUERIES, *MASKS, *STATE)
