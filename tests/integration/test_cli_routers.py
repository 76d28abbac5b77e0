"""``providerctl router`` with a real registry and routers that watch it: who has a revoked provider still."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from codevector.providers.v1 import provider_model_pb2, provider_pb2, routing_service_pb2_grpc
from codevector.providers.v1 import provider_service_pb2 as pb
from codevector.providers.v1 import routing_service_pb2 as routing_pb

from tests.support.servers.harness import ROOT, Instance, running, wait_until

PROVIDER = "providers/acme"


class Gateway:
    """A router: holds the table by one watch, and reports what it has applied."""

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self.table: set[str] = set()
        self._session = secrets.token_bytes(16)
        self.revision = 0
        self._reports = threading.Event()
        self._reports.set()
        self._channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stub = routing_service_pb2_grpc.RoutingServiceStub(self._channel)
        self._watch = self._stub.WatchRouting(
            routing_pb.WatchRoutingRequest(watcher_id=name, session=self._session)
        )
        self._thread = threading.Thread(target=self._follow, name=name)
        self._thread.start()

    def hold_back(self) -> None:
        """Apply nothing from now on."""
        self._reports.clear()

    def go_on(self) -> None:
        """Apply what came meanwhile."""
        self._reports.set()

    def vanish(self) -> None:
        """End the watch without a word."""
        self._reports.set()
        self._watch.cancel()
        self._thread.join()

    def stop(self) -> None:
        """Say goodbye, and end the watch."""
        self._stub.ReportAppliedRevision(
            routing_pb.ReportAppliedRevisionRequest(
                watcher_id=self.name, session=self._session, stopping=True
            ),
            timeout=60,
        )
        self.close()

    def close(self) -> None:
        self.vanish()
        self._channel.close()

    def _follow(self) -> None:
        try:
            for message in self._watch:
                self._reports.wait()
                self._apply(message)
        except grpc.RpcError:
            return

    def _apply(self, message: routing_pb.WatchRoutingResponse) -> None:
        chunk = message.snapshot_chunk
        self.table |= {each.name for each in chunk.providers} | {each.name for each in chunk.provider_models}
        for change in message.change_set.changes:
            self.table.discard(change.removed)
        self.revision = message.revision
        self._stub.ReportAppliedRevision(
            routing_pb.ReportAppliedRevisionRequest(
                watcher_id=self.name, session=self._session, token=message.token
            ),
            timeout=120,
        )


@contextmanager
def providerctl(made: Instance, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "cli", "router", *arguments],
        cwd=ROOT,
        env=made.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def told(made: Instance, *arguments: str) -> tuple[int, Any, str]:
    """Exit code, the JSON of stdout, and stderr."""
    with providerctl(made, *arguments, "-o", "json") as command:
        out, err = command.communicate(timeout=120)
        return command.returncode, json.loads(out), err


@pytest.fixture
def installation() -> Iterator[Instance]:
    """A registry with one provider and one model of it."""
    with running() as made:
        provider = provider_pb2.Provider(display_name="Acme", kind=provider_pb2.PROVIDER_KIND_OPENAI)
        credential = provider_pb2.CredentialInput(
            api_key=provider_pb2.ApiKeyCredential(api_key="sk-made-up-0123456789abcdef")
        )
        made.providers.CreateProvider(
            pb.CreateProviderRequest(provider_id="acme", provider=provider, credential=credential)
        )
        model = provider_model_pb2.ProviderModel(
            upstream_model_id="one", kind=provider_model_pb2.MODEL_KIND_CHAT
        )
        made.providers.CreateProviderModel(
            pb.CreateProviderModelRequest(parent=PROVIDER, provider_model=model)
        )
        yield made


@pytest.fixture
def gateways(installation: Instance) -> Iterator[list[Gateway]]:
    """Three routers that watch."""
    made = [Gateway(installation.address, f"gateway-{number}") for number in (1, 2, 3)]
    yield made
    for gateway in made:
        gateway.close()


def test_a_disabled_provider_is_out_of_use_once_the_wait_ends(
    installation: Instance, gateways: list[Gateway]
) -> None:
    code, everywhere, err = told(installation, "wait", "--timeout", "120s")
    assert (code, everywhere["routerCount"], everywhere["appliedCount"]) == (0, 3, 3), err
    assert all(PROVIDER in gateway.table for gateway in gateways)

    slow = gateways[1]
    slow.hold_back()
    disabled = installation.providers.DisableProvider(pb.DisableProviderRequest(name=PROVIDER))
    revision = str(disabled.revision)

    def others_have_it() -> bool:
        listed = told(installation, "list")[1]["routers"]
        return [each["watcherId"] for each in listed if each["appliedRevision"] == revision] == [
            each.name for each in gateways if each is not slow
        ]

    wait_until(others_have_it, what="the others have applied it")
    code, missing, err = told(installation, "wait", "--revision", revision, "--timeout", "2s")
    assert (code, missing["reached"], missing["appliedCount"]) == (1, False, 2)
    assert [each["watcherId"] for each in missing["lagging"]] == [slow.name]
    assert f"waiting for {slow.name} (watching, has {disabled.revision - 1})" in err
    assert err.endswith(f"providerctl: timed out after 2s: 2 of 3 routers have revision {revision}\n")
    assert PROVIDER in slow.table

    with providerctl(installation, "wait", "--revision", revision, "--timeout", "50s") as command:
        assert command.stderr is not None
        assert slow.name in command.stderr.readline()
        slow.go_on()
        out, err = command.communicate(timeout=120)
    assert (command.returncode, out) == (0, f"revision: {revision}\nrouters: 3\nhave it: 3\n")
    assert err == f"3 of 3 routers have revision {revision}\n"
    assert not any(gateway.table for gateway in gateways)


def test_a_router_that_is_cut_off_counts_and_one_that_stops_does_not(
    installation: Instance, gateways: list[Gateway]
) -> None:
    assert told(installation, "wait", "--timeout", "120s")[0] == 0
    cut_off, stopped, _ = gateways
    cut_off.vanish()
    stopped.stop()

    def seen() -> bool:
        return not told(installation, "list", "--filter", f"watcher_id = {cut_off.name}")[1]["routers"][0][
            "watching"
        ]

    wait_until(seen, what="the registry sees the watch end")
    installation.providers.DisableProvider(pb.DisableProviderRequest(name=PROVIDER))
    _, listed, err = told(installation, "list")
    assert [(each["watcherId"], each["watching"]) for each in listed["routers"]] == [
        (cut_off.name, False),
        (gateways[2].name, True),
    ]
    assert "forgetTime" in listed["routers"][0]
    assert "forgetTime" not in listed["routers"][1]
    assert listed["minAppliedRevision"] == listed["routers"][0]["appliedRevision"]
    assert int(listed["revision"]) == int(listed["minAppliedRevision"]) + 1

    _, silent, err = told(installation, "list", "--filter", "watching = false")
    assert [each["watcherId"] for each in silent["routers"]] == [cut_off.name]
    assert err == f"0 of 1 router has revision {listed['revision']}\n"
    code, _, err = told(installation, "wait", "--timeout", "1s")
    assert code == 1
    assert f"{cut_off.name} (not watching, last seen " in err

    installation.stop_service()
    installation.start_service()
    code, missing, err = told(installation, "wait", "--timeout", "0s")
    assert (code, missing["lagging"][0]["watcherId"]) == (1, cut_off.name), err


def test_a_filter_that_does_not_parse_is_wrong_usage(installation: Instance) -> None:
    with providerctl(installation, "list", "--filter", "peer = x") as command:
        out, err = command.communicate(timeout=120)
    assert (command.returncode, out) == (2, "")
    assert "reason: INVALID_FILTER" in err
