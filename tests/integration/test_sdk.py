"""The routers' library against the real registry and the real sidecar."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import codevector_providers as sdk
import httpx
import pytest
from codevector.providers.v1 import provider_pb2

from service.domain.errors import Unavailable
from service.sealing.kms_client import DataKey, KmsClient
from tests.support.doubles.loopback import Recorder, listening
from tests.support.servers.api import SAMPLES, Api, Sample, api_key, kind_word, openai_compatible
from tests.support.servers.harness import Instance, running
from tests.support.servers.served import Served


def connect(instance: Served) -> sdk.Client:
    return sdk.connect(instance.address, kms_socket=instance.router_socket, allow_loopback_http=True)


def given_fields(credential: provider_pb2.CredentialInput) -> dict[str, str]:
    """What must come out again of what went in."""
    member = credential.WhichOneof("material")
    assert member is not None
    fields = {descriptor.name: value for descriptor, value in getattr(credential, member).ListFields()}
    if member == "gcp_service_account_key":
        document = json.loads(fields["json"])
        names = ("client_email", "private_key", "private_key_id", "project_id")
        return {name: document[name] for name in names}
    return fields


class TestEveryKind:
    @pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: kind_word(sample.kind))
    def test_what_goes_in_sealed_comes_out_opened(self, api: Api, sample: Sample) -> None:
        made = api.create(kind=sample.kind, config=sample.config, credential=sample.credential)
        with connect(api.instance) as client:
            credential = client.credential(made.name)
            assert credential.reveal_all() == given_fields(sample.credential)
            assert int(credential.type) == int(sample.credential_type)
            assert credential.destinations
            if credential.type is sdk.CredentialType.API_KEY:
                client.http(made.name).close()
            else:
                with pytest.raises(sdk.SignerRequired):
                    client.http(made.name)

    def test_models_are_listed(self, api: Api) -> None:
        made = api.create()
        model = api.create_provider_model(made.name, context_window=4096)
        with connect(api.instance) as client:
            listed = {entry.name: entry for entry in client.active_models()}
            table = client.snapshot()
        assert table is not None
        assert listed[model.name].context_window == 4096
        assert listed[model.name] in table.provider_models


class TestRoles:
    def test_registry_socket_opens_nothing(self, api: Api) -> None:
        made = api.create(credential=api_key())
        socket = api.instance.registry_socket
        with (
            sdk.connect(api.instance.address, kms_socket=socket) as client,
            pytest.raises(sdk.NotAllowed) as caught,
        ):
            client.credential(made.name)
        assert caught.value.reason == "ROLE_REQUIRED"

    def test_router_socket_wraps_nothing(self, api: Api) -> None:
        key = DataKey(context=bytes(103), commitment=bytes(32), dek=bytearray(32))
        with (
            KmsClient(api.instance.router_socket) as kms,
            pytest.raises(Unavailable, match="CODEVECTOR_KMS_REGISTRY_SOCKET"),
        ):
            kms.wrap([key])

    def test_both_know_the_deployment(self, api: Api) -> None:
        with KmsClient(api.instance.registry_socket) as kms:
            status = kms.status()
        assert len(status.deployment_id) == 16
        assert status.primary_key_version in status.accepted_key_versions


@dataclass(frozen=True, slots=True)
class Desk:
    """An open database for somebody who may write it, and the provider that is the victim."""

    sql: sqlite3.Connection
    victim: str
    donor: str
    canary: str

    def set(self, table: str, column: str, value: object) -> None:
        where = "provider_id = ?"
        if table == "data_keys":
            where = "dek_id = (SELECT dek_id FROM credentials WHERE provider_id = ?)"
        self.sql.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", [value, self.victim])  # noqa: S608

    def of_donor(self, table: str, column: str) -> object:
        join = "credentials NATURAL JOIN data_keys" if table == "data_keys" else table
        row = self.sql.execute(
            f"SELECT {column} FROM {join} WHERE provider_id = ?",  # noqa: S608
            [self.donor],
        ).fetchone()
        return row[0]


def base_url(desk: Desk) -> None:
    desk.set("providers", "config", json.dumps({"base_url": desk.canary}))


def base_url_and_destinations(desk: Desk) -> None:
    base_url(desk)
    desk.set("credentials", "destinations", json.dumps([f"api {desk.canary}"]))


def one_destination_more(desk: Desk) -> None:
    """The canary beside the right one, and the base URL turned to it."""
    (right,) = json.loads(str(desk.of_donor("credentials", "destinations")))
    base_url(desk)
    desk.set("credentials", "destinations", json.dumps(sorted([right, f"api {desk.canary}"])))


def kind_with_a_url_of_its_own(desk: Desk) -> None:
    base_url(desk)
    desk.set("providers", "kind", int(sdk.ProviderKind.GROQ))


def kind(desk: Desk) -> None:
    desk.set("providers", "kind", int(sdk.ProviderKind.MOONSHOT))


def uid(desk: Desk) -> None:
    desk.set("providers", "uid", str(uuid4()))


def host_header(desk: Desk) -> None:
    desk.set("providers", "headers", json.dumps({"Host": desk.canary.removeprefix("http://")}))


def ambient_type(desk: Desk) -> None:
    desk.set("credentials", "type", int(sdk.CredentialType.AMBIENT))


def ambient_type_at_a_cloud(desk: Desk) -> None:
    desk.set("providers", "kind", int(sdk.ProviderKind.AZURE))
    desk.set("providers", "config", json.dumps({"endpoint": "https://evil.openai.azure.com"}))
    ambient_type(desk)


def version(desk: Desk) -> None:
    desk.set("credentials", "version", 2)


def envelope(desk: Desk) -> None:
    desk.set("credentials", "envelope", desk.of_donor("credentials", "envelope"))


def wrapper(desk: Desk) -> None:
    desk.set("data_keys", "wrapped", desk.of_donor("data_keys", "wrapped"))


def envelope_and_wrapper(desk: Desk) -> None:
    envelope(desk)
    for column in ("wrapped", "context", "commitment", "key_version"):
        desk.set("data_keys", column, desk.of_donor("data_keys", column))


def context(desk: Desk) -> None:
    desk.set("data_keys", "context", desk.of_donor("data_keys", "context"))


def commitment(desk: Desk) -> None:
    desk.set("data_keys", "commitment", desk.of_donor("data_keys", "commitment"))


def key_version(desk: Desk) -> None:
    desk.set("data_keys", "key_version", "keyVersions/local-00000000-v1-0000000000000000")


EDITS: tuple[Callable[[Desk], None], ...] = (
    base_url,
    base_url_and_destinations,
    one_destination_more,
    kind_with_a_url_of_its_own,
    kind,
    uid,
    host_header,
    ambient_type,
    ambient_type_at_a_cloud,
    version,
    envelope,
    wrapper,
    envelope_and_wrapper,
    context,
    commitment,
    key_version,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """An installation whose database somebody edited, one column or pair of columns per provider."""

    instance: Instance
    upstream: Recorder
    canary: Recorder


def provider_of(edit: Callable[[Desk], None]) -> str:
    return f"victim-{edit.__name__.replace('_', '-')}"


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with (
        listening(Recorder()) as upstream,
        listening(Recorder()) as canary,
        running({"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"}) as instance,
    ):
        api = Api(instance)
        for name in ("donor", "untouched", *map(provider_of, EDITS)):
            api.create(
                name,
                provider_id=name,
                config=openai_compatible(upstream.url),
                credential=api_key(f"sk-canary-of-{name}-0123456789"),
            )
        instance.stop_service()
        edit_database(instance.home / "registry.db", canary.url)
        instance.start_service()
        yield Scene(instance, upstream, canary)


def edit_database(path: Path, canary: str) -> None:
    sql = sqlite3.connect(path)
    sql.execute("PRAGMA ignore_check_constraints = ON")
    try:
        for edit in EDITS:
            edit(Desk(sql, provider_of(edit), "donor", canary))
        sql.commit()
    finally:
        sql.close()


class TestWhoWritesTheDatabase:
    @pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
    def test_gets_no_key(self, scene: Scene, edit: Callable[[Desk], None]) -> None:
        """The router refuses: before a request is made, and with nothing of the key in the error.

        A credential that does not fit its provider's kind is not given out in the first place.
        """
        with connect(scene.instance) as client, pytest.raises(sdk.ProvidersError) as caught:
            client.http(f"providers/{provider_of(edit)}").get("/v1/models")
        refusals = sdk.CredentialCorrupt | sdk.DestinationRefused | sdk.ProviderNotFound
        assert isinstance(caught.value, refusals)
        assert isinstance(caught.value, sdk.ProviderNotFound) is (edit is ambient_type)
        assert "sk-canary" not in repr(caught.value)
        assert scene.canary.seen == []

    def test_leaves_the_others_alone(self, scene: Scene) -> None:
        with connect(scene.instance) as client, client.http("providers/untouched") as http:
            assert http.get("/v1/models").is_success
            with pytest.raises(sdk.DestinationRefused):
                http.get(scene.canary.url)
            with pytest.raises(sdk.DestinationRefused):
                http.send(httpx.Request("GET", f"http://localhost:{scene.upstream.port}/"))
        assert scene.upstream.seen[-1].headers["authorization"] == "Bearer sk-canary-of-untouched-0123456789"
        assert scene.canary.seen == []
