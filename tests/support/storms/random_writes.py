"""Random writes to a small registry, for several who change the same things: method and request.

What a write needs may not be there, or be there already: that is no failure.
"""

from __future__ import annotations

import random

from codevector.providers.v1 import (
    model_pb2,
    model_service_pb2,
    provider_model_pb2,
    provider_pb2,
)
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.message import Message

from tests.support.servers.api import openai_compatible

PROVIDERS = tuple(f"p{number}" for number in range(5))
PROVIDER_MODELS = tuple(f"m{number}" for number in range(4))
MODELS = tuple(f"f{number}" for number in range(4))
CHAT = provider_model_pb2.ModelKind.MODEL_KIND_CHAT


def some_write(chance: random.Random) -> tuple[str, Message]:
    """One of them."""
    provider_id, provider_model_id, model_id = map(chance.choice, (PROVIDERS, PROVIDER_MODELS, MODELS))
    parent, model = f"providers/{provider_id}", f"models/{model_id}"
    provider_model = f"{parent}/models/{provider_model_id}"
    names = [f"providers/{p}/models/{m}" for p in PROVIDERS for m in PROVIDER_MODELS]
    some = chance.sample(names, chance.randint(1, 3))
    word = {"word": str(chance.getrandbits(32))}
    wire = model_pb2.ModelBackend(provider_model=provider_model, priority=chance.randint(0, 2))
    labelled = provider_pb2.Provider(name=parent, labels=word)
    annotated = provider_pb2.Provider(name=parent, annotations=word)
    labelled_provider_model = provider_model_pb2.ProviderModel(name=provider_model, labels=word)
    likely: tuple[tuple[int, Message], ...] = (
        (2, _creation(provider_id)),
        (3, _provider_model_creation(parent, provider_model_id)),
        (2, _model_creation(model_id, some)),
        (2, model_service_pb2.AddModelBackendRequest(model=model, backend=wire)),
        (1, model_service_pb2.RemoveModelBackendRequest(model=model, provider_model=provider_model)),
        (1, pb.DisableProviderRequest(name=parent)),
        (1, pb.EnableProviderRequest(name=parent)),
        (1, pb.DisableProviderModelRequest(name=provider_model)),
        (1, pb.EnableProviderModelRequest(name=provider_model)),
        (1, pb.BatchDisableProviderModelsRequest(names=some)),
        (1, pb.BatchEnableProviderModelsRequest(names=some)),
        (1, model_service_pb2.DisableModelRequest(name=model)),
        (1, model_service_pb2.EnableModelRequest(name=model)),
        (1, pb.UpdateProviderRequest(provider=labelled, update_mask={"paths": ["labels"]})),
        (1, pb.UpdateProviderRequest(provider=annotated, update_mask={"paths": ["annotations"]})),
        (
            1,
            pb.UpdateProviderModelRequest(
                provider_model=labelled_provider_model, update_mask={"paths": ["labels"]}
            ),
        ),
        (1, pb.DeleteProviderRequest(name=parent, force=True)),
        (1, pb.DeleteProviderModelRequest(name=provider_model, force=True)),
        (1, model_service_pb2.DeleteModelRequest(name=model)),
    )
    [request] = chance.choices([one for _, one in likely], [weight for weight, _ in likely])
    return type(request).__name__.removesuffix("Request"), request


def _creation(provider_id: str) -> pb.CreateProviderRequest:
    provider = provider_pb2.Provider(
        display_name=provider_id,
        kind=provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE,
        config=openai_compatible(),
    )
    return pb.CreateProviderRequest(provider_id=provider_id, provider=provider)


def _provider_model_creation(parent: str, provider_model_id: str) -> pb.CreateProviderModelRequest:
    provider_model = provider_model_pb2.ProviderModel(upstream_model_id=provider_model_id, kind=CHAT)
    return pb.CreateProviderModelRequest(
        parent=parent, provider_model_id=provider_model_id, provider_model=provider_model
    )


def _model_creation(model_id: str, backends: list[str]) -> model_service_pb2.CreateModelRequest:
    model = model_pb2.Model(
        display_name=model_id,
        kind=CHAT,
        backends=[model_pb2.ModelBackend(provider_model=backend) for backend in backends],
    )
    return model_service_pb2.CreateModelRequest(model_id=model_id, model=model)
