"""What a grpcurl user sees: names, comments, JSON and readable errors, of the registry and of the sidecar."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from codevector.kms.v1 import key_admin_service_pb2, key_management_service_pb2
from codevector.providers.v1 import (
    model_service_pb2,
    provider_service_pb2,
    routing_service_pb2,
    system_service_pb2,
)
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection_pb2

from tests.support.servers.grpcurl import Grpcurl, Refusal
from tests.support.servers.harness import Instance, running
from tests.support.values import oracle_envelope as oracle
from upstreams.kinds import ProviderKind

PROVIDERS = "codevector.providers.v1.ProviderService"
MODELS = "codevector.providers.v1.ModelService"
ROUTING = "codevector.providers.v1.RoutingService"
SYSTEM = "codevector.providers.v1.SystemService"
MANAGEMENT = "codevector.kms.v1.KeyManagementService"
ADMIN = "codevector.kms.v1.KeyAdminService"
LISTED = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
]
ADMIN_METHODS = key_admin_service_pb2.DESCRIPTOR.services_by_name["KeyAdminService"].methods
TARGETS = ["service", "registry", "router", "admin"]
KEY = "sk-proj-made-up-0123456789abcdef"
CAMEL = re.compile(r"[a-z][A-Za-z0-9]*|@type")
INT64 = {
    "revision",
    "appliedRevision",
    "minAppliedRevision",
    "credentialVersion",
    "keyringSeq",
    "dataKeyCount",
    "verifiedCount",
}


@pytest.fixture(scope="module")
def installation() -> Iterator[Instance]:
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def registry(installation: Instance) -> Grpcurl:
    return Grpcurl(installation.address)


def target(installation: Instance, name: str) -> str | Path:
    return installation.address if name == "service" else installation.home / "kms" / f"{name}.sock"


def methods(*files: FileDescriptor) -> set[str]:
    """Every ``Service/Method`` of the files, with its package."""
    return {
        f"{service.full_name}/{method.name}"
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }


def assert_readable(answer: Any, inside_map: bool = False) -> None:
    """lowerCamelCase names, 64-bit numbers as strings, enums by name."""
    if isinstance(answer, list):
        for each in answer:
            assert_readable(each)
    if not isinstance(answer, dict):
        return
    for key, value in answer.items():
        assert inside_map or CAMEL.fullmatch(key), key
        if key in INT64:
            assert re.fullmatch(r"[0-9]+", value), (key, value)
        if key in ("state", "sweepState", "kind", "source", "action", "providerKind", "credentialType"):
            assert re.fullmatch(r"[A-Z][A-Z0-9_]+", value), (key, value)
        assert_readable(value, key in ("labels", "annotations", "headers", "metadata"))


class Caller:
    """Calls whose answers must be readable; remembers what was called."""

    def __init__(self, grpcurl: Grpcurl) -> None:
        self._grpcurl = grpcurl
        self.called: set[str] = set()

    def __call__(self, method: str, **request: Any) -> Any:
        self.called.add(method)
        answer = self._grpcurl.call(method, request)
        assert_readable(answer)
        return answer

    def first(self, count: int, method: str, **request: Any) -> tuple[Any, ...]:
        """The first messages of a stream."""
        self.called.add(method)
        messages = self._grpcurl.first(count, method, request)
        for message in messages:
            assert_readable(message)
        return messages

    def refused(self, method: str, **request: Any) -> Refusal:
        """A call that must be refused."""
        self.called.add(method)
        refusal = self._grpcurl.refusal(method, request)
        assert_readable(list(refusal.details))
        return refusal


class TestDiscovery:
    @pytest.mark.parametrize("name", TARGETS)
    def test_list(self, installation: Instance, name: str) -> None:
        ours = [MODELS, PROVIDERS, ROUTING, SYSTEM] if name == "service" else [ADMIN, MANAGEMENT]
        assert Grpcurl(target(installation, name)).list() == ours + LISTED

    @pytest.mark.parametrize(
        ("name", "symbol", "says"),
        [
            (
                "service",
                PROVIDERS,
                "// Providers, their models, and the bundled catalogs. Reads need the role viewer",
            ),
            ("service", ROUTING, "// The data plane for routers, served from memory."),
            ("service", f"{PROVIDERS}.DisableProvider", "// Hides a provider and its models from routers."),
            (
                "service",
                f"{ROUTING}.BatchGetSealedCredentials",
                "// Gets sealed credentials of providers. Only",
            ),
            ("service", f"{ROUTING}.WatchRouting", "// Streams the routing table: a snapshot in chunks,"),
            ("service", f"{SYSTEM}.AwaitAppliedRevision", "// Waits until every router that counts has"),
            ("service", "codevector.providers.v1.SnapshotChunk.Reason", "  // The caller did not resume."),
            (
                "service",
                "codevector.providers.v1.Provider",
                "  // Output only. What may be shown of the stored cred",
            ),
            (
                "service",
                "codevector.providers.v1.Provider.State",
                "  // Kept with everything it has, invisible to",
            ),
            (
                "service",
                "codevector.providers.v1.ProviderKind",
                "  // The OpenAI platform.\n  PROVIDER_KIND_OPENAI =",
            ),
            (
                "service",
                "codevector.providers.v1.CreateProviderRequest.provider_id",
                "// Optional. The last part",
            ),
            ("service", "google.rpc.BadRequest", "Describes violations in a client request."),
            ("service", "grpc.health.v1.Health.Check", "rpc Check"),
            ("service", "grpc.reflection.v1.ServerReflection", "rpc ServerReflectionInfo"),
            ("router", f"{MANAGEMENT}.BatchUnwrapDataKeys", "// Unwraps data keys. Role: router;"),
            ("registry", "codevector.kms.v1.WrapItem", "  // Required. Input only. The data key, 32 bytes."),
            ("admin", f"{ADMIN}.ActivateKeyVersion", "// Makes a pending version the primary;"),
            ("admin", "codevector.kms.v1.KeyVersion.State", "  // Wraps and unwraps. There is exactly one."),
        ],
    )
    def test_describe_shows_the_comment(
        self, installation: Instance, name: str, symbol: str, says: str
    ) -> None:
        assert says in Grpcurl(target(installation, name)).describe(symbol)

    @pytest.mark.parametrize(
        ("name", "service"),
        [
            ("service", PROVIDERS),
            ("service", MODELS),
            ("service", ROUTING),
            ("service", SYSTEM),
            ("admin", ADMIN),
        ],
    )
    def test_every_method_of_a_service_stands_under_its_comment(
        self, installation: Instance, name: str, service: str
    ) -> None:
        lines = Grpcurl(target(installation, name)).describe(service).splitlines()
        above = [lines[number - 1] for number, line in enumerate(lines) if line.startswith("  rpc ")]
        assert above
        assert all(line.startswith("  // ") for line in above), above

    def test_a_template_to_fill_in(self, registry: Grpcurl) -> None:
        """`describe -msg-template` gives JSON whose names are those of the answers."""
        text = registry.describe("codevector.providers.v1.CreateProviderRequest", "-msg-template")
        template = json.loads(text.partition("Message template:\n")[2])
        assert template["provider"]["displayName"] == ""
        assert template["provider"]["createTime"].endswith("Z")
        assert_readable(template)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
@pytest.mark.parametrize("name", TARGETS)
class TestReflection:
    """grpcurl picks one of the two versions; other tools pick the other. The messages are the same."""

    def ask(
        self,
        installation: Instance,
        name: str,
        version: str,
        *requests: reflection_pb2.ServerReflectionRequest,
    ) -> list[reflection_pb2.ServerReflectionResponse]:
        place = target(installation, name)
        with grpc.insecure_channel(f"unix:{place}" if isinstance(place, Path) else place) as channel:
            stream = channel.stream_stream(
                f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
                response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
            )
            return list(stream(iter(requests), timeout=60))

    def test_answers(self, installation: Instance, name: str, version: str) -> None:
        service, method = (PROVIDERS, "CreateProvider") if name == "service" else (MANAGEMENT, "GetStatus")
        asked = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"{service}.{method}"),
            reflection_pb2.ServerReflectionRequest(file_by_filename="google/rpc/error_details.proto"),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.such.Thing"),
        ]
        listed, found, details, unknown = self.ask(installation, name, version, *asked)

        assert {service, *LISTED} <= {each.name for each in listed.list_services_response.service}
        files = [
            descriptor_pb2.FileDescriptorProto.FromString(octets)
            for octets in found.file_descriptor_response.file_descriptor_proto
        ]
        assert any(each.name == service.rpartition(".")[2] for each in files[0].service)
        assert any(place.leading_comments for place in files[0].source_code_info.location)
        known = {file.name for file in files}
        assert all(dependency in known for file in files for dependency in file.dependency)
        assert all(
            field.json_name for file in files for message in file.message_type for field in message.field
        )
        assert details.file_descriptor_response.file_descriptor_proto
        assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


class TestHealth:
    @pytest.mark.parametrize("service", ["", PROVIDERS, MODELS, ROUTING, SYSTEM])
    def test_of_the_registry(self, registry: Grpcurl, service: str) -> None:
        assert registry.call("grpc.health.v1.Health/Check", {"service": service}) == {"status": "SERVING"}

    @pytest.mark.parametrize("service", ["", MANAGEMENT, ADMIN])
    @pytest.mark.parametrize("name", TARGETS[1:])
    def test_of_the_sidecar(self, installation: Instance, name: str, service: str) -> None:
        sidecar = Grpcurl(target(installation, name))
        assert sidecar.call("grpc.health.v1.Health/Check", {"service": service}) == {"status": "SERVING"}

    def test_an_unknown_service_is_not_found(self, registry: Grpcurl) -> None:
        assert registry.refusal("grpc.health.v1.Health/Check", {"service": "no.such"}).code == "NotFound"


class TestEveryMethod:
    def test_of_the_registry(self, registry: Grpcurl) -> None:
        """Each RPC of each service, called with JSON as one would type it."""
        call = Caller(registry)
        name = "providers/every"
        made = call(
            f"{PROVIDERS}/CreateProvider",
            provider={
                "displayName": "Every",
                "kind": "PROVIDER_KIND_OPENAI",
                "config": {"openai": {"organization": "org-1"}},
                "labels": {"cost_center": "a1"},
                "annotations": {"example.com/Some_Tool": "x"},
            },
            credential={"apiKey": {"apiKey": KEY}, "expireTime": "2030-01-02T03:04:05Z"},
        )
        assert made["name"] == name
        assert made["labels"] == {"cost_center": "a1"}
        assert made["credential"]["type"] == "CREDENTIAL_TYPE_API_KEY"
        assert made["credential"]["version"] == "1"
        assert made["credential"]["expireTime"] == "2030-01-02T03:04:05Z"
        assert int(made["revision"]) >= 1
        assert call(f"{PROVIDERS}/GetProvider", name=name) == made

        renamed = call(
            f"{PROVIDERS}/UpdateProvider",
            provider={"name": name, "displayName": "Every one", "etag": made["etag"]},
            updateMask={"paths": ["display_name"]},
        )
        assert (renamed["displayName"], renamed["labels"]) == ("Every one", made["labels"])
        replaced = call(
            f"{PROVIDERS}/SetProviderCredential", name=name, credential={"apiKey": {"apiKey": KEY}}
        )
        assert replaced["credential"]["version"] == "2"
        unsaved = {"kind": "PROVIDER_KIND_BEDROCK", "config": {"bedrock": {"region": "eu-central-1"}}}
        for method in ("ValidateProvider", "DiscoverProviderModels"):
            asked = call(f"{PROVIDERS}/{method}", provider=unsaved, candidateCredential={"ambient": {}})
            assert asked["validation"]["outcome"] == "OUTCOME_UNSUPPORTED"
        unreadable = call.refused(f"{PROVIDERS}/ValidateProvider", name=name)
        assert (unreadable.code, unreadable.reason) == ("FailedPrecondition", "STORED_CREDENTIAL_UNREADABLE")
        assert call(f"{PROVIDERS}/DisableProvider", name=name)["state"] == "STATE_DISABLED"
        assert call(f"{PROVIDERS}/EnableProvider", name=name)["state"] == "STATE_ACTIVE"
        listed = call(f"{PROVIDERS}/ListProviders", filter='display_name = "Every one"', pageSize=1)
        assert [each["name"] for each in listed["providers"]] == [name]
        assert listed["totalSize"] == 1

        custom = call(
            f"{PROVIDERS}/CreateProviderModel",
            parent=name,
            providerModel={
                "upstreamModelId": "ft:gpt-4o/Mine:1",
                "kind": "MODEL_KIND_CHAT",
                "contextWindow": 1000,
                "pricing": {"currencyCode": "EUR", "inputPerMillionTokens": "0.000000000001"},
                "capabilities": ["MODEL_CAPABILITY_TOOLS"],
            },
        )
        model = custom["name"]
        assert model.startswith(f"{name}/models/")
        assert custom["pricing"] == {"currencyCode": "EUR", "inputPerMillionTokens": "0.000000000001"}
        assert call(f"{PROVIDERS}/GetProviderModel", name=model) == custom
        updated = call(
            f"{PROVIDERS}/UpdateProviderModel",
            providerModel={"name": model, "displayName": "Mine"},
            updateMask={"paths": ["display_name"]},
        )
        assert updated["displayName"] == "Mine"
        assert call(f"{PROVIDERS}/DisableProviderModel", name=model)["state"] == "STATE_DISABLED"
        assert call(f"{PROVIDERS}/EnableProviderModel", name=model)["state"] == "STATE_ACTIVE"
        imported = call(
            f"{PROVIDERS}/ImportProviderModels", parent=name, upstreamModelIds=["gpt-4o", "gpt-4.1"]
        )
        assert [each["action"] for each in imported["results"]] == ["ACTION_CREATED"] * 2
        assert imported["createdCount"] == 2
        models = call(f"{PROVIDERS}/ListProviderModels", parent=name, orderBy="upstream_model_id desc")
        assert [each["upstreamModelId"] for each in models["providerModels"]] == [
            "gpt-4o",
            "gpt-4.1",
            "ft:gpt-4o/Mine:1",
        ]

        assert len(call(f"{PROVIDERS}/ListCatalogs")["catalogs"]) >= 11
        assert call(f"{PROVIDERS}/GetCatalog", name="catalogs/openai")["models"]
        assert len(call(f"{PROVIDERS}/ListProviderKinds")["providerKinds"]) == len(ProviderKind)

        active = call(f"{ROUTING}/ListActiveProviderModels", filter=f'provider = "{name}"')
        assert len(active["activeProviderModels"]) == 3
        snapshot = call(f"{ROUTING}/GetRoutingSnapshot")["snapshot"]
        assert name in [each["name"] for each in snapshot["providers"]]
        again = call(f"{ROUTING}/GetRoutingSnapshot", ifTokenNot=snapshot["token"])
        assert again == {"notModified": True} or int(again["snapshot"]["revision"]) > int(
            snapshot["revision"]
        )
        self.use_models(call, model)
        self.follow(call, model)
        (sealed,) = call(f"{ROUTING}/BatchGetSealedCredentials", providers=[name])["results"]
        assert base64.b64decode(sealed["sealedCredential"]["envelope"])[:4] == b"CVC1"
        assert sealed["sealedCredential"]["destinations"] == ["api https://api.openai.com"]

        status = call(f"{SYSTEM}/GetEncryptionStatus")
        assert status["sweepState"].startswith("SWEEP_STATE_")
        assert status["primaryKeyVersion"] == sealed["sealedCredential"]["keyVersion"]
        assert call(f"{SYSTEM}/RewrapDataKeys")["primaryKeyVersion"] == status["primaryKeyVersion"]
        assert int(call(f"{SYSTEM}/VerifyDataKeys")["verifiedCount"]) >= 1
        assert int(call(f"{SYSTEM}/DigestProviders")["credentialCount"]) >= 1

        self.use_batches(call, name)
        preview = call(f"{PROVIDERS}/DeleteProvider", name=name, validateOnly=True)["impact"]
        assert preview["providerModelCount"] == 3
        assert preview["credentialDestroyed"] is True
        call(f"{PROVIDERS}/DeleteProviderModel", name=model)
        assert (
            registry.refusal(
                f"{PROVIDERS}/DeleteProvider",
                {"name": name, "force": True, "impactToken": preview["impactToken"]},
            ).reason
            == "IMPACT_CHANGED"
        )
        assert call(f"{PROVIDERS}/DeleteProvider", name=name, force=True)["impact"]["providerModelCount"] == 2

        assert call.called == methods(
            provider_service_pb2.DESCRIPTOR,
            model_service_pb2.DESCRIPTOR,
            routing_service_pb2.DESCRIPTOR,
            system_service_pb2.DESCRIPTOR,
        )

    def follow(self, call: Caller, provider_model: str) -> None:
        """What routers do beside asking, and what operators see of it."""
        snapshot = call(f"{ROUTING}/GetRoutingSnapshot")["snapshot"]
        (whole,) = call.first(1, f"{ROUTING}/WatchRouting")
        chunk = whole["snapshotChunk"]
        assert (chunk["first"], chunk["last"], chunk["reason"]) == (True, True, "REASON_INITIAL")
        assert (whole["revision"], whole["storeId"]) == (snapshot["revision"], snapshot["storeId"])
        assert chunk["providerModels"] == snapshot["providerModels"]

        call(f"{PROVIDERS}/DisableProviderModel", name=provider_model)
        call(f"{PROVIDERS}/EnableProviderModel", name=provider_model)
        gone, back, bookmark = call.first(
            3,
            f"{ROUTING}/WatchRouting",
            resumeToken=snapshot["token"],
            bookmarkInterval="1s",
            watcherId="gateway-1",
        )
        assert gone["changeSet"]["changes"] == [{"removed": provider_model}]
        assert [each["providerModel"]["name"] for each in back["changeSet"]["changes"]] == [provider_model]
        assert bookmark["bookmark"].keys() == {"serverTime", "tableAge"}
        assert bookmark["revision"] == back["revision"]

        info = call(f"{SYSTEM}/GetSystemInfo")
        assert (info["storage"], info["storeId"]) == ("STORAGE_SQLITE", snapshot["storeId"])
        assert info["revision"] == back["revision"]
        waiting = call(f"{SYSTEM}/AwaitAppliedRevision", revision=back["revision"], timeout="0s")
        assert (waiting["routerCount"], waiting["lagging"][0]["watcherId"]) == (1, "gateway-1")
        applied = {"token": back["token"]}
        assert call(f"{ROUTING}/ReportAppliedRevision", watcherId="gateway-1", **applied) == {}
        listed = call(f"{SYSTEM}/ListRouters", filter="gateway-1")
        assert [each["appliedRevision"] for each in listed["routers"]] == [back["revision"]]
        assert listed["minAppliedRevision"] == back["revision"]
        reached = call(f"{SYSTEM}/AwaitAppliedRevision", revision=back["revision"])
        assert reached == {
            "reached": True,
            "revision": back["revision"],
            "routerCount": 1,
            "appliedCount": 1,
        }
        assert call(f"{ROUTING}/ReportAppliedRevision", watcherId="gateway-1", stopping=True) == {}

    def use_batches(self, call: Caller, parent: str) -> None:
        """Many at once, and what ends soon."""
        made = call(
            f"{PROVIDERS}/CreateProviderModel",
            parent=parent,
            providerModel={
                "upstreamModelId": "ends",
                "kind": "MODEL_KIND_CHAT",
                "retireTime": "2020-01-02T03:04:05Z",
            },
        )["name"]
        backends = [{"providerModel": made}]
        model = {"displayName": "Ends", "kind": "MODEL_KIND_CHAT", "backends": backends}
        model_name = call(f"{MODELS}/CreateModel", modelId="ends", model=model)["name"]
        lost = {"model": model_name, "providerModel": made}
        ends = call(f"{PROVIDERS}/ListRetirements", withinDays=1, parent=parent)
        assert ends["retirements"] == [
            {
                "providerModel": made,
                "upstreamModelId": "ends",
                "retireTime": "2020-01-02T03:04:05Z",
                "routable": True,
                "backends": [lost],
                "backendCount": 1,
                "modelsLeftUnroutable": [model_name],
                "modelsLeftUnroutableCount": 1,
            }
        ]
        assert ends["modelsLeftUnroutable"] == [model_name]
        off = call(f"{PROVIDERS}/BatchDisableProviderModels", names=[made])
        assert off["results"] == [{"providerModel": made, "action": "ACTION_DISABLED"}]
        both = call(
            f"{PROVIDERS}/BatchEnableProviderModels", names=[made, f"{parent}/models/none"], parent=parent
        )
        assert (both["changedCount"], both["failedCount"]) == (1, 1)
        assert both["results"][1]["error"]["code"] == grpc.StatusCode.NOT_FOUND.value[0]
        deleted = call(f"{PROVIDERS}/BatchDeleteProviderModels", names=[made], force=True)
        assert deleted["impact"]["backends"] == [lost]
        assert deleted["impact"]["modelsLeftUnroutable"] == [model_name]
        call(f"{MODELS}/DeleteModel", name=model_name)

    def use_models(self, call: Caller, provider_model: str) -> None:
        """Each RPC of ModelService, over one provider model."""
        name = "models/every-one"
        made = call(
            f"{MODELS}/CreateModel",
            modelId="every-one",
            model={
                "displayName": "Every one",
                "kind": "MODEL_KIND_CHAT",
                "backends": [{"providerModel": provider_model, "priority": 1}],
                "labels": {"tier": "gold"},
            },
        )
        assert made["name"] == name
        assert made["backends"] == [{"providerModel": provider_model, "priority": 1, "routable": True}]
        assert call(f"{MODELS}/GetModel", name=name) == made
        renamed = call(
            f"{MODELS}/UpdateModel",
            model={"name": name, "description": "What for", "etag": made["etag"]},
            updateMask={"paths": ["description"]},
        )
        assert renamed["description"] == "What for"
        heavy = {"providerModel": provider_model, "weight": 7}
        assert call(f"{MODELS}/AddModelBackend", model=name, backend=heavy)["backends"] == [
            heavy | {"routable": True}
        ]
        (routed,) = call(f"{ROUTING}/GetRoutingSnapshot")["snapshot"]["models"]
        assert (routed["name"], routed["backends"]) == (name, [heavy | {"routable": True}])
        assert call(f"{MODELS}/DisableModel", name=name)["state"] == "STATE_DISABLED"
        assert call(f"{MODELS}/EnableModel", name=name)["state"] == "STATE_ACTIVE"
        listed = call(f"{MODELS}/ListModels", filter=f"backends.provider_model:{provider_model}")
        assert [each["name"] for each in listed["models"]] == [name]
        bare = call(f"{MODELS}/RemoveModelBackend", model=name, providerModel=provider_model)
        assert "backends" not in bare
        deleted = call(f"{MODELS}/DeleteModel", name=name)
        assert deleted["impact"]["impactToken"]
        assert int(deleted["revision"]) > int(bare["revision"])

    def test_of_the_sidecar(self, installation: Instance) -> None:
        """Each RPC on the socket of its role; what one role wraps, only the other unwraps."""
        as_registry, as_router, as_admin = (
            Caller(Grpcurl(target(installation, name))) for name in ("registry", "router", "admin")
        )
        status = as_registry(f"{MANAGEMENT}/GetStatus")
        assert status["backend"] == "BACKEND_LOCAL_KEYRING"
        context = oracle.lp(
            b"codevector/dek/1",
            bytes.fromhex(status["deploymentId"]),
            b"default",
            uuid.uuid4().bytes,
            uuid.uuid4().bytes,
            (1).to_bytes(8, "big"),
        )
        dek = bytes(range(32))
        item = {"context": encoded(context), "plaintext": encoded(dek)}
        wrapped = as_registry(f"{MANAGEMENT}/BatchWrapDataKeys", items=[item])["results"][0]["wrapped"]
        assert wrapped["commitment"] == encoded(oracle.commitment(dek, context))
        assert as_registry(f"{MANAGEMENT}/BatchVerifyDataKeys", items=[wrapped]) == {"results": [{}]}
        opened = as_router(f"{MANAGEMENT}/BatchUnwrapDataKeys", items=[{"wrapped": wrapped}])
        assert opened == {"results": [{"plaintext": encoded(dek)}]}

        (old,) = as_admin(f"{ADMIN}/ListKeyVersions")["keyVersions"]
        new = as_admin(f"{ADMIN}/CreateKeyVersion", requestId=str(uuid.uuid4()), expectedLatest=old["name"])
        assert new["state"] == "STATE_PENDING"
        assert as_admin(f"{ADMIN}/ActivateKeyVersion", name=new["name"])["state"] == "STATE_PRIMARY"
        moved = as_registry(
            f"{MANAGEMENT}/BatchRewrapDataKeys", items=[wrapped], targetKeyVersion=new["name"]
        )["results"][0]["wrapped"]
        assert moved["keyVersion"] == new["name"]
        assert as_router(f"{MANAGEMENT}/BatchUnwrapDataKeys", items=[{"wrapped": moved}]) == opened

        retired = as_admin(f"{ADMIN}/DisableKeyVersion", name=old["name"], confirmedUnreferenced=True)
        assert retired["state"] == "STATE_DISABLED"
        early = as_admin.refused(f"{ADMIN}/ScheduleKeyVersionDestruction", name=old["name"], delay="2592000s")
        assert (early.code, early.reason) == ("FailedPrecondition", "KEY_VERSION_STATE")
        assert as_admin(f"{ADMIN}/CancelKeyVersionDestruction", name=old["name"])["state"] == "STATE_DISABLED"
        assert as_admin(f"{ADMIN}/EnableKeyVersion", name=old["name"])["state"] == "STATE_DECRYPT_ONLY"

        audited = as_router(f"{MANAGEMENT}/GetStatus")
        whole = as_admin(
            f"{ADMIN}/VerifyAudit", expectedSeq=audited["auditSeq"], expectedHead=audited["auditHead"]
        )
        assert whole["intact"]
        exposed = as_admin(f"{ADMIN}/ListExposure", since="2026-01-01T00:00:00Z", principal="router")
        assert "2" in [each["accessCount"] for each in exposed["exposedCredentials"]]

        called = as_registry.called | as_router.called | as_admin.called
        assert called == methods(key_management_service_pb2.DESCRIPTOR, key_admin_service_pb2.DESCRIPTOR)

    @pytest.mark.parametrize(
        ("name", "allowed"),
        [
            ("registry", {"GetStatus", "BatchWrapDataKeys", "BatchRewrapDataKeys", "BatchVerifyDataKeys"}),
            ("router", {"GetStatus", "BatchUnwrapDataKeys"}),
            ("admin", {method.name for method in ADMIN_METHODS}),
        ],
    )
    def test_a_socket_refuses_what_its_role_may_not_call(
        self, installation: Instance, name: str, allowed: set[str]
    ) -> None:
        everything = methods(key_management_service_pb2.DESCRIPTOR, key_admin_service_pb2.DESCRIPTOR)
        refused = [method for method in sorted(everything) if method.rpartition("/")[2] not in allowed]
        assert len(refused) == len(everything) - len(allowed)
        for method in refused:
            refusal = Grpcurl(target(installation, name)).refusal(method)
            assert (refusal.code, refusal.reason) == ("PermissionDenied", "ROLE_REQUIRED")


def encoded(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


CREATE = {"provider": {"displayName": "Refused", "kind": "PROVIDER_KIND_OPENAI"}}


class TestErrors:
    """Each kind of refusal: the status, the reason, and details as JSON instead of base64."""

    @pytest.mark.parametrize(
        ("method", "request_", "code", "reason", "field"),
        [
            pytest.param(
                "CreateProvider",
                {"provider": {"displayName": "x" * 64, "kind": "PROVIDER_KIND_OPENAI"}},
                "InvalidArgument",
                "INVALID_FIELD",
                "provider.display_name",
                id="rule of the contract",
            ),
            pytest.param(
                "CreateProvider",
                {
                    "provider": {
                        "displayName": "Refused",
                        "kind": "PROVIDER_KIND_OPENAI",
                        "config": {"openai": {"baseUrl": "http://api.example.com/v1"}},
                    }
                },
                "InvalidArgument",
                "INVALID_FIELD",
                "provider.config.openai.base_url",
                id="rule of the registry",
            ),
            pytest.param(
                "CreateProvider",
                CREATE
                | {"credential": {"awsAccessKey": {"accessKeyId": "A" * 20, "secretAccessKey": "made-up"}}},
                "InvalidArgument",
                "CREDENTIAL_TYPE_MISMATCH",
                "credential.aws_access_key",
                id="credential of another kind",
            ),
            pytest.param(
                "ListProviders",
                {"filter": "secret = 1"},
                "InvalidArgument",
                "INVALID_FILTER",
                "filter",
                id="filter",
            ),
            pytest.param(
                "ListProviders",
                {"pageToken": "bm9uZQ"},
                "InvalidArgument",
                "INVALID_PAGE_TOKEN",
                "page_token",
                id="page token",
            ),
            pytest.param(
                "UpdateProvider",
                {"provider": {"name": "providers/none"}, "updateMask": {"paths": ["uid_"]}},
                "InvalidArgument",
                "INVALID_UPDATE_MASK",
                "update_mask",
                id="mask",
            ),
        ],
    )
    def test_bad_request(
        self, registry: Grpcurl, method: str, request_: dict[str, Any], code: str, reason: str, field: str
    ) -> None:
        refusal = registry.refusal(f"{PROVIDERS}/{method}", request_)
        assert (refusal.code, refusal.reason) == (code, reason)
        assert refusal.exit_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        (violation,) = refusal.detail("BadRequest")["fieldViolations"]
        assert violation["field"] == field
        assert violation["description"] in refusal.message
        assert refusal.detail("ErrorInfo")["domain"] == "codevector"
        assert_readable(list(refusal.details))

    def test_of_a_resource(self, registry: Grpcurl) -> None:
        missing = registry.refusal(f"{PROVIDERS}/GetProvider", {"name": "providers/none"})
        assert (missing.code, missing.reason) == ("NotFound", "RESOURCE_NOT_FOUND")
        assert missing.message == "providers/none does not exist"
        assert missing.detail("ResourceInfo") == {
            "@type": "type.googleapis.com/google.rpc.ResourceInfo",
            "resourceType": "codevector/Provider",
            "resourceName": "providers/none",
        }

    def test_of_a_provider_as_it_stands(self, registry: Grpcurl) -> None:
        name = "providers/stands"
        made = registry.call(
            f"{PROVIDERS}/CreateProvider",
            {
                "provider": {"displayName": "Stands", "kind": "PROVIDER_KIND_OPENAI"},
                "credential": {"apiKey": {"apiKey": KEY}},
            },
        )
        assert made["name"] == name
        registry.call(f"{PROVIDERS}/ImportProviderModels", {"parent": name, "upstreamModelIds": ["gpt-4o"]})

        taken = registry.refusal(
            f"{PROVIDERS}/CreateProvider", {"provider": made | {"displayName": "STANDS"}}
        )
        assert (taken.code, taken.reason) == ("AlreadyExists", "DISPLAY_NAME_TAKEN")
        assert taken.detail("ResourceInfo")["resourceName"] == name

        stale = registry.refusal(f"{PROVIDERS}/DisableProvider", {"name": name, "etag": "1-00000000"})
        assert (stale.code, stale.reason) == ("Aborted", "ETAG_MISMATCH")
        assert stale.detail("ErrorInfo")["metadata"]["current_etag"] == made["etag"]

        filled = registry.refusal(f"{PROVIDERS}/DeleteProvider", {"name": name})
        assert (filled.code, filled.reason) == ("FailedPrecondition", "PROVIDER_HAS_MODELS")
        (violation,) = filled.detail("PreconditionFailure")["violations"]
        assert violation["subject"] == f"{name}/models/gpt-4o"

        retargeted = registry.refusal(
            f"{PROVIDERS}/UpdateProvider",
            {
                "provider": {
                    "name": name,
                    "config": {"openai": {"baseUrl": "https://elsewhere.example.com/v1"}},
                }
            },
        )
        assert (retargeted.code, retargeted.reason) == ("FailedPrecondition", "CREDENTIAL_REENTRY_REQUIRED")
        for refusal in (taken, stale, filled, retargeted):
            assert_readable(list(refusal.details))

    @pytest.mark.parametrize(
        ("method", "request_", "reason"),
        [
            pytest.param(
                f"{ROUTING}/WatchRouting",
                {"resumeRevision": 1, "storeId": "another", "strictResume": True},
                "RESUME_TOKEN_REQUIRED",
                id="watch",
            ),
            pytest.param(
                f"{SYSTEM}/AwaitAppliedRevision", {"revision": 1 << 40}, "REVISION_AHEAD", id="wait"
            ),
        ],
    )
    def test_of_a_revision(
        self, registry: Grpcurl, method: str, request_: dict[str, Any], reason: str
    ) -> None:
        refusal = registry.refusal(method, request_)
        assert (refusal.code, refusal.reason) == ("OutOfRange", reason)
        assert int(refusal.detail("ErrorInfo")["metadata"]["current_revision"]) >= 0

    def test_of_one_item(self, registry: Grpcurl) -> None:
        """An error inside an answer is as readable as one that ends a call."""
        answer = registry.call(f"{ROUTING}/BatchGetSealedCredentials", {"providers": ["providers/none"]})
        error = answer["results"][0]["error"]
        assert error["code"] == grpc.StatusCode.NOT_FOUND.value[0]
        assert {each["@type"].rpartition(".")[2] for each in error["details"]} == {
            "ErrorInfo",
            "ResourceInfo",
        }
