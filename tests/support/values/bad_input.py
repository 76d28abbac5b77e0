"""Bad requests and what must be said to them: how a case is written, and what its request refers to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from codevector.providers.v1 import provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from tests.support.servers.api import (
    KINDS,
    new_name,
    openai_compatible,
    vertex_config,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
EXISTS = grpc.StatusCode.ALREADY_EXISTS
ABORTED = grpc.StatusCode.ABORTED
FAILED = grpc.StatusCode.FAILED_PRECONDITION

CANARY = "cAnArY-7c1f"
HOST = f"{CANARY.lower()}.example.com"
CHAT = provider_model_pb2.ModelKind.MODEL_KIND_CHAT
OPENAI = KINDS.PROVIDER_KIND_OPENAI


@dataclass(frozen=True, slots=True)
class World:
    """What the requests below refer to: a provider with a credential and models, as it is throughout."""

    provider: provider_pb2.Provider
    custom: provider_model_pb2.ProviderModel
    imported: provider_model_pb2.ProviderModel
    used_request_id: str
    page_token: str
    models_page_token: str


Make = Callable[[World], Message]


@dataclass(frozen=True, slots=True)
class Case:
    """A request and what is said to it. ``sent`` are values of it that nothing may repeat."""

    id: str
    request: Make
    fields: tuple[str, ...] = ()
    code: grpc.StatusCode = INVALID
    reason: str = "INVALID_FIELD"
    sent: tuple[str, ...] = ()


def creating(
    provider: provider_pb2.Provider | None = None,
    credential: provider_pb2.CredentialInput | None = None,
    **request: Any,
) -> Make:
    return lambda _: pb.CreateProviderRequest(
        provider=provider or provider_pb2.Provider(display_name=new_name(), kind=OPENAI),
        credential=credential,
        **request,
    )


def named(display_name: str) -> Make:
    return creating(provider_pb2.Provider(display_name=display_name, kind=OPENAI))


def configured(config: provider_pb2.ProviderConfig | None, kind: int) -> Make:
    return lambda _: pb.CreateProviderRequest(
        provider=provider_pb2.Provider(display_name=new_name(), kind=kind, config=config)  # type: ignore[arg-type]
    )


def based(base_url: str) -> Make:
    return configured(openai_compatible(base_url), KINDS.PROVIDER_KIND_OPENAI_COMPATIBLE)


def with_headers(**headers: str) -> Make:
    return configured(openai_compatible(**headers), KINDS.PROVIDER_KIND_OPENAI_COMPATIBLE)


def with_credential(
    credential: provider_pb2.CredentialInput,
    kind: int = OPENAI,
    config: provider_pb2.ProviderConfig | None = None,
) -> Make:
    return lambda _: pb.CreateProviderRequest(
        provider=provider_pb2.Provider(display_name=new_name(), kind=kind, config=config),  # type: ignore[arg-type]
        credential=credential,
    )


def with_service_account(credential: provider_pb2.CredentialInput) -> Make:
    return with_credential(credential, KINDS.PROVIDER_KIND_VERTEX, vertex_config())


def json_file(text: str) -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(
        gcp_service_account_key=provider_pb2.GcpServiceAccountKeyCredential(json=text)
    )


def modelled(**facts: Any) -> Make:
    return lambda world: pb.CreateProviderModelRequest(
        parent=world.provider.name,
        provider_model=provider_model_pb2.ProviderModel(
            **{"upstream_model_id": new_name("m").replace(" ", "-"), "kind": CHAT, **facts}
        ),
    )


def priced(**prices: Any) -> Make:
    return modelled(pricing=provider_model_pb2.Pricing(**{"currency_code": "USD", **prices}))


def updating(*paths: str, **fields: Any) -> Make:
    return lambda world: pb.UpdateProviderRequest(
        provider=provider_pb2.Provider(name=world.provider.name, **fields), update_mask=FieldMask(paths=paths)
    )


def updating_model(*paths: str, **fields: Any) -> Make:
    return lambda world: pb.UpdateProviderModelRequest(
        provider_model=provider_model_pb2.ProviderModel(name=world.custom.name, **fields),
        update_mask=FieldMask(paths=paths),
    )


def filtered(text: str) -> Make:
    return lambda _: pb.ListProvidersRequest(filter=text)


BASE_URL = "provider.config.openai_compatible.base_url"
HEADERS = "provider.config.openai_compatible.headers"
PRICING = "provider_model.pricing"
JSON_KEY = "credential.gcp_service_account_key.json"
