"""The library's Router against the real registry, the real sidecar and an upstream that records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import codevector_providers as sdk
import pytest
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.doubles.loopback import Recorder, listening
from tests.support.servers.api import Api, api_key, openai_compatible
from tests.support.servers.harness import Instance, running, wait_until

SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Scene:
    """An installation of its own, since it is stopped and killed, and an upstream that records."""

    instance: Instance
    upstream: Recorder

    @property
    def api(self) -> Api:
        return Api(self.instance)

    def router(self, **options: object) -> sdk.Router:
        return sdk.Router(
            self.instance.address,
            kms_socket=self.instance.router_socket,
            allow_loopback_http=True,
            max_reconnect_seconds=0.2,
            **options,  # type: ignore[arg-type]
        )

    def provider(self, name: str, key: str) -> str:
        """A provider that leads to the upstream."""
        made = self.api.create(
            name,
            provider_id=name,
            config=openai_compatible(f"{self.upstream.url}/v1"),
            credential=api_key(key),
        )
        return made.name


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with listening(Recorder()) as upstream, running({"CODEVECTOR_ALLOW_LOOPBACK_HTTP": "1"}) as instance:
        yield Scene(instance, upstream)


def shown(router: sdk.Router, api: Api) -> int:
    """The registry's revision, once the router has it, too."""
    revision = api.revision()
    assert router.wait_for(revision, seconds=SECONDS)
    return revision


def test_has_what_the_registry_answers(scene: Scene) -> None:
    """After any writes: the table that was changed step by step is the one that is read as a whole."""
    api = scene.api
    with (
        scene.router() as router,
        sdk.connect(scene.instance.address, kms_socket=scene.instance.router_socket) as client,
    ):
        assert router.table
        one, two = (
            scene.provider("one", "sk-one-0123456789abcdef"),
            scene.provider("two", "sk-two-0123456789abcdef"),
        )
        models = [
            api.create_provider_model(parent, f"m-{number}") for parent in (one, two) for number in range(3)
        ]
        api.create_model(*models, model_id="of-both")
        api.call("DisableProvider", pb.DisableProviderRequest(name=two))
        api.delete(models[0].name, force=True)
        models[1].labels["tier"] = "gold"
        api.update(models[1], "labels")
        revision = shown(router, api)
        table, whole = router.table, client.snapshot()
        assert whole is not None
        assert table.revision == whole.revision == revision
        assert sorted(table.providers.values(), key=lambda entry: entry.name) == list(whole.providers)
        assert sorted(table.provider_models.values(), key=lambda entry: entry.name) == list(
            whole.provider_models
        )
        assert sorted(table.models.values(), key=lambda entry: entry.name) == list(whole.models)
        assert list(table.provider_models.labelled("tier", "gold")) == [models[1].name]
        (*_, last) = router.attempts("models/of-both")
        assert last.provider.name == one


def test_sends_the_key_of_the_moment(scene: Scene) -> None:
    """A client that was made once goes on with a replaced key, and ends with a disabled provider."""
    api = scene.api
    name = scene.provider("rotating", "sk-first-0123456789abcdef")
    with scene.router() as router, router.http(name) as http:
        assert http.get("models").is_success
        assert scene.upstream.seen[-1].headers["authorization"] == "Bearer sk-first-0123456789abcdef"
        api.call(
            "SetProviderCredential",
            pb.SetProviderCredentialRequest(name=name, credential=api_key("sk-second-0123456789abcdef")),
        )
        shown(router, api)
        assert http.get("models").is_success
        assert scene.upstream.seen[-1].headers["authorization"] == "Bearer sk-second-0123456789abcdef"
        with pytest.raises(sdk.DestinationRefused):
            http.get(f"http://localhost:{scene.upstream.port}/v1/models")
        count = len(scene.upstream.seen)
        api.call("DisableProvider", pb.DisableProviderRequest(name=name))
        shown(router, api)
        with pytest.raises(sdk.ProviderNotFound):
            http.get("models")
        assert len(scene.upstream.seen) == count


def test_goes_on_while_the_registry_is_away(scene: Scene) -> None:
    name = scene.provider("steady", "sk-steady-0123456789abcdef")
    model = scene.api.create_provider_model(name)
    with scene.router(bookmark_seconds=1.0) as router, router.http(name) as http:
        shown(router, scene.api)
        scene.instance.kill_service()
        wait_until(lambda: not router.status().connected)
        assert router.pick(model.name).provider.name == name
        assert http.get("models").is_success
        scene.instance.start_service()
        added = scene.api.create_provider_model(name, "added-later")
        shown(router, scene.api)
        assert added.name in router.table.provider_models
        assert router.status().resets == (sdk.ResetReason.INITIAL,)


def test_starts_while_the_registry_is_away(scene: Scene, tmp_path: Path) -> None:
    """With the table of the process before, of which the files tell nothing."""
    name = scene.provider("stored", "sk-stored-0123456789abcdef")
    model = scene.api.create_provider_model(name)
    with scene.router(snapshot_file=tmp_path / "table") as router:
        shown(router, scene.api)
        assert router.credential(name)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"stored" not in stored
    scene.instance.stop_service()
    try:
        with scene.router(snapshot_file=tmp_path / "table") as router:
            assert router.pick(model.name).provider.name == name
            assert not router.status().connected
            with pytest.raises(sdk.RegistryUnavailable):
                router.credential(name)
    finally:
        scene.instance.start_service()


def test_a_redirect_to_a_stranger_is_not_followed(scene: Scene) -> None:
    with listening(Recorder()) as canary, listening(Recorder(redirect_to=canary.url)) as redirecting:
        made = scene.api.create(
            "redirected",
            config=openai_compatible(f"{redirecting.url}/v1"),
            credential=api_key("sk-redirected-0123456789abcdef"),
        )
        with scene.router() as router:
            shown(router, scene.api)
            with router.http(made.name) as http, pytest.raises(sdk.DestinationRefused):
                http.send(http.build_request("GET", "models"), follow_redirects=True)
        assert redirecting.auth_headers_seen == ["authorization"]
        assert canary.seen == []
