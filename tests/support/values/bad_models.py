"""Bad models, wires, deletions and batches, and what must be said to them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from codevector.providers.v1 import model_pb2, provider_model_pb2
from codevector.providers.v1 import model_service_pb2 as models_pb
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.values.bad_input import CANARY, CHAT, NOT_FOUND, Case, Make, World

EMBEDDING = provider_model_pb2.ModelKind.MODEL_KIND_EMBEDDING
WIRE = "model.backends[0].provider_model"


def model(**fields: Any) -> Make:
    return lambda _: models_pb.CreateModelRequest(
        model_id=uuid4().hex, model=model_pb2.Model(**{"display_name": "Bad", "kind": CHAT, **fields})
    )


def wired(*provider_models: str) -> Make:
    return model(backends=[model_pb2.ModelBackend(provider_model=name) for name in provider_models])


def over_custom(world: World, count: int, **fields: Any) -> models_pb.CreateModelRequest:
    """A model wired to the world's custom model, so many times."""
    backends = [model_pb2.ModelBackend(provider_model=world.custom.name)] * count
    model = model_pb2.Model(**{"display_name": "Bad", "kind": CHAT, "backends": backends, **fields})
    return models_pb.CreateModelRequest(model_id=uuid4().hex, model=model)


CASES = (
    Case("model-missing", lambda _: models_pb.CreateModelRequest(model_id="x"), ("model",)),
    Case("model-name-empty", model(display_name=""), ("model.display_name",)),
    Case("model-name-blank", model(display_name=" "), ("model.display_name",)),
    Case("model-name-of-64", model(display_name=CANARY + "x" * 53), ("model.display_name",), sent=(CANARY,)),
    Case("model-without-kind", model(kind=0), ("model.kind",)),
    Case("model-description-nul", model(description=f"{CANARY}\x00"), ("model.description",), sent=(CANARY,)),
    Case("model-description-long", model(description=CANARY * 99), ("model.description",), sent=(CANARY,)),
    Case("model-label-line-break", model(labels={"k": f"{CANARY}\n"}), ("model.labels",), sent=(CANARY,)),
    Case(
        "model-id-capital",
        lambda _: models_pb.CreateModelRequest(
            model_id=CANARY, model=model_pb2.Model(display_name="Bad", kind=CHAT)
        ),
        ("model_id",),
        sent=(CANARY,),
    ),
    Case("wire-malformed", wired(f"providers/p/models/{CANARY}"), (WIRE,), sent=(CANARY,)),
    Case("wire-to-a-provider", wired("providers/p"), (WIRE,)),
    Case("wire-to-a-model", wired("models/m"), (WIRE,)),
    Case(
        "wire-to-nothing",
        wired("providers/none/models/none"),
        code=NOT_FOUND,
        reason="RESOURCE_NOT_FOUND",
    ),
    Case("wires-of-65", wired(*(f"providers/p/models/m{n}" for n in range(65))), ("model.backends",)),
    Case("wire-twice", lambda world: over_custom(world, 2), ("model.backends[1].provider_model",)),
    Case(
        "wire-to-another-kind",
        lambda world: over_custom(world, 1, kind=EMBEDDING),
        (WIRE,),
        reason="KIND_MISMATCH",
    ),
    Case(
        "wire-to-another-kind-65",
        lambda world: over_custom(world, 65, kind=EMBEDDING),
        ("model.backends",),
    ),
    Case(
        "batch-malformed",
        lambda _: pb.BatchDeleteProviderModelsRequest(names=[f"providers/p/models/{CANARY}"]),
        ("names[0]",),
        sent=(CANARY,),
    ),
    Case(
        "batch-of-1001",
        lambda _: pb.BatchDisableProviderModelsRequest(
            names=[f"providers/p/models/m{n}" for n in range(1001)]
        ),
        ("names",),
    ),
    Case("batch-of-none", lambda _: pb.BatchEnableProviderModelsRequest(), ("names",)),
    Case(
        "model-filter-of-wires",
        lambda _: models_pb.ListModelsRequest(filter=f"backends.provider_model < {CANARY}"),
        ("filter",),
        reason="INVALID_FILTER",
        sent=(CANARY,),
    ),
)
