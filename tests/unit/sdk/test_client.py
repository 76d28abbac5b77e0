"""The client against a registry and a sidecar on real sockets."""

from __future__ import annotations

import socket as sockets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import codevector_providers as sdk
import grpc
import pytest
from codevector.kms.v1 import key_management_service_pb2 as kms_pb2
from codevector.providers.v1 import model_pb2, provider_model_pb2, provider_pb2
from codevector.providers.v1 import routing_service_pb2 as pb
from google.rpc import code_pb2, status_pb2

from tests.support.doubles import kms_double, registry_double
from tests.support.doubles.kms_double import KmsDouble
from tests.support.doubles.loopback import Recorder, listening
from tests.support.doubles.registry_double import RegistryDouble, status
from tests.support.values.envelope_vectors import EnvelopeVector, load, load_all
from tests.support.values.wire_values import KEY, NAME, entry, sealed, snapshot


@dataclass
class Stage:
    registry: RegistryDouble
    kms: KmsDouble
    address: str
    socket: Path

    def connect(self, **options: object) -> sdk.Client:
        return sdk.connect(self.address, kms_socket=self.socket, **options)  # type: ignore[arg-type]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    registry = RegistryDouble(snapshot=snapshot(entry()), sealed={NAME: sealed()})
    kms = KmsDouble()
    with (
        registry_double.serving(registry) as address,
        kms_double.serving(kms, tmp_path / "router.sock") as socket,
    ):
        yield Stage(registry, kms, address, socket)


class TestModels:
    def test_all_pages_in_order(self, stage: Stage) -> None:
        models = [
            pb.ActiveProviderModel(
                name=f"{NAME}/models/m{number}",
                provider=NAME,
                provider_kind=provider_pb2.PROVIDER_KIND_OPENAI,
                upstream_model_id=f"m{number}",
                kind=provider_model_pb2.MODEL_KIND_CHAT,
                context_window=1000,
                capabilities=[provider_model_pb2.MODEL_CAPABILITY_TOOLS],
            )
            for number in range(5)
        ]
        models[0].pricing.CopyFrom(
            provider_model_pb2.Pricing(
                currency_code="USD",
                input_per_million_tokens="0",
                tiers=[provider_model_pb2.PricingTier(above_input_tokens=9, output_per_million_tokens="1.5")],
            )
        )
        stage.registry.snapshot.provider_models.extend(models)
        with stage.connect() as client:
            listed = list(client.active_models())
        assert [model.upstream_model_id for model in listed] == ["m0", "m1", "m2", "m3", "m4"]
        assert set(stage.registry.page_size_seen) == {1000}
        first, second = listed[:2]
        assert first.provider_kind is sdk.ProviderKind.OPENAI
        assert first.kind is sdk.ModelKind.CHAT
        assert first.capabilities == (sdk.ModelCapability.TOOLS,)
        assert first.pricing is not None
        assert first.pricing.input_per_million_tokens == "0"
        assert first.pricing.output_per_million_tokens is None
        assert first.pricing.tiers[0].output_per_million_tokens == "1.5"
        assert second.pricing is None

    def test_snapshot(self, stage: Stage) -> None:
        with stage.connect() as client:
            table = client.snapshot()
            assert table is not None
            assert (table.revision, table.store_id) == (1, "s")
            assert client.snapshot(if_token_not=table.token) is None
            assert client.snapshot(if_token_not="other@1") is not None
            assert client.snapshot(if_token_not="s@2") is not None

    def test_models_with_their_backends_in_order(self, stage: Stage) -> None:
        stage.registry.snapshot.models.append(
            pb.ActiveModel(
                name="models/smart",
                kind=provider_model_pb2.ModelKind.MODEL_KIND_CHAT,
                backends=[
                    model_pb2.ModelBackend(provider_model=f"{NAME}/models/b", weight=3, routable=True),
                    model_pb2.ModelBackend(provider_model=f"{NAME}/models/a", priority=1, routable=True),
                ],
                labels={"tier": "gold"},
            )
        )
        with stage.connect() as client:
            table = client.snapshot()
        assert table is not None
        assert table.models == (
            sdk.ActiveModel(
                name="models/smart",
                kind=sdk.ModelKind.CHAT,
                backends=(
                    sdk.ModelBackend(f"{NAME}/models/b", priority=0, weight=3),
                    sdk.ModelBackend(f"{NAME}/models/a", priority=1, weight=1),
                ),
                labels={"tier": "gold"},
            ),
        )

    def test_newer_servers(self, stage: Stage) -> None:
        """Enum values this library does not know read as UNSPECIFIED and break nothing else."""
        stage.registry.snapshot.providers[0].kind = 99  # type: ignore[assignment]
        with stage.connect() as client:
            assert client.provider(NAME).kind is sdk.ProviderKind.UNSPECIFIED
            with pytest.raises(sdk.DestinationRefused, match="upgrade"):
                client.credential(NAME)


class TestProvider:
    def test_by_name(self, stage: Stage) -> None:
        stage.registry.snapshot.providers[0].config.openai.organization = "org-1"
        with stage.connect() as client:
            provider = client.provider(NAME)
        assert provider.kind is sdk.ProviderKind.OPENAI
        assert provider.credential_type is sdk.CredentialType.API_KEY
        assert provider.config == {"organization": "org-1"}
        assert provider.labels == {"team": "a"}

    def test_headers_of_a_compatible_upstream(self, stage: Stage) -> None:
        config = provider_pb2.ProviderConfig(
            openai_compatible=provider_pb2.OpenAICompatibleConfig(
                base_url="https://gw.example/v1", headers={"X-Tenant": "a"}
            )
        )
        stage.registry.snapshot.CopyFrom(
            snapshot(
                pb.RoutingProvider(
                    name=NAME, kind=provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE, config=config
                )
            )
        )
        with stage.connect() as client:
            provider = client.provider(NAME)
        assert provider.config == {"base_url": "https://gw.example/v1"}
        assert provider.headers == {"X-Tenant": "a"}

    def test_unknown(self, stage: Stage) -> None:
        with stage.connect() as client, pytest.raises(sdk.ProviderNotFound) as caught:
            client.provider("providers/none")
        assert caught.value.metadata == {"provider": "providers/none"}

    def test_the_table_is_sent_again_only_when_it_changed(self, stage: Stage) -> None:
        with stage.connect() as client:
            client.provider(NAME)
            client.provider(NAME)
            assert stage.registry.whole_snapshots_sent == 1
            stage.registry.snapshot.CopyFrom(snapshot(revision=2))
            with pytest.raises(sdk.ProviderNotFound):
                client.provider(NAME)
        assert stage.registry.whole_snapshots_sent == 2


class TestCredential:
    @pytest.mark.parametrize("vector", load_all(opens=True), ids=lambda vector: vector.name)
    def test_of_every_kind_and_type(self, stage: Stage, vector: EnvelopeVector) -> None:
        stage.kms.deployment_id = vector.deployment_id.hex()
        stage.registry.snapshot.CopyFrom(snapshot(entry(vector)))
        stage.registry.sealed[NAME] = sealed(vector)
        with stage.connect() as client:
            credential = client.credential(NAME)
        assert credential.reveal_all() == vector.fields
        assert credential.type == vector.type
        assert sorted(item.item for item in credential.destinations) == list(vector.destinations)

    def test_by_value(self, stage: Stage) -> None:
        with stage.connect() as client:
            assert client.credential(client.provider(NAME)).reveal("api_key") == KEY

    def test_replaced_between_two_reads(self, stage: Stage) -> None:
        """A table that is one version behind is read again."""
        behind = entry()
        behind.credential_version = 7
        with stage.connect() as client:
            stage.registry.snapshot.CopyFrom(snapshot(behind))
            known = client.provider(NAME)
            stage.registry.snapshot.CopyFrom(snapshot(entry(), revision=2))
            assert client.credential(known).version == 1
        assert stage.registry.fetch_count == 2

    def test_an_older_one_that_stays(self, stage: Stage) -> None:
        """A replayed row is told from a race by its staying."""
        ahead = entry()
        ahead.credential_version = 2
        stage.registry.snapshot.CopyFrom(snapshot(ahead))
        with stage.connect() as client, pytest.raises(sdk.CredentialCorrupt):
            client.credential(NAME)
        assert stage.kms.unwrap_count == 0

    def test_wrapper_that_was_rewrapped_meanwhile(self, stage: Stage) -> None:
        """The sidecar no longer has the old key version: the wrapper is fetched again."""

        def spoil(answer: kms_pb2.BatchUnwrapDataKeysResponse) -> None:
            if stage.kms.unwrap_count == 1:
                gone = status(code_pb2.FAILED_PRECONDITION, "KEY_VERSION_UNAVAILABLE")
                answer.results[0].error.CopyFrom(gone)

        stage.kms.spoil_unwrap = spoil
        with stage.connect() as client:
            assert client.credential(NAME).reveal("api_key") == KEY
        assert stage.registry.fetch_count == 2

    def test_key_version_that_stays_away(self, stage: Stage) -> None:
        def spoil(answer: kms_pb2.BatchUnwrapDataKeysResponse) -> None:
            answer.results[0].error.CopyFrom(status(code_pb2.FAILED_PRECONDITION, "KEY_VERSION_UNAVAILABLE"))

        stage.kms.spoil_unwrap = spoil
        with stage.connect() as client, pytest.raises(sdk.KeyVersionUnavailable):
            client.credential(NAME)


def other_deployment(stage: Stage) -> None:
    stage.kms.deployment_id = "09" * 16


def edited_base_url(stage: Stage) -> None:
    stage.registry.snapshot.providers[0].config.openai.base_url = "https://evil.example"


def edited_base_url_and_list(stage: Stage) -> None:
    edited_base_url(stage)
    stage.registry.sealed[NAME].sealed_credential.destinations[:] = ["api https://evil.example"]


def edited_kind(stage: Stage) -> None:
    stage.registry.snapshot.providers[0].kind = provider_pb2.PROVIDER_KIND_GROQ
    stage.registry.sealed[NAME].sealed_credential.kind = provider_pb2.PROVIDER_KIND_GROQ


def edited_type(stage: Stage) -> None:
    stage.registry.snapshot.providers[0].credential_type = provider_pb2.CREDENTIAL_TYPE_AMBIENT
    stage.registry.sealed[NAME].sealed_credential.type = provider_pb2.CREDENTIAL_TYPE_AMBIENT


def uid_that_is_none(stage: Stage) -> None:
    stage.registry.snapshot.providers[0].uid = "x"


def envelope_of_another(stage: Stage) -> None:
    stage.registry.sealed[NAME].sealed_credential.envelope = load("groq-api-key").envelope


def wrapper_of_another(stage: Stage) -> None:
    wrapper = kms_double.wrap(load("groq-api-key").dek)
    stage.registry.sealed[NAME].sealed_credential.wrapped_data_key = wrapper


def whole_credential_of_another(stage: Stage) -> None:
    stage.registry.sealed[NAME] = sealed(load("groq-api-key"))


def wrong_key_from_the_sidecar(stage: Stage) -> None:
    def spoil(answer: kms_pb2.BatchUnwrapDataKeysResponse) -> None:
        answer.results[0].plaintext = bytes(32)

    stage.kms.spoil_unwrap = spoil


def short_key_from_the_sidecar(stage: Stage) -> None:
    def spoil(answer: kms_pb2.BatchUnwrapDataKeysResponse) -> None:
        answer.results[0].plaintext = b""

    stage.kms.spoil_unwrap = spoil


def two_keys_from_the_sidecar(stage: Stage) -> None:
    def spoil(answer: kms_pb2.BatchUnwrapDataKeysResponse) -> None:
        answer.results.add(plaintext=bytes(32))

    stage.kms.spoil_unwrap = spoil


class TestTampering:
    @pytest.mark.parametrize(
        "tamper",
        [
            other_deployment,
            edited_base_url,
            edited_base_url_and_list,
            edited_kind,
            uid_that_is_none,
            envelope_of_another,
            wrapper_of_another,
            whole_credential_of_another,
            wrong_key_from_the_sidecar,
            short_key_from_the_sidecar,
            two_keys_from_the_sidecar,
        ],
    )
    def test_does_not_open(self, stage: Stage, tamper: Callable[[Stage], None]) -> None:
        tamper(stage)
        with stage.connect() as client, pytest.raises(sdk.CredentialCorrupt) as caught:
            client.credential(NAME)
        assert caught.value.reason == "CREDENTIAL_CORRUPT"
        assert KEY not in repr(caught.value)

    def test_ambient_in_place_of_a_key(self, stage: Stage) -> None:
        """Who writes the database cannot make a router use its own identity."""
        edited_type(stage)
        with stage.connect() as client, pytest.raises(sdk.DestinationRefused):
            client.credential(NAME)
        with (
            stage.connect(allowed_destinations=["https://api.openai.com"]) as client,
            pytest.raises(sdk.CredentialCorrupt),
        ):
            client.credential(NAME)


class TestOwnRules:
    def test_allowed_destinations(self, stage: Stage) -> None:
        with stage.connect(allowed_destinations=["https://api.openai.com"]) as client:
            assert client.credential(NAME)
        with (
            stage.connect(allowed_destinations=["https://gateway.example"]) as client,
            pytest.raises(sdk.DestinationRefused, match="allowed_destinations"),
        ):
            client.credential(NAME)
        assert stage.kms.unwrap_count == 1

    def test_allowed_destinations_are_checked_at_once(self) -> None:
        with pytest.raises(ValueError, match="allowed_destinations"):
            sdk.connect(kms_socket="x.sock", allowed_destinations=["api.openai.com"])


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "reason", "kind"),
        [
            (code_pb2.FAILED_PRECONDITION, "PROVIDER_DISABLED", sdk.ProviderDisabled),
            (code_pb2.FAILED_PRECONDITION, "NO_STORED_CREDENTIAL", sdk.NoStoredCredential),
            (code_pb2.NOT_FOUND, "RESOURCE_NOT_FOUND", sdk.ProviderNotFound),
            (code_pb2.DATA_LOSS, "CREDENTIAL_CORRUPT", sdk.CredentialCorrupt),
            (code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE", sdk.RegistryUnavailable),
            (code_pb2.UNAVAILABLE, "", sdk.RegistryUnavailable),
            (code_pb2.DEADLINE_EXCEEDED, "", sdk.RegistryUnavailable),
            (code_pb2.PERMISSION_DENIED, "ROLE_REQUIRED", sdk.NotAllowed),
            (code_pb2.UNAUTHENTICATED, "UNAUTHENTICATED", sdk.NotAllowed),
            (code_pb2.INVALID_ARGUMENT, "INVALID_FIELD", sdk.InvalidRequest),
            (code_pb2.INTERNAL, "INTERNAL", sdk.ProvidersError),
            (code_pb2.FAILED_PRECONDITION, "SOMETHING_NEW", sdk.ProvidersError),
        ],
    )
    def test_of_items_and_of_calls(
        self, stage: Stage, code: int, reason: str, kind: type[sdk.ProvidersError]
    ) -> None:
        told = status(code, reason)
        with stage.connect() as client:
            provider = client.provider(NAME)
            stage.registry.sealed[NAME] = pb.SealedCredentialResult(error=told)
            for abort in (None, told):
                stage.registry.abort = abort
                with pytest.raises(sdk.ProvidersError) as caught:
                    client.credential(provider)
                assert type(caught.value) is kind
                assert caught.value.reason == (reason or caught.value.default_reason)
                assert caught.value.message == "told by the registry"
                assert caught.value.metadata == {"name": "x"}
            for call in (client.snapshot, lambda: list(client.active_models())):
                with pytest.raises(kind):
                    call()

    def test_of_details_that_are_none(self, stage: Stage) -> None:
        told = status(code_pb2.NOT_FOUND, "RESOURCE_NOT_FOUND")
        told.details[0].value = b"\xff"
        with stage.connect() as client:
            provider = client.provider(NAME)
            stage.registry.sealed[NAME] = pb.SealedCredentialResult(error=told)
            with pytest.raises(sdk.ProviderNotFound):
                client.credential(provider)

    def test_no_registry(self, tmp_path: Path) -> None:
        with sockets.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            port = closed.getsockname()[1]
        with sdk.connect(f"127.0.0.1:{port}", kms_socket=tmp_path / "none.sock") as client:
            for call in (
                client.snapshot,
                lambda: list(client.active_models()),
                lambda: client.provider(NAME),
            ):
                with pytest.raises(sdk.RegistryUnavailable):
                    call()

    def test_registry_that_does_not_answer(self, tmp_path: Path) -> None:
        with sockets.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            with (
                sdk.connect(address, kms_socket=tmp_path / "none.sock", deadline_seconds=0.05) as client,
                pytest.raises(sdk.RegistryUnavailable),
            ):
                client.snapshot()

    def test_no_sidecar(self, stage: Stage, tmp_path: Path) -> None:
        with (
            sdk.connect(stage.address, kms_socket=tmp_path / "none.sock") as client,
            pytest.raises(sdk.KmsUnavailable),
        ):
            client.credential(NAME)

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (grpc.StatusCode.UNAVAILABLE, sdk.KmsUnavailable),
            (grpc.StatusCode.DEADLINE_EXCEEDED, sdk.KmsUnavailable),
            (grpc.StatusCode.PERMISSION_DENIED, sdk.NotAllowed),
        ],
    )
    def test_sidecar_that_refuses(
        self, stage: Stage, code: grpc.StatusCode, kind: type[sdk.ProvidersError]
    ) -> None:
        with stage.connect() as client:
            client.credential(NAME)
            stage.kms.abort = code
            with pytest.raises(kind):
                client.credential(NAME)

    def test_sidecar_without_a_deployment(self, stage: Stage) -> None:
        stage.kms.deployment_id = "mine"
        with stage.connect() as client, pytest.raises(sdk.KmsUnavailable, match="deployment"):
            client.credential(NAME)

    def test_answers_of_another_shape(self, stage: Stage) -> None:
        with stage.connect() as client:
            stage.registry.sealed[NAME] = pb.SealedCredentialResult()
            with pytest.raises(sdk.NoStoredCredential):
                client.credential(NAME)
            stage.registry.sealed[NAME] = pb.SealedCredentialResult(error=status_pb2.Status(code=99))
            with pytest.raises(sdk.ProvidersError):
                client.credential(NAME)


class TestHttp:
    def test_base_url_and_no_redirects(self, stage: Stage) -> None:
        with stage.connect() as client, client.http(NAME) as http:
            assert str(http.base_url) == "https://api.openai.com/v1/"
            assert not http.follow_redirects
            assert not http.trust_env
            with pytest.raises(sdk.DestinationRefused):
                http.get("https://evil.example/")

    def test_of_a_provider_without_credential(self, stage: Stage) -> None:
        with listening(Recorder()) as upstream:
            config = provider_pb2.ProviderConfig(
                openai_compatible=provider_pb2.OpenAICompatibleConfig(base_url=f"{upstream.url}/v1")
            )
            bare = pb.RoutingProvider(
                name=NAME, kind=provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE, config=config
            )
            stage.registry.snapshot.CopyFrom(snapshot(bare))
            with stage.connect(allow_loopback_http=True) as client, client.http(NAME) as http:
                assert http.get("models").is_success
            with stage.connect() as client, pytest.raises(sdk.DestinationRefused, match="plain http"):
                client.http(NAME)
        assert [seen.path for seen in upstream.seen] == ["/v1/models"]
        assert upstream.auth_headers_seen == []
        assert stage.registry.fetch_count == 0

    def test_proxies_of_the_environment_are_not_asked(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with listening(Recorder()) as proxy, listening(Recorder()) as upstream:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
                monkeypatch.setenv(name, proxy.url)
            config = provider_pb2.ProviderConfig(
                openai_compatible=provider_pb2.OpenAICompatibleConfig(base_url=upstream.url)
            )
            bare = pb.RoutingProvider(
                name=NAME, kind=provider_pb2.PROVIDER_KIND_OPENAI_COMPATIBLE, config=config
            )
            stage.registry.snapshot.CopyFrom(snapshot(bare))
            with stage.connect(allow_loopback_http=True) as client, client.http(NAME) as http:
                assert http.get("/").is_success
        assert proxy.seen == []

    def test_what_signs_has_no_http_client(self, stage: Stage) -> None:
        vector = load("bedrock-aws-access-key")
        stage.kms.deployment_id = vector.deployment_id.hex()
        stage.registry.snapshot.CopyFrom(snapshot(entry(vector)))
        stage.registry.sealed[NAME] = sealed(vector)
        with stage.connect() as client:
            with pytest.raises(sdk.SignerRequired):
                client.http(NAME)
            with pytest.raises(sdk.SignerRequired):
                client.async_http(NAME)
            assert client.credential(NAME).reveal("secret_access_key")
