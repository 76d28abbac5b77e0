"""No plaintext of a credential is anywhere but in its envelope: not in files, logs, answers, errors or reprs.

Canaries go in by every way there is, right and wrong, with logging at its most talkative. Then everything
that was written, said or answered is searched for them.
"""

from __future__ import annotations

import json
import random
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import codevector_providers
import grpc
import pytest
from codevector.kms.v1 import key_management_service_pb2 as kms_pb
from codevector.kms.v1 import key_management_service_pb2_grpc as kms_grpc
from codevector.providers.v1 import provider_pb2, routing_service_pb2
from codevector.providers.v1 import provider_service_pb2 as pb
from google.protobuf.message import Message

from kms.settings import load as load_kms_settings
from service.domain.credentials import Secret, parse_material
from service.domain.model import CredentialType
from service.rpc.convert import credential_change
from service.settings import load as load_settings
from tests.support.servers.harness import Instance, instance, running, wait_until
from tests.support.values.canaries import ENCODINGS, Canaries, Hit

PROVIDERS = "codevector.providers.v1.ProviderService"
MANAGEMENT = "codevector.kms.v1.KeyManagementService"
OPENAI = provider_pb2.PROVIDER_KIND_OPENAI
TENANT, CLIENT = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
DEADLINE_SECONDS = 60
TALKATIVE = {
    "CODEVECTOR_LOG_LEVEL": "debug",
    "GRPC_VERBOSITY": "debug",
    "CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1",
}
OK, INVALID = "OK", "INVALID_ARGUMENT"
BREAKAGES = {
    "INTERNAL": "CREATE TRIGGER no_keys BEFORE INSERT ON data_keys BEGIN SELECT RAISE(ABORT, 'no'); END",
    "UNAVAILABLE": "ALTER TABLE registry RENAME TO another",
}
"""What is done to the database, and how calls that meet it end."""


@dataclass
class Conversation:
    """Calls as bytes to a server, and everything that ever came back."""

    said: list[tuple[str, bytes]] = field(default_factory=list)

    def call(
        self,
        channel: grpc.Channel,
        method: str,
        request: Message | bytes,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> str:
        """The name of the status the call ended with."""
        octets = request if isinstance(request, bytes) else request.SerializeToString()
        rpc: Any = channel.unary_unary(f"/{method}")
        try:
            answer, call = rpc.with_call(octets, timeout=DEADLINE_SECONDS, metadata=metadata)
            self._note(method, answer, *self._trailers(call))
            return OK
        except grpc.RpcError as error:
            self._note(method, str(error.details()), repr(error), *self._trailers(error))
            return str(error.code().name)

    def _note(self, method: str, *parts: bytes | str) -> None:
        for part in parts:
            self.said.append((method, part if isinstance(part, bytes) else part.encode()))

    def _trailers(self, call: Any) -> Iterator[bytes | str]:
        for key, value in (*(call.initial_metadata() or ()), *(call.trailing_metadata() or ())):
            yield from (key, value)


@dataclass(frozen=True, slots=True)
class Submission:
    """One way for a credential to go in: what is sent, and how the call must end."""

    method: str
    request: Message | bytes
    ends: str
    metadata: tuple[tuple[str, str], ...] = ()


def api_key(text: str) -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=text))


def aws(canaries: Canaries, **changes: str) -> provider_pb2.CredentialInput:
    parts = {
        "access_key_id": "AKIAMADEUP0123456789",
        "secret_access_key": canaries.text(),
        "session_token": canaries.text(length=500),
    }
    return provider_pb2.CredentialInput(aws_access_key=provider_pb2.AwsAccessKeyCredential(**parts | changes))


def azure(canaries: Canaries, **changes: str) -> provider_pb2.CredentialInput:
    parts = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": canaries.text()}
    return provider_pb2.CredentialInput(
        azure_client_secret=provider_pb2.AzureClientSecretCredential(**parts | changes)
    )


def gcp(text: str) -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(
        gcp_service_account_key=provider_pb2.GcpServiceAccountKeyCredential(json=text)
    )


def key_file(canaries: Canaries, **changes: Any) -> str:
    document = {
        "type": "service_account",
        "project_id": "made-up",
        "private_key_id": "0123456789abcdef0123456789abcdef01234567",
        "private_key": canaries.private_key(),
        "client_email": "router@made-up.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    }
    return json.dumps(document | changes)


CONFIGS: Mapping[str, provider_pb2.ProviderConfig] = {
    "openai": provider_pb2.ProviderConfig(),
    "bedrock": provider_pb2.ProviderConfig(bedrock=provider_pb2.BedrockConfig(region="eu-central-1")),
    "vertex": provider_pb2.ProviderConfig(
        vertex=provider_pb2.VertexConfig(project_id="made-up", location="europe-west4")
    ),
    "azure": provider_pb2.ProviderConfig(
        azure=provider_pb2.AzureConfig(endpoint="https://made-up.openai.azure.com")
    ),
    "openai_compatible": provider_pb2.ProviderConfig(
        openai_compatible=provider_pb2.OpenAICompatibleConfig(base_url="https://llm.example.com/v1")
    ),
}


def provider(
    name: str, kind: str, config: provider_pb2.ProviderConfig | None = None
) -> provider_pb2.Provider:
    return provider_pb2.Provider(
        name=f"providers/{name}",
        display_name=name,
        kind=f"PROVIDER_KIND_{kind.upper()}",
        config=config or CONFIGS[kind],
    )


def create(
    name: str, kind: str, credential: provider_pb2.CredentialInput | None, ends: str = OK, **request: Any
) -> Submission:
    config = request.pop("config", None)
    message = pb.CreateProviderRequest(
        provider_id=name, provider=provider(name, kind, config), credential=credential, **request
    )
    return Submission("CreateProvider", message, ends)


def replace(
    name: str, credential: provider_pb2.CredentialInput, ends: str = OK, **request: Any
) -> Submission:
    message = pb.SetProviderCredentialRequest(name=f"providers/{name}", credential=credential, **request)
    return Submission("SetProviderCredential", message, ends)


def update(
    name: str, kind: str, credential: provider_pb2.CredentialInput, ends: str = OK, **request: Any
) -> Submission:
    config = request.pop("config", None)
    message = pb.UpdateProviderRequest(
        provider=provider(name, kind, config), credential=credential, **request
    )
    return Submission("UpdateProvider", message, ends)


TYPES: Mapping[str, Callable[[Canaries], provider_pb2.CredentialInput]] = {
    "openai": lambda canaries: api_key(canaries.api_key()),
    "bedrock": aws,
    "vertex": lambda canaries: gcp(key_file(canaries)),
    "azure": azure,
}


def openai_at(base_url: str) -> provider_pb2.ProviderConfig:
    return provider_pb2.ProviderConfig(openai=provider_pb2.OpenAIConfig(base_url=base_url))


def right_ways(canaries: Canaries) -> Iterator[Submission]:
    """Each type by each method that takes a credential, as a preview and for good."""
    for kind, credential in TYPES.items():
        yield create(f"{kind}-preview", kind, credential(canaries), validate_only=True)
        yield create(kind, kind, credential(canaries))
        yield replace(kind, credential(canaries), validate_only=True)
        yield replace(kind, credential(canaries))
        yield update(kind, kind, credential(canaries), validate_only=True)
        yield update(kind, kind, credential(canaries))
    yield update(
        "openai", "openai", api_key(canaries.api_key()), config=openai_at("https://llm.example.com/v1")
    )
    yield update("by-update", "openai", api_key(canaries.api_key()), allow_missing=True)
    again = str(uuid.uuid4())
    yield replace("openai", api_key(canaries.api_key()), request_id=again)
    yield replace("openai", api_key(canaries.api_key()), "ABORTED", request_id=again)


def wrong_ways(canaries: Canaries) -> Iterator[Submission]:
    """What people and programs get wrong; each is refused."""
    for kind in TYPES:
        for other, make in TYPES.items():
            if other != kind and not (other == "openai" and kind in ("bedrock", "azure")):
                yield create(f"wrong-{kind}-{other}", kind, make(canaries), INVALID)
    wrong: Mapping[str, tuple[str, provider_pb2.CredentialInput]] = {
        "blank": ("openai", api_key(canaries.api_key() + " ")),
        "line-break": ("openai", api_key(canaries.api_key() + "\n")),
        "not-ascii": ("openai", api_key(canaries.api_key() + "é")),
        "too-long": ("openai", api_key(canaries.api_key(length=65 * 1024))),
        "long-secret": ("azure", azure(canaries, client_secret=canaries.text(length=1025))),
        "blank-secret": ("azure", azure(canaries, client_secret=f"{canaries.text()} {canaries.text()}")),
        "blank-token": ("bedrock", aws(canaries, session_token=f"{canaries.text()}\t")),
        "no-uuid": ("azure", azure(canaries, tenant_id=canaries.text())),
        "no-key-id": ("bedrock", aws(canaries, access_key_id=canaries.text())),
        "no-role": ("bedrock", aws(canaries, assume_role_arn=canaries.text())),
        "torn-json": ("vertex", gcp(key_file(canaries)[:-1])),
        "json-list": ("vertex", gcp(json.dumps([key_file(canaries)]))),
        "json-twice": ("vertex", gcp(key_file(canaries)[:-1] + ', "private_key": "x"}')),
        "deep-json": ("vertex", gcp("[" * 5000 + canaries.text())),
        "long-json": ("vertex", gcp(key_file(canaries, comment=canaries.text(length=17_000)))),
        "torn-pem": ("vertex", gcp(key_file(canaries, private_key=canaries.private_key()[:-9]))),
        "json-type": ("vertex", gcp(key_file(canaries, type=canaries.text()))),
        "token-uri": ("vertex", gcp(key_file(canaries, token_uri=f"https://{canaries.text()}.example.com"))),
        "key-in-email": ("vertex", gcp(key_file(canaries, client_email=canaries.private_key()))),
    }
    for name, (kind, credential) in wrong.items():
        yield create(name, kind, credential, INVALID)
        yield replace(kind, credential, INVALID)
    yield replace("none", api_key(canaries.api_key()), "NOT_FOUND")
    yield replace("openai", api_key(canaries.api_key()), "ABORTED", expected_version=77)
    yield create("openai", "openai", api_key(canaries.api_key()), "ALREADY_EXISTS")


def wrong_places(canaries: Canaries) -> Iterator[Submission]:
    """A secret pasted where none belongs; what the registry keeps in plain by design is not among them."""
    for number, url in enumerate(
        (
            f"https://user:{canaries.text()}@llm.example.com/v1",
            f"https://llm.example.com/v1?key={canaries.text()}",
            f"https://llm.example.com/v1#{canaries.text()}",
            f"https://{canaries.text()}/v1",
            canaries.api_key(),
        )
    ):
        config = provider_pb2.ProviderConfig(
            openai_compatible=provider_pb2.OpenAICompatibleConfig(base_url=url)
        )
        yield create(f"url-{number}", "openai_compatible", None, INVALID, config=config)
        yield update("openai", "openai", api_key(canaries.api_key()), INVALID, config=openai_at(url))
    for header in ("authorization", "Cookie", "x-api-key", "api-key", "X-Goog-Api-Key", "X-Two\r\nLines"):
        config = provider_pb2.ProviderConfig(
            openai_compatible=provider_pb2.OpenAICompatibleConfig(
                base_url="https://llm.example.com/v1", headers={header: f"Bearer {canaries.text()}"}
            )
        )
        yield create(
            f"header-{header.lower()[:6].strip('-')}", "openai_compatible", None, INVALID, config=config
        )
    text = canaries.text()
    yield create(text, "openai", None, INVALID)
    yield create("request-id", "openai", None, INVALID, request_id=text)
    yield Submission("GetProvider", pb.GetProviderRequest(name=f"providers/{text}"), INVALID)
    yield Submission("ListProviders", pb.ListProvidersRequest(page_token=text), INVALID)
    yield Submission("ListProviders", pb.ListProvidersRequest(filter=f'display_name = "{text}'), INVALID)
    yield Submission("ListProviders", pb.ListProvidersRequest(order_by=text), INVALID)
    yield Submission("GetCatalog", pb.GetCatalogRequest(name=text), INVALID)
    yield Submission("ListProviders", pb.ListProvidersRequest(), OK, (("authorization", f"Bearer {text}"),))
    yield Submission(
        "DisableProvider", pb.DisableProviderRequest(name="providers/openai", etag=text), "ABORTED"
    )


def wrong_bytes(canaries: Canaries) -> Iterator[Submission]:
    """Requests that are no such message, or more than one."""
    good = replace("openai", api_key(canaries.api_key())).request
    assert isinstance(good, Message)
    octets = good.SerializeToString()
    yield Submission("SetProviderCredential", octets[:-3], INVALID)
    yield Submission("SetProviderCredential", octets.replace(b"shwn", b"sh\xff\xfe"), INVALID)
    yield Submission("SetProviderCredential", canaries.text().encode(), INVALID)
    unknown = canaries.text().encode()
    yield Submission("SetProviderCredential", octets + b"\xfa\x7f" + bytes([len(unknown)]) + unknown, OK)
    yield replace("openai", api_key(canaries.api_key(length=5 << 20)), "RESOURCE_EXHAUSTED")


def without_sidecar(canaries: Canaries) -> Iterator[Submission]:
    """Valid ones at the wrong time."""
    for kind, credential in TYPES.items():
        yield create(f"{kind}-down", kind, credential(canaries), "UNAVAILABLE")
        yield replace(kind, credential(canaries), "UNAVAILABLE")
        yield update(kind, kind, credential(canaries), "UNAVAILABLE")


def with_a_broken_database(canaries: Canaries, ends: str) -> Iterator[Submission]:
    """Valid ones that meet an error nobody foresaw, in each handler that takes a credential."""
    yield create(f"broken-{ends.lower()[:8]}", "openai", api_key(canaries.api_key()), ends)
    yield replace("openai", api_key(canaries.api_key()), ends)
    yield update("openai", "openai", api_key(canaries.api_key()), ends)


def to_the_sidecar(canaries: Canaries) -> Iterator[Submission]:
    """Data keys on their way to be wrapped, as the sidecar may get them."""
    key = canaries.text().encode()
    for plaintext, context in ((key, b"context"), (key[:32], b"context"), (key[:32], key)):
        item = kms_pb.WrapItem(plaintext=plaintext, context=context)
        ends = OK if len(plaintext) == 32 else INVALID
        yield Submission("BatchWrapDataKeys", kms_pb.BatchWrapDataKeysRequest(items=[item]), ends)
    yield Submission("BatchWrapDataKeys", b"\x0a" + key, INVALID)


def submit(conversation: Conversation, made: Instance, ways: Iterator[Submission]) -> int:
    """Send all, each of which must end as it says; how many there were."""
    assert made.channel is not None
    count = 0
    for count, way in enumerate(ways, start=1):
        ended = conversation.call(made.channel, f"{PROVIDERS}/{way.method}", way.request, way.metadata)
        assert ended == way.ends, (way.method, count, conversation.said[-3:])
    return count


def process_hits(canaries: Canaries, made: Instance) -> list[Hit]:
    """The hits in what every account of this machine sees of the processes."""
    hits = []
    for process in (made.service, made.kms):
        assert process is not None
        for name in ("cmdline", "environ"):
            try:
                octets = Path(f"/proc/{process.child.pid}/{name}").read_bytes()
            except PermissionError:  # both make themselves unreadable; only root still reads it
                assert name == "environ"
                continue
            assert octets
            hits += canaries.hits(f"/proc of {process.name}: {name}", octets)
    return hits


@pytest.fixture
def canaries() -> Canaries:
    return Canaries(random.Random(random.getrandbits(64)))


class TestTheSearchItself:
    """A search that finds nothing proves nothing, unless it finds what is there."""

    @pytest.mark.parametrize("encoding", ENCODINGS)
    @pytest.mark.parametrize("made", [Canaries.text, Canaries.api_key, Canaries.private_key])
    def test_finds_each_encoding(
        self, canaries: Canaries, encoding: str, made: Callable[[Canaries], str], tmp_path: Path
    ) -> None:
        for offset in range(3):
            text = "x" * offset + made(canaries) + "y"
            for number, octets in enumerate(ENCODINGS[encoding](text)):
                (tmp_path / f"{offset}-{number}").write_bytes(b"\x00log " + octets + b" end\xff")
                found = canaries.hits_under(tmp_path)
                assert encoding in {hit.encoding for hit in found if hit.where.endswith(f"{offset}-{number}")}

    @pytest.mark.parametrize("length", [24, 40, 100])
    def test_finds_a_part(self, canaries: Canaries, length: int) -> None:
        text = canaries.api_key()[len("sk-proj-shwn") :]
        assert canaries.hits("beginning", text[:length].encode())
        assert canaries.hits("end", text[-length:].encode())

    def test_finds_no_other(self, canaries: Canaries) -> None:
        other = Canaries(random.Random(random.getrandbits(64)))
        assert canaries.hits("other", (other.text() + other.private_key()).encode()) == []

    def test_finds_what_the_registry_keeps_in_plain(self, canaries: Canaries) -> None:
        """An annotation is no secret: it is answered, and it stands in the database's files."""
        with running() as made:
            conversation = Conversation()
            shown = provider("shown", "openai")
            shown.annotations["note"] = canaries.text()
            request = pb.CreateProviderRequest(provider_id="shown", provider=shown)
            submit(conversation, made, iter([Submission("CreateProvider", request, OK)]))
            assert any(canaries.hits(*each) for each in conversation.said)
            assert {Path(hit.where).name for hit in canaries.hits_under(made.home)} & {
                "registry.db",
                "registry.db-wal",
            }


class TestNoPlaintext:
    def test_in_files_logs_answers_and_processes(self, canaries: Canaries) -> None:
        conversation = Conversation()
        with running(TALKATIVE) as made:
            submit(conversation, made, right_ways(canaries))
            with codevector_providers.connect(made.address, kms_socket=made.router_socket) as router:
                for kind in TYPES:
                    credential = router.credential(f"providers/{kind}")
                    opened = json.dumps(credential.reveal_all())
                    assert canaries.hits(kind, opened.encode()), "what was sealed is no canary"
                    for shown in (repr(credential), str(credential), f"{credential}", f"{credential!r:>200}"):
                        conversation.said.append((f"repr of a {kind} credential", shown.encode()))
            assert submit(conversation, made, wrong_ways(canaries)) > 40
            submit(conversation, made, wrong_places(canaries))
            submit(conversation, made, wrong_bytes(canaries))
            for name in TYPES:
                request = pb.GetProviderRequest(name=f"providers/{name}")
                submit(conversation, made, iter([Submission("GetProvider", request, OK)]))
            self.talk_to_sidecar(conversation, canaries, made)
            assert process_hits(canaries, made) == []
            assert canaries.hits_under(made.home) == []

            made.kill_kms()
            submit(conversation, made, without_sidecar(canaries))
            made.start_kms()
            self.wait_for_sidecar(conversation, canaries, made)
            for ends, statement in BREAKAGES.items():
                break_database(made.home / "registry.db", statement)
                submit(conversation, made, with_a_broken_database(canaries, ends))
            assert canaries.hits_under(made.home) == []

            made.stop_service()
            made.stop_kms()
            assert canaries.hits_under(made.home) == []
            self.assert_talkative(made.home / "test-logs")
        assert [hit for each in conversation.said for hit in canaries.hits(*each)] == []

    def talk_to_sidecar(self, conversation: Conversation, canaries: Canaries, made: Instance) -> None:
        for role in ("registry", "router", "admin"):
            with grpc.insecure_channel(f"unix:{made.home}/kms/{role}.sock") as channel:
                for way in to_the_sidecar(canaries):
                    ended = conversation.call(channel, f"{MANAGEMENT}/{way.method}", way.request)
                    assert ended == (way.ends if role == "registry" else "PERMISSION_DENIED")

    def wait_for_sidecar(self, conversation: Conversation, canaries: Canaries, made: Instance) -> None:
        """Until the registry has found it again: it tries twice a second."""
        channel, way = made.channel, replace("openai", api_key(canaries.api_key()))
        assert channel is not None
        wait_until(
            lambda: conversation.call(channel, f"{PROVIDERS}/{way.method}", way.request) == OK,
            what="the registry finds the sidecar",
        )

    def assert_talkative(self, logs: Path) -> None:
        """The logs hold a line of each kind of event, so that the search had something to find."""
        lines = [
            json.loads(line)
            for path in logs.glob("*.err")
            for line in path.read_text().splitlines()
            if line.startswith("{")
        ]
        assert {line["level"] for line in lines} >= {"debug", "info", "error"}
        assert {line.get("code") for line in lines} >= {"OK", INVALID, "UNAVAILABLE", "INTERNAL", "ABORTED"}


def break_database(path: Path, statement: str) -> None:
    """What a careless hand does to the database while the registry runs."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()


class TestNoPlaintextInObjects:
    def shown(self, value: object) -> bytes:
        return "\n".join([repr(value), str(value), f"{value}", f"{value!r}", f"{[value]}"]).encode()

    @pytest.mark.parametrize("kind", TYPES)
    def test_of_a_credential_in_hand(self, canaries: Canaries, kind: str) -> None:
        change = credential_change(TYPES[kind](canaries))
        secrets = dict(change.material.fields)
        assert canaries.hits("inside", json.dumps(change.material.reveal()).encode())
        for value in (change, change.material, secrets, *secrets.values()):
            assert canaries.hits("repr", self.shown(value)) == []

    def test_of_an_error_about_one(self, canaries: Canaries) -> None:
        """Neither the error nor anything that it was raised from."""
        for text in (key_file(canaries)[:-1], key_file(canaries, type=canaries.text())):
            with pytest.raises(Exception, match=r".") as raised:
                parse_material(CredentialType.GCP_SERVICE_ACCOUNT_KEY, {"json": text}, field="credential")
            error: BaseException | None = raised.value
            while error is not None:
                assert canaries.hits("error", self.shown(error) + repr(vars(error)).encode()) == []
                error = error.__cause__ or error.__context__

    def test_of_a_secret(self, canaries: Canaries) -> None:
        assert canaries.hits("repr", self.shown(Secret(canaries.text()))) == []

    def test_of_settings(self, canaries: Canaries) -> None:
        """A database's password stands in the environment, the sidecar's unlock secret in a file."""
        with instance() as made:
            password = canaries.private_key().splitlines()[1].replace("/", "%2F").replace("+", "%2B")
            settings = load_settings(
                made.environment | {"CODEVECTOR_DATABASE_URL": f"postgresql://u:{password}@127.0.0.1:1/x"}
            )
            assert canaries.hits("repr", self.shown(settings) + repr(settings.lines()).encode()) == []
            kms_settings = load_kms_settings(made.environment)
            unlock = (made.home / "kms" / "unlock.key").read_bytes()
            for shown in (self.shown(kms_settings), repr(kms_settings.lines()).encode()):
                assert unlock not in shown
                assert unlock.hex().encode() not in shown


class TestIdentities:
    def test_the_registry_cannot_unwrap_what_it_stores(self, canaries: Canaries) -> None:
        with running() as made:
            submit(Conversation(), made, iter([create("sealed", "openai", api_key(canaries.api_key()))]))
            request = routing_service_pb2.BatchGetSealedCredentialsRequest(providers=["providers/sealed"])
            (result,) = made.routing.BatchGetSealedCredentials(request, timeout=DEADLINE_SECONDS).results
            sealed = result.sealed_credential
            wrapped = kms_pb.WrappedDataKey(
                wrapped_data_key=sealed.wrapped_data_key,
                key_version=sealed.key_version,
                commitment=sealed.commitment,
                context=sealed.context,
            )
            unwrap = kms_pb.BatchUnwrapDataKeysRequest(items=[kms_pb.UnwrapItem(wrapped=wrapped)])
            for role, allowed in (("registry", False), ("admin", False), ("router", True)):
                with grpc.insecure_channel(f"unix:{made.home}/kms/{role}.sock") as channel:
                    stub = kms_grpc.KeyManagementServiceStub(channel)
                    if allowed:
                        assert (
                            len(
                                stub.BatchUnwrapDataKeys(unwrap, timeout=DEADLINE_SECONDS)
                                .results[0]
                                .plaintext
                            )
                            == 32
                        )
                        continue
                    with pytest.raises(grpc.RpcError) as refused:
                        stub.BatchUnwrapDataKeys(unwrap, timeout=DEADLINE_SECONDS)
                    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED

    @pytest.mark.parametrize("module", ["service", "kms"])
    def test_tracing_of_messages_is_refused_at_start(self, module: str) -> None:
        with instance() as made:
            made.environment["GRPC_TRACE"] = "all"
            done = made.run(module)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.splitlines()[-1].startswith(f"{module}: GRPC_TRACE prints ")
        assert "CODEVECTOR_INSECURE_DEBUG=1" in done.stderr
