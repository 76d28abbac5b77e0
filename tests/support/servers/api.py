"""What the tests of the API share: calls that must fail read as values, valid requests of every kind."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from codevector.providers.v1 import (
    model_pb2,
    model_service_pb2,
    provider_model_pb2,
    provider_pb2,
    routing_service_pb2,
)
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from tests.support.servers.served import Served

T = TypeVar("T")
SECONDS = 60.0
KINDS = provider_pb2.ProviderKind
TYPES = provider_pb2.CredentialType
ACTIVE = provider_pb2.Provider.STATE_ACTIVE
DISABLED = provider_pb2.Provider.STATE_DISABLED

API_KEY = "sk-proj-0123456789abcdefghijklmnopqrstuvwxyz"
SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "sample-project",
    "private_key_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n",
    "client_email": "router@sample-project.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}

_numbers = itertools.count(1)


def new_name(beginning: str = "Sample") -> str:
    """A display name that no other test has."""
    return f"{beginning} {next(_numbers)}"


def api_key(text: str = API_KEY) -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=text))


def aws_access_key() -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(
        aws_access_key=provider_pb2.AwsAccessKeyCredential(
            access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        )
    )


def service_account(**changes: Any) -> provider_pb2.CredentialInput:
    text = json.dumps({**SERVICE_ACCOUNT, **changes})
    return provider_pb2.CredentialInput(
        gcp_service_account_key=provider_pb2.GcpServiceAccountKeyCredential(json=text)
    )


def azure_client_secret() -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(
        azure_client_secret=provider_pb2.AzureClientSecretCredential(
            tenant_id="6f1c0e6e-7a0b-4a53-9c1c-0a7d3f0b8f11",
            client_id="c0ffee00-7a0b-4a53-9c1c-0a7d3f0b8f22",
            client_secret="Zx8Q~0123456789abcdefghijklmnop.qrstuvwx",
        )
    )


def ambient() -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(ambient=provider_pb2.AmbientCredential())


def openai_compatible(
    base_url: str = "https://llm.example.com/v1", **headers: str
) -> provider_pb2.ProviderConfig:
    """The settings of a kind that is routable without a credential; ``_`` in names stands for ``-``."""
    return provider_pb2.ProviderConfig(
        openai_compatible=provider_pb2.OpenAICompatibleConfig(
            base_url=base_url, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
    )


def vertex(location: str = "europe-west4", project_id: str = "sample-project") -> provider_pb2.VertexConfig:
    return provider_pb2.VertexConfig(project_id=project_id, location=location)


def azure(endpoint: str = "https://sample.openai.azure.com") -> provider_pb2.ProviderConfig:
    return provider_pb2.ProviderConfig(
        azure=provider_pb2.AzureConfig(endpoint=endpoint, api_version="2024-10-21")
    )


def bedrock(region: str = "eu-central-1", endpoint_url: str = "") -> provider_pb2.ProviderConfig:
    return provider_pb2.ProviderConfig(
        bedrock=provider_pb2.BedrockConfig(region=region, endpoint_url=endpoint_url)
    )


def vertex_config(location: str = "europe-west4") -> provider_pb2.ProviderConfig:
    return provider_pb2.ProviderConfig(vertex=vertex(location))


@dataclass(frozen=True, slots=True)
class Sample:
    """A valid configuration of one kind and a credential it takes, with what is then shown of it."""

    kind: provider_pb2.ProviderKind
    config: provider_pb2.ProviderConfig | None
    credential: provider_pb2.CredentialInput
    credential_type: provider_pb2.CredentialType
    prefix: str
    details: str


SAMPLES: tuple[Sample, ...] = (
    Sample(
        KINDS.PROVIDER_KIND_OPENAI,
        provider_pb2.ProviderConfig(openai=provider_pb2.OpenAIConfig(organization="org-1", project="proj_2")),
        api_key(),
        TYPES.CREDENTIAL_TYPE_API_KEY,
        "sk-proj-0123",
        "https://api.openai.com/v1",
    ),
    Sample(
        KINDS.PROVIDER_KIND_ANTHROPIC,
        provider_pb2.ProviderConfig(anthropic=provider_pb2.AnthropicConfig(api_version="2023-06-01")),
        api_key("sk-ant-api03-0123456789abcdefghijklmnop"),
        TYPES.CREDENTIAL_TYPE_API_KEY,
        "sk-ant-api03-0123",
        "https://api.anthropic.com",
    ),
    Sample(
        KINDS.PROVIDER_KIND_AZURE,
        azure(),
        azure_client_secret(),
        TYPES.CREDENTIAL_TYPE_AZURE_CLIENT_SECRET,
        "c0ffee00",
        "https://sample.openai.azure.com",
    ),
    Sample(
        KINDS.PROVIDER_KIND_BEDROCK,
        bedrock(),
        aws_access_key(),
        TYPES.CREDENTIAL_TYPE_AWS_ACCESS_KEY,
        "AKIAIOSF",
        "eu-central-1",
    ),
    Sample(
        KINDS.PROVIDER_KIND_GOOGLE,
        None,
        api_key("AIza0123456789abcdefghijklmnopqrstuvwxy"),
        TYPES.CREDENTIAL_TYPE_API_KEY,
        "AIza0123",
        "https://generativelanguage.googleapis.com",
    ),
    Sample(
        KINDS.PROVIDER_KIND_VERTEX,
        vertex_config(),
        service_account(),
        TYPES.CREDENTIAL_TYPE_GCP_SERVICE_ACCOUNT_KEY,
        "0a1b2c3d",
        "sample-project (europe-west4)",
    ),
    Sample(
        KINDS.PROVIDER_KIND_VERTEX_ANTHROPIC,
        provider_pb2.ProviderConfig(vertex_anthropic=vertex("global")),
        ambient(),
        TYPES.CREDENTIAL_TYPE_AMBIENT,
        "",
        "sample-project (global)",
    ),
    Sample(
        KINDS.PROVIDER_KIND_GROQ,
        provider_pb2.ProviderConfig(
            groq=provider_pb2.GroqConfig(base_url="https://groq.example.com/openai/v1/")
        ),
        api_key("gsk_0123456789abcdefghijklmnop"),
        TYPES.CREDENTIAL_TYPE_API_KEY,
        "gsk_0123",
        "https://groq.example.com/openai/v1",
    ),
    Sample(
        KINDS.PROVIDER_KIND_COHERE,
        None,
        api_key("0123456789abcdefghijklmnopqrstuvwxyz0123"),
        TYPES.CREDENTIAL_TYPE_API_KEY,
        "0123",
        "https://api.cohere.com",
    ),
    Sample(
        KINDS.PROVIDER_KIND_DEEPSEEK,
        None,
        api_key("sk-0123456789abcdef0123456789abcdef"),
        TYPES.CREDENTIAL_TYPE_API_KEY,
        "sk-0123",
        "https://api.deepseek.com",
    ),
    Sample(
        KINDS.PROVIDER_KIND_MOONSHOT,
        provider_pb2.ProviderConfig(
            moonshot=provider_pb2.MoonshotConfig(base_url="https://api.moonshot.cn/v1")
        ),
        api_key("sk-0123456789abcdef0123456789abcdef"),
        TYPES.CREDENTIAL_TYPE_API_KEY,
        "sk-0123",
        "https://api.moonshot.cn/v1",
    ),
    Sample(
        KINDS.PROVIDER_KIND_OPENAI_COMPATIBLE,
        openai_compatible("https://llm.example.com:8443/v1", x_team="blue"),
        api_key("tok-0123456789abcdefghijklmnop"),
        TYPES.CREDENTIAL_TYPE_API_KEY,
        "tok-",
        "https://llm.example.com:8443/v1",
    ),
)


def kind_word(kind: provider_pb2.ProviderKind) -> str:
    """``openai_compatible``: the kind as configurations and test ids spell it."""
    return KINDS.Name(kind).removeprefix("PROVIDER_KIND_").lower()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failed call: its status and details as values. ``raw`` is all that the caller got, as text."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    fields: tuple[str, ...]
    rules: tuple[str, ...]
    resource: tuple[str, str] | None
    preconditions: tuple[tuple[str, str], ...]
    retry_seconds: float | None
    trailers: dict[str, str]
    raw: str


def before_the_deadline(call: Callable[[], T]) -> T:
    """Return what the registry answers half a second before a call's deadline.

    A machine that pauses in just this half second cuts the call off; then it is made again.
    """
    for _ in range(50):
        try:
            return call()
        except grpc.RpcError as error:
            if not isinstance(error, grpc.Call) or error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
    raise AssertionError("never answered before its deadline")


def refused(call: Callable[[], object]) -> Refusal:
    """Make a call that must fail, and hold its status to what every status must be."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return refusal_of(error)
    raise AssertionError(f"was accepted: {answer}")


def refusal_of(error: grpc.RpcError) -> Refusal:
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status is not None, f"{error.code()} without details: {error.details()}"
    trailers = {key: str(value) for key, value in error.trailing_metadata() or ()}
    assert trailers["x-request-id"]
    return read_status(status, trailers)


def read_status(status: status_pb2.Status, trailers: dict[str, str] | None = None) -> Refusal:
    """The parts of a status: exactly one ErrorInfo of ours, and each other type of detail at most once."""
    found: dict[str, Any] = {}
    for packed in status.details:
        name = packed.type_url.rpartition(".")[2]
        assert name not in found, f"{name} twice"
        found[name] = getattr(error_details_pb2, name).FromString(packed.value)
    info = found["ErrorInfo"]
    assert info.domain == "codevector"
    violations = found["BadRequest"].field_violations if "BadRequest" in found else ()
    failures = found["PreconditionFailure"].violations if "PreconditionFailure" in found else ()
    resource = found.get("ResourceInfo")
    retry = found.get("RetryInfo")
    assert all(violation.reason and violation.description for violation in violations)
    return Refusal(
        code=next(code for code in grpc.StatusCode if code.value[0] == status.code),
        message=status.message,
        reason=info.reason,
        metadata=dict(info.metadata),
        fields=tuple(violation.field for violation in violations),
        rules=tuple(violation.reason for violation in violations),
        resource=(resource.resource_type, resource.resource_name) if resource else None,
        preconditions=tuple((failure.type, failure.subject) for failure in failures),
        retry_seconds=retry.retry_delay.ToTimedelta().total_seconds() if retry else None,
        trailers=trailers or {},
        raw="\n".join(
            [status.message, *(str(detail) for detail in found.values()), *(trailers or {}).values()]
        ),
    )


@dataclass(slots=True)
class Api:
    """The running registry, with short ways to say what tests say often."""

    instance: Served
    trailers: dict[str, str] = field(default_factory=dict)
    """Of the last call that succeeded."""

    def call(self, method: str, request: Message, *, timeout: float = SECONDS, **metadata: str) -> Any:
        """Call a method of the service that has it."""
        services = (self.instance.providers, self.instance.models, self.instance.routing)
        stub = next(getattr(service, method) for service in services if hasattr(service, method))
        pairs = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
        answer, call = stub.with_call(request, timeout=timeout, metadata=pairs)
        self.trailers = {key: str(value) for key, value in call.trailing_metadata()}
        return answer

    def refuse(self, method: str, request: Message, **arguments: Any) -> Refusal:
        """Call what must fail."""
        return refused(lambda: self.call(method, request, **arguments))

    def create(
        self,
        display_name: str = "",
        *,
        kind: provider_pb2.ProviderKind = KINDS.PROVIDER_KIND_OPENAI_COMPATIBLE,
        config: provider_pb2.ProviderConfig | None = None,
        credential: provider_pb2.CredentialInput | None = None,
        labels: dict[str, str] | None = None,
        **request: Any,
    ) -> provider_pb2.Provider:
        """A provider; one that routing takes without a credential, unless told otherwise."""
        if config is None and kind == KINDS.PROVIDER_KIND_OPENAI_COMPATIBLE:
            config = openai_compatible()
        provider = provider_pb2.Provider(
            display_name=display_name or new_name(), kind=kind, config=config, labels=labels or {}
        )
        made = self.call(
            "CreateProvider", pb.CreateProviderRequest(provider=provider, credential=credential, **request)
        )
        assert isinstance(made, provider_pb2.Provider)
        return made

    def create_provider_model(
        self, parent: str, upstream_model_id: str = "fast-1", **facts: Any
    ) -> provider_model_pb2.ProviderModel:
        """A custom chat model."""
        model = provider_model_pb2.ProviderModel(
            upstream_model_id=upstream_model_id,
            **{"kind": provider_model_pb2.ModelKind.MODEL_KIND_CHAT, **facts},
        )
        made = self.call(
            "CreateProviderModel", pb.CreateProviderModelRequest(parent=parent, provider_model=model)
        )
        assert isinstance(made, provider_model_pb2.ProviderModel)
        return made

    def create_model(
        self,
        *backends: provider_model_pb2.ProviderModel | model_pb2.ModelBackend,
        model_id: str = "",
        kind: provider_model_pb2.ModelKind = provider_model_pb2.ModelKind.MODEL_KIND_CHAT,
        **fields: Any,
    ) -> model_pb2.Model:
        """A model over these backends, or provider models."""
        name = new_name("Model")
        model = model_pb2.Model(
            **{"display_name": name, **fields},
            kind=kind,
            backends=[
                each
                if isinstance(each, model_pb2.ModelBackend)
                else model_pb2.ModelBackend(provider_model=each.name)
                for each in backends
            ],
        )
        request = model_service_pb2.CreateModelRequest(
            model_id=model_id or name.lower().replace(" ", "-"), model=model
        )
        made = self.call("CreateModel", request)
        assert isinstance(made, model_pb2.Model)
        return made

    def get(self, name: str) -> Any:
        """A provider, provider model or model by its name."""
        if name.startswith("models/"):
            return self.call("GetModel", model_service_pb2.GetModelRequest(name=name))
        if "/models/" in name:
            return self.call("GetProviderModel", pb.GetProviderModelRequest(name=name))
        return self.call("GetProvider", pb.GetProviderRequest(name=name))

    def disable(self, resource: Any) -> None:
        """Disable a provider or provider model."""
        if isinstance(resource, provider_pb2.Provider):
            self.call("DisableProvider", pb.DisableProviderRequest(name=resource.name))
        else:
            self.call("DisableProviderModel", pb.DisableProviderModelRequest(name=resource.name))

    def enable(self, resource: Any) -> None:
        """Enable a provider or provider model."""
        if isinstance(resource, provider_pb2.Provider):
            self.call("EnableProvider", pb.EnableProviderRequest(name=resource.name))
        else:
            self.call("EnableProviderModel", pb.EnableProviderModelRequest(name=resource.name))

    def update(self, resource: Any, *paths: str, **request: Any) -> Any:
        """Update a provider, provider model or model with a mask of these paths."""
        if isinstance(resource, provider_pb2.Provider):
            update: Any = pb.UpdateProviderRequest(provider=resource, **request)
        elif isinstance(resource, model_pb2.Model):
            update = model_service_pb2.UpdateModelRequest(model=resource, **request)
        else:
            update = pb.UpdateProviderModelRequest(provider_model=resource, **request)
        update.update_mask.paths.extend(paths)
        return self.call(type(update).__name__.removesuffix("Request"), update)

    def delete(self, name: str, **request: Any) -> pb.DeletionImpact:
        """Delete a provider, with ``force=True`` its models too, or a provider model."""
        if "/models/" in name:
            impact = self.call(
                "DeleteProviderModel", pb.DeleteProviderModelRequest(name=name, **request)
            ).impact
        else:
            impact = self.call("DeleteProvider", pb.DeleteProviderRequest(name=name, **request)).impact
        assert isinstance(impact, pb.DeletionImpact)
        return impact

    def snapshot(self) -> routing_service_pb2.RoutingSnapshot:
        """The routing table."""
        answer = self.call("GetRoutingSnapshot", routing_service_pb2.GetRoutingSnapshotRequest())
        assert isinstance(answer, routing_service_pb2.GetRoutingSnapshotResponse)
        return answer.snapshot

    def revision(self) -> int:
        """The newest revision that routers see."""
        request = routing_service_pb2.ListActiveProviderModelsRequest(page_size=1)
        return int(self.call("ListActiveProviderModels", request).revision)

    def pages(self, method: str, request: Any, *, size: int) -> Iterator[Any]:
        """The answers of all pages of a list."""
        token = ""
        while True:
            page = type(request)()
            page.CopyFrom(request)
            page.page_size, page.page_token = size, token
            answer = self.call(method, page)
            yield answer
            token = answer.next_page_token
            if not token:
                return

    def stored(self) -> tuple[object, ...]:
        """What a request might have changed: the head revision, all providers, the models changed last."""
        providers = [
            provider.SerializeToString(deterministic=True)
            for page in self.pages("ListProviders", pb.ListProvidersRequest(), size=1000)
            for provider in page.providers
        ]
        newest = self.call(
            "ListProviderModels",
            pb.ListProviderModelsRequest(parent="providers/-", page_size=50, order_by="update_time desc"),
        )
        models = self.call(
            "ListModels", model_service_pb2.ListModelsRequest(page_size=50, order_by="update_time desc")
        )
        latest = [page.SerializeToString(deterministic=True) for page in (newest, models)]
        return self.revision(), providers, newest.total_size, latest

    @contextmanager
    def nothing_changes(self) -> Iterator[None]:
        """Hold what is done inside to changing nothing."""
        before = self.stored()
        yield
        assert self.stored() == before
