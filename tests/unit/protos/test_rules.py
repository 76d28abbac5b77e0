"""The validation rules written in the protos: they compile, and they refuse what they are there to refuse."""

from __future__ import annotations

from dataclasses import dataclass

import protovalidate
import pytest
from codevector.kms.v1 import key_admin_service_pb2 as admin
from codevector.kms.v1 import key_management_service_pb2 as kms
from codevector.providers.v1 import model_pb2 as models
from codevector.providers.v1 import model_service_pb2 as model_service
from codevector.providers.v1 import provider_model_pb2 as provider_models
from codevector.providers.v1 import provider_pb2 as providers
from codevector.providers.v1 import provider_service_pb2 as service
from codevector.providers.v1 import routing_service_pb2 as routing
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from runtime.requests import broken_rule

UUID = "123e4567-e89b-42d3-a456-426614174000"
KIND = providers.PROVIDER_KIND_OPENAI
CHAT = provider_models.MODEL_KIND_CHAT


@dataclass(frozen=True, slots=True)
class Found:
    """One violation: the path of the field, without subscripts, and the id of the rule."""

    path: str
    rule: str


def violations(message: Message) -> set[Found]:
    found = set()
    for violation in protovalidate.collect_violations(message):
        assert violation.proto.field is not None
        path = ".".join(element.field_name for element in violation.proto.field.elements)
        found.add(Found(path, violation.proto.rule_id))
    return found


def created(**fields: object) -> service.CreateProviderRequest:
    provider = providers.Provider(display_name="x", kind=KIND)
    provider.MergeFrom(providers.Provider(**fields))  # type: ignore[arg-type]
    return service.CreateProviderRequest(provider=provider)


def added(**fields: object) -> service.CreateProviderModelRequest:
    model = provider_models.ProviderModel(upstream_model_id="gpt-4o", kind=CHAT)
    model.MergeFrom(provider_models.ProviderModel(**fields))  # type: ignore[arg-type]
    return service.CreateProviderModelRequest(parent="providers/x", provider_model=model)


def priced(price: str) -> service.CreateProviderModelRequest:
    return added(pricing=provider_models.Pricing(currency_code="USD", input_per_million_tokens=price))


def with_credential(**material: Message) -> service.SetProviderCredentialRequest:
    credential = providers.CredentialInput(**material)  # type: ignore[arg-type]
    return service.SetProviderCredentialRequest(name="providers/x", credential=credential)


def api_key(key: str) -> service.SetProviderCredentialRequest:
    return with_credential(api_key=providers.ApiKeyCredential(api_key=key))


def wired(*names: str) -> model_service.CreateModelRequest:
    backends = [models.ModelBackend(provider_model=name) for name in names]
    model = models.Model(display_name="x", kind=CHAT, backends=backends)
    return model_service.CreateModelRequest(model_id="x", model=model)


def backed(**fields: int) -> model_service.AddModelBackendRequest:
    backend = models.ModelBackend(provider_model="providers/x/models/m", **fields)  # type: ignore[arg-type]
    return model_service.AddModelBackendRequest(model="models/m", backend=backend)


def wrapped(**fields: bytes | str) -> kms.WrappedDataKey:
    good: dict[str, bytes | str] = {
        "wrapped_data_key": b"w",
        "key_version": "keyVersions/v",
        "commitment": bytes(32),
        "context": b"c",
    }
    return kms.WrappedDataKey(**good | fields)  # type: ignore[arg-type]


def test_all_rules_compile(descriptor_set: FileDescriptorSet) -> None:
    for file in descriptor_set.file:
        if file.package.startswith("codevector."):
            for message in Default().FindFileByName(file.name).message_types_by_name.values():
                protovalidate.collect_violations(GetMessageClass(message)())


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(created(), id="provider with the least"),
        pytest.param(
            created(
                name="providers/a-1",
                config=providers.ProviderConfig(
                    openai=providers.OpenAIConfig(base_url="https://gw.example.com/v1")
                ),
                labels={"team": "payments"},
                annotations={"tool.example/owner": "x" * 4096},
            ),
            id="provider with all",
        ),
        pytest.param(
            created(
                config=providers.ProviderConfig(
                    openai_compatible=providers.OpenAICompatibleConfig(
                        base_url="http://127.0.0.1:8000/v1", headers={"X-Team": "a b"}
                    )
                )
            ),
            id="headers",
        ),
        pytest.param(service.ListProviderModelsRequest(parent="providers/-"), id="models of all providers"),
        pytest.param(priced("0"), id="free"),
        pytest.param(priced("123456789.123456789012"), id="longest price"),
        pytest.param(api_key("sk-" + "a" * 8189), id="longest key"),
        pytest.param(with_credential(ambient=providers.AmbientCredential()), id="ambient"),
        pytest.param(
            with_credential(
                azure_client_secret=providers.AzureClientSecretCredential(
                    tenant_id=UUID, client_id=UUID, client_secret="s"
                )
            ),
            id="azure client secret",
        ),
        pytest.param(service.GetCatalogRequest(name="catalogs/vertex-anthropic"), id="newest catalog"),
        pytest.param(kms.BatchVerifyDataKeysRequest(items=[wrapped()] * 1024), id="longest batch to verify"),
        pytest.param(admin.CreateKeyVersionRequest(request_id=UUID), id="key version"),
    ],
)
def test_accepted(message: Message) -> None:
    assert violations(message) == set()


@pytest.mark.parametrize(
    ("message", "path", "rule"),
    [
        pytest.param(service.GetProviderRequest(), "name", "required", id="no name"),
        pytest.param(
            service.GetProviderRequest(name="providers/x\n"),
            "name",
            "string.provider_name",
            id="line break in a name",
        ),
        pytest.param(
            service.GetProviderRequest(name="providers/" + "a" * 64),
            "name",
            "string.provider_name",
            id="long name",
        ),
        pytest.param(service.CreateProviderRequest(), "provider", "required", id="no provider"),
        pytest.param(
            service.CreateProviderRequest(provider=providers.Provider(kind=KIND)),
            "provider",
            "create_provider.display_name",
            id="no display name",
        ),
        pytest.param(
            service.CreateProviderRequest(provider=providers.Provider(display_name="x")),
            "provider",
            "create_provider.kind",
            id="no kind",
        ),
        pytest.param(
            created(display_name="x" * 64), "provider.display_name", "string.max_len", id="long display name"
        ),
        pytest.param(
            service.CreateProviderRequest(provider=providers.Provider(display_name="x", kind=99)),  # type: ignore[arg-type]
            "provider.kind",
            "enum.defined_only",
            id="unknown kind",
        ),
        pytest.param(
            created(config=providers.ProviderConfig(azure=providers.AzureConfig())),
            "provider.config.azure.endpoint",
            "required",
            id="azure without endpoint",
        ),
        pytest.param(
            created(config=providers.ProviderConfig(openai=providers.OpenAIConfig(base_url="no uri"))),
            "provider.config.openai.base_url",
            "string.uri",
            id="base url that is none",
        ),
        pytest.param(
            created(config=providers.ProviderConfig(bedrock=providers.BedrockConfig(region="eu"))),
            "provider.config.bedrock.region",
            "string.aws_region",
            id="region",
        ),
        pytest.param(
            created(
                config=providers.ProviderConfig(
                    openai_compatible=providers.OpenAICompatibleConfig(
                        base_url="https://a.example", headers={"X Team": "a"}
                    )
                )
            ),
            "provider.config.openai_compatible.headers",
            "string.well_known_regex.header_name",
            id="header name with a space",
        ),
        pytest.param(created(labels={"Team": "a"}), "provider.labels", "string.label_key", id="label key"),
        pytest.param(
            created(labels={f"k{i}": "" for i in range(65)}),
            "provider.labels",
            "map.max_pairs",
            id="65 labels",
        ),
        pytest.param(
            created(annotations={"": "a"}),
            "provider.annotations",
            "string.min_len",
            id="empty annotation key",
        ),
        pytest.param(
            service.CreateProviderRequest(provider=created().provider, request_id="1"),
            "request_id",
            "string.uuid",
            id="request id that is no uuid",
        ),
        pytest.param(service.ListProvidersRequest(page_size=-1), "page_size", "int32.gte", id="page size"),
        pytest.param(
            service.ListProvidersRequest(filter="x" * 1025), "filter", "string.max_len", id="long filter"
        ),
        pytest.param(api_key(""), "credential.api_key.api_key", "required", id="empty key"),
        pytest.param(api_key("a b"), "credential.api_key.api_key", "string.one_line", id="key with a space"),
        pytest.param(api_key("a\x00"), "credential.api_key.api_key", "string.ascii", id="key with a NUL"),
        pytest.param(
            api_key("a" * 65 * 1024), "credential.api_key.api_key", "string.max_len", id="key of 65 KiB"
        ),
        pytest.param(
            with_credential(azure_client_secret=providers.AzureClientSecretCredential(client_secret="s")),
            "credential.azure_client_secret.tenant_id",
            "required",
            id="no tenant",
        ),
        pytest.param(
            service.CreateProviderModelRequest(
                parent="providers/x", provider_model=provider_models.ProviderModel(upstream_model_id="m")
            ),
            "provider_model",
            "create_provider_model.kind",
            id="model without kind",
        ),
        pytest.param(
            added(context_window=-1), "provider_model.context_window", "int32.gte_lte", id="negative window"
        ),
        pytest.param(
            added(upstream_model_id="a b"),
            "provider_model.upstream_model_id",
            "string.one_line",
            id="upstream id with a space",
        ),
        pytest.param(
            added(capabilities=[1, 1]),
            "provider_model.capabilities",
            "repeated.unique",
            id="capability twice",
        ),
        pytest.param(
            added(capabilities=[0]), "provider_model.capabilities", "enum.not_in", id="capability unspecified"
        ),
        *(
            pytest.param(
                priced(price),
                "provider_model.pricing.input_per_million_tokens",
                "string.price",
                id=f"price {price!r}",
            )
            for price in ("", "1e3", "-1", "NaN", "0.1234567890123", "01", ".5", "1.", "1000000000", "1\n")
        ),
        pytest.param(
            service.GetCatalogRequest(name="catalogs/openai", catalog_version="2026-04-15"),
            "catalog_version",
            "string.catalog_version",
            id="catalog version",
        ),
        pytest.param(
            service.ImportProviderModelsRequest(parent="providers/x", existing_policy=9),  # type: ignore[arg-type]
            "existing_policy",
            "enum.defined_only",
            id="unknown policy",
        ),
        pytest.param(
            wired(*(f"providers/x/models/m{i}" for i in range(65))),
            "model.backends",
            "repeated.max_items",
            id="65 backends",
        ),
        *(
            pytest.param(
                wired(name),
                "model.backends.provider_model",
                "string.provider_model_name" if name else "required",
                id=f"backend {name!r}",
            )
            for name in ("", "providers/x", "providers/X/models/m", "models/m", "providers/x/models/m\n")
        ),
        pytest.param(
            backed(priority=101), "backend.priority", "int32.gte_lte", id="priority beyond the last"
        ),
        pytest.param(backed(weight=-1), "backend.weight", "int32.gte_lte", id="negative weight"),
        pytest.param(
            model_service.AddModelBackendRequest(model="models/m"), "backend", "required", id="no backend"
        ),
        pytest.param(
            model_service.GetModelRequest(name="models/Capital"), "name", "string.model_name", id="model name"
        ),
        pytest.param(routing.BatchGetSealedCredentialsRequest(), "providers", "required", id="no providers"),
        pytest.param(
            routing.BatchGetSealedCredentialsRequest(providers=[f"providers/p{i}" for i in range(101)]),
            "providers",
            "repeated.max_items",
            id="101 providers",
        ),
        pytest.param(
            kms.BatchWrapDataKeysRequest(items=[kms.WrapItem(context=b"c", plaintext=bytes(31))]),
            "items.plaintext",
            "bytes.len",
            id="short data key",
        ),
        pytest.param(
            kms.BatchUnwrapDataKeysRequest(items=[kms.UnwrapItem()]),
            "items.wrapped",
            "required",
            id="no wrapper",
        ),
        pytest.param(
            kms.BatchRewrapDataKeysRequest(items=[wrapped(commitment=bytes(33))], target_key_version="v"),
            "items.commitment",
            "bytes.len",
            id="long commitment",
        ),
        pytest.param(admin.CreateKeyVersionRequest(), "request_id", "required", id="key version without id"),
    ],
)
def test_refused(message: Message, path: str, rule: str) -> None:
    assert Found(path, rule) in violations(message)


@pytest.mark.parametrize(
    ("provider", "missing"),
    [
        pytest.param(providers.Provider(kind=KIND), ["display_name"], id="display name"),
        pytest.param(providers.Provider(display_name="x"), ["kind"], id="kind"),
        pytest.param(providers.Provider(), ["display_name", "kind"], id="both"),
    ],
)
def test_missing_fields_are_named(provider: providers.Provider, missing: list[str]) -> None:
    """A rule of the whole provider cannot point at a field, so its text does."""
    found = protovalidate.collect_violations(service.CreateProviderRequest(provider=provider))
    assert [str(broken_rule(each)) for each in found] == [f"provider.{name}: is required" for name in missing]


def test_a_violation_never_repeats_the_value() -> None:
    secret = "sk-canary value"
    found = protovalidate.collect_violations(api_key(secret))
    assert len(found) == 1
    assert "canary" not in str(found[0].proto)
