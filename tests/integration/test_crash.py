"""Processes killed without a goodbye: nothing acknowledged is lost, and nothing is left half-written."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import codevector_providers
import grpc
import pytest
from codevector.providers.v1 import provider_model_pb2, provider_pb2
from codevector.providers.v1 import provider_service_pb2 as pb

from tests.support.servers.grpcurl import Grpcurl
from tests.support.servers.harness import PATIENCE_SECONDS, Instance, instance, running, wait_until

ROUNDS = 6
WRITERS = 4
LEAST_WRITES = 5
"""Acknowledged in each round before the kill."""
OPENAI = provider_pb2.PROVIDER_KIND_OPENAI
CHAT = provider_model_pb2.MODEL_KIND_CHAT
DEADLINE_SECONDS = 60
CREATE = "codevector.providers.v1.ProviderService/CreateProvider"


@dataclass(frozen=True, slots=True)
class Known:
    """A provider as a client knows it: what was acknowledged, or what is read back."""

    display_name: str
    labels: tuple[tuple[str, str], ...]
    version: int
    key: str
    models: frozenset[tuple[str, str]]
    """Upstream id and display name of each."""


@dataclass(slots=True)
class Writer:
    """One client that writes to providers of its own until the registry is gone.

    ``known`` holds what was acknowledged. The one write in flight at the kill may have happened or not; both
    outcomes are in ``uncertain``.
    """

    name: str
    random: random.Random
    known: dict[str, Known] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    uncertain: tuple[str, Known | None, Known | None] | None = None
    revisions: list[int] = field(default_factory=list)
    made: int = 0

    def run(self, stub: Any) -> grpc.RpcError:
        """Write until a call fails, and how it failed."""
        while True:
            writes: list[Callable[[Any], None]] = [self.create]
            if self.known:
                writes += [self.rename, self.rotate, self.add_model, self.import_models, self.delete]
            try:
                self.random.choice(writes)(stub)
            except grpc.RpcError as error:
                return error

    def create(self, stub: Any) -> None:
        self.made += 1
        name, key = f"providers/{self.name}-{self.made}", self._new_key()
        after = Known(f"{self.name} {self.made}", (), 1, key, frozenset())
        request = pb.CreateProviderRequest(
            provider_id=name.partition("/")[2],
            provider=provider_pb2.Provider(display_name=after.display_name, kind=OPENAI),
            credential=api_key(key),
        )
        self._write(stub.CreateProvider, request, name, None, after)

    def rename(self, stub: Any) -> None:
        name, before = self._any()
        number = str(self.random.randrange(10**9))
        after = replace(before, display_name=f"{self.name} is {number}", labels=(("number", number),))
        provider = provider_pb2.Provider(
            name=name, display_name=after.display_name, labels=dict(after.labels)
        )
        self._write(stub.UpdateProvider, pb.UpdateProviderRequest(provider=provider), name, before, after)

    def rotate(self, stub: Any) -> None:
        name, before = self._any()
        after = replace(before, version=before.version + 1, key=self._new_key())
        request = pb.SetProviderCredentialRequest(name=name, credential=api_key(after.key))
        self._write(stub.SetProviderCredential, request, name, before, after)

    def add_model(self, stub: Any) -> None:
        name, before = self._any()
        upstream = f"custom-{self.random.randrange(10**9)}"
        after = replace(before, models=before.models | {(upstream, "Custom")})
        model = provider_model_pb2.ProviderModel(upstream_model_id=upstream, display_name="Custom", kind=CHAT)
        request = pb.CreateProviderModelRequest(parent=name, provider_model=model)
        self._write(stub.CreateProviderModel, request, name, before, after)

    def import_models(self, stub: Any) -> None:
        """Several rows in one revision: all of them or none."""
        name, before = self._any()
        chosen = {("gpt-4o", "GPT-4o"), ("gpt-4.1", "GPT-4.1"), ("gpt-4o-mini", "GPT-4o mini")}
        if chosen <= before.models:
            return
        request = pb.ImportProviderModelsRequest(parent=name, upstream_model_ids=sorted(m[0] for m in chosen))
        self._write(
            stub.ImportProviderModels, request, name, before, replace(before, models=before.models | chosen)
        )

    def delete(self, stub: Any) -> None:
        name, before = self._any()
        self._write(stub.DeleteProvider, pb.DeleteProviderRequest(name=name, force=True), name, before, None)

    def _write(self, rpc: Any, request: Any, name: str, before: Known | None, after: Known | None) -> None:
        self.uncertain = (name, before, after)
        _, call = rpc.with_call(request, timeout=DEADLINE_SECONDS)
        self.revisions.append(int(dict(call.trailing_metadata())["x-revision"]))
        self.settle(after)

    def settle(self, state: Known | None) -> None:
        """Take note of how the write in flight ended."""
        assert self.uncertain is not None
        name = self.uncertain[0]
        self.uncertain = None
        if state is None:
            if self.known.pop(name, None) is not None:
                self.deleted.add(name)
        else:
            self.known[name] = state

    def _any(self) -> tuple[str, Known]:
        name = self.random.choice(sorted(self.known))
        return name, self.known[name]

    def _new_key(self) -> str:
        return f"sk-proj-{self.random.randbytes(16).hex()}"


def api_key(key: str) -> provider_pb2.CredentialInput:
    return provider_pb2.CredentialInput(api_key=provider_pb2.ApiKeyCredential(api_key=key))


def read_back(made: Instance) -> dict[str, Known]:
    """Everything the registry has, each credential opened as a router opens it."""
    providers = made.providers.ListProviders(
        pb.ListProvidersRequest(page_size=1000), timeout=DEADLINE_SECONDS
    )
    assert providers.next_page_token == ""
    models: dict[str, set[tuple[str, str]]] = {provider.name: set() for provider in providers.providers}
    request = pb.ListProviderModelsRequest(parent="providers/-", page_size=1000)
    while True:
        page = made.providers.ListProviderModels(request, timeout=DEADLINE_SECONDS)
        for model in page.provider_models:
            models[model.name.partition("/models/")[0]].add((model.upstream_model_id, model.display_name))
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    with codevector_providers.connect(made.address, kms_socket=made.router_socket) as router:
        table = router.snapshot()
        assert table is not None
        routing = {provider.name: provider for provider in table.providers}
        assert routing.keys() == models.keys()
        return {
            provider.name: Known(
                display_name=provider.display_name,
                labels=tuple(provider.labels.items()),
                version=provider.credential.version,
                key=router.credential(routing[provider.name]).reveal("api_key"),
                models=frozenset(models[provider.name]),
            )
            for provider in providers.providers
        }


def check_files(home: Path, acknowledged: Iterable[int]) -> None:
    """What the killed process left on disk, looked at in a copy, so that its own recovery is tested too."""
    with tempfile.TemporaryDirectory(prefix="cv-copy-") as place:
        for file in home.glob("registry.db*"):
            shutil.copy(file, place)
        with closing(sqlite3.connect(Path(place) / "registry.db")) as database:

            def rows(statement: str) -> list[Any]:
                return [row[0] if len(row) == 1 else row for row in database.execute(statement)]

            assert rows("PRAGMA integrity_check") == ["ok"]
            assert rows("PRAGMA foreign_key_check") == []
            ((revision, compacted),) = rows("SELECT revision, compact_revision FROM revision_counter")
            logged = rows("SELECT DISTINCT revision FROM change_log ORDER BY revision")
            assert logged == list(range(compacted + 1, revision + 1))
            assert set(acknowledged) <= set(logged)
            sealed = rows("SELECT dek_id FROM credentials ORDER BY dek_id")
            assert sealed == rows("SELECT dek_id FROM data_keys ORDER BY dek_id")
            parents = set(rows("SELECT provider_id FROM providers"))
            assert set(rows("SELECT DISTINCT provider_id FROM provider_models")) <= parents


class TestServiceKilled:
    def test_in_a_storm_of_writes(self) -> None:
        """Six rounds: four clients write, the registry is killed, everything acknowledged is there again."""
        writers = [Writer(f"w{number}", random.Random(random.random())) for number in range(WRITERS)]
        with running() as made:
            for _ in range(ROUNDS):
                self.storm(made, writers, kill_after=random.randint(LEAST_WRITES, 60))
                check_files(made.home, [revision for writer in writers for revision in writer.revisions])
                made.start_service()
                there = read_back(made)
                for writer in writers:
                    if writer.uncertain is not None:
                        name, before, after = writer.uncertain
                        assert there.get(name) in (before, after), f"{name} is half-written"
                        writer.settle(there.get(name))
                assert there == {name: known for writer in writers for name, known in writer.known.items()}
            revisions = [revision for writer in writers for revision in writer.revisions]
            assert len(set(revisions)) == len(revisions)
            assert len(revisions) >= LEAST_WRITES * ROUNDS

    def storm(self, made: Instance, writers: list[Writer], *, kill_after: int) -> None:
        """Let all write, and kill the registry in the middle of it."""
        stub = made.providers
        done = sum(len(writer.revisions) for writer in writers)
        with ThreadPoolExecutor(len(writers)) as pool:
            running_writers = [pool.submit(writer.run, stub) for writer in writers]
            wait_until(
                lambda: (
                    sum(len(writer.revisions) for writer in writers) >= done + kill_after
                    or any(each.done() for each in running_writers)
                ),
                what="a storm of writes",
            )
            assert made.service is not None
            assert made.service.child.poll() is None
            made.service.kill()
            ends = {each.result(timeout=PATIENCE_SECONDS).code() for each in running_writers}
        assert ends <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        made.kill_service()


@pytest.fixture(scope="module")
def shared() -> Iterator[Instance]:
    with running() as made:
        yield made


@pytest.fixture
def installation(shared: Instance) -> Iterator[Instance]:
    """One that holds nothing. Tests leave both processes running."""
    yield shared
    listed = shared.providers.ListProviders(pb.ListProvidersRequest(page_size=1000), timeout=DEADLINE_SECONDS)
    for provider in listed.providers:
        request = pb.DeleteProviderRequest(name=provider.name, force=True)
        shared.providers.DeleteProvider(request, timeout=DEADLINE_SECONDS)


def creation(number: int, key: str) -> pb.CreateProviderRequest:
    return pb.CreateProviderRequest(
        provider_id=f"p{number}",
        provider=provider_pb2.Provider(display_name=f"P {number}", kind=OPENAI),
        credential=api_key(key),
    )


def create_when_back(made: Instance, request: pb.CreateProviderRequest) -> None:
    """Create once the registry has found the restarted sidecar again: it tries twice a second."""

    def created() -> bool:
        try:
            made.providers.CreateProvider(request, timeout=DEADLINE_SECONDS)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return False
            raise
        return True

    wait_until(created, what="a create after the sidecar's restart")


class TestSidecarKilled:
    def test_during_creates(self, installation: Instance) -> None:
        """Creates fail closed, all else goes on, and after a restart over the stale sockets creates work."""
        made, acknowledged, refused = installation, dict[str, str](), dict[str, grpc.StatusCode]()

        def create(numbers: Iterable[int]) -> None:
            for number in numbers:
                key = f"sk-proj-{number:032d}"
                try:
                    made.providers.CreateProvider(creation(number, key), timeout=DEADLINE_SECONDS)
                    acknowledged[f"providers/p{number}"] = key
                except grpc.RpcError as error:
                    refused[f"providers/p{number}"] = error.code()
                    return

        with ThreadPoolExecutor(3) as pool:
            creating = [pool.submit(create, range(first, 10_000, 3)) for first in range(3)]
            wait_until(
                lambda: len(acknowledged) >= 20 or any(each.done() for each in creating), what="creates"
            )
            made.kill_kms()
            for each in creating:
                each.result(timeout=PATIENCE_SECONDS)
        assert set(refused.values()) == {grpc.StatusCode.UNAVAILABLE}
        assert all(
            (made.home / "kms" / f"{role}.sock").is_socket() for role in ("registry", "router", "admin")
        )

        refusal = Grpcurl(made.address).refusal(
            CREATE,
            {
                "provider": {"displayName": "No sidecar", "kind": "PROVIDER_KIND_OPENAI"},
                "credential": {"apiKey": {"apiKey": "sk-proj-made-up-0123456789"}},
            },
        )
        assert (refusal.code, refusal.reason) == ("Unavailable", "KMS_UNAVAILABLE")
        assert refusal.detail("RetryInfo")["retryDelay"].endswith("s")
        name, other = sorted(acknowledged)[:2]
        with pytest.raises(grpc.RpcError) as replacing:
            made.providers.SetProviderCredential(
                pb.SetProviderCredentialRequest(name=name, credential=api_key("sk-proj-new-0123456789")),
                timeout=DEADLINE_SECONDS,
            )
        assert replacing.value.code() is grpc.StatusCode.UNAVAILABLE

        listed = made.providers.ListProviders(
            pb.ListProvidersRequest(page_size=1000), timeout=DEADLINE_SECONDS
        )
        assert {provider.name for provider in listed.providers} == acknowledged.keys()
        read = made.providers.GetProvider(pb.GetProviderRequest(name=name), timeout=DEADLINE_SECONDS)
        assert read.credential.version == 1
        made.providers.DisableProvider(pb.DisableProviderRequest(name=name), timeout=DEADLINE_SECONDS)
        made.providers.EnableProvider(pb.EnableProviderRequest(name=name), timeout=DEADLINE_SECONDS)
        made.providers.DeleteProvider(pb.DeleteProviderRequest(name=other), timeout=DEADLINE_SECONDS)
        del acknowledged[other]

        made.start_kms()
        key = "sk-proj-after-the-restart-0123456789"
        create_when_back(made, creation(20_000, key))
        acknowledged["providers/p20000"] = key
        assert {name: known.key for name, known in read_back(made).items()} == acknowledged

    def test_a_registry_that_starts_without_it_serves_all_that_needs_no_key(
        self, installation: Instance
    ) -> None:
        """Both killed, the registry back alone: reads work, creates wait for the sidecar."""
        made = installation
        made.providers.CreateProvider(creation(1, "sk-proj-made-up-0123456789"), timeout=DEADLINE_SECONDS)
        made.kill_service()
        made.kill_kms()
        made.start_service()
        with pytest.raises(grpc.RpcError) as refused:
            made.providers.CreateProvider(creation(2, "sk-proj-made-up-0123456789"), timeout=DEADLINE_SECONDS)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        listed = made.providers.ListProviders(pb.ListProvidersRequest(), timeout=DEADLINE_SECONDS)
        assert [provider.name for provider in listed.providers] == ["providers/p1"]
        made.start_kms()
        create_when_back(made, creation(2, "sk-proj-made-up-0123456789"))
        assert read_back(made).keys() == {"providers/p1", "providers/p2"}


class TestSecondProcess:
    """One sentence on stderr, exit code 1, and the first goes on undisturbed."""

    def refused(self, done: subprocess.CompletedProcess[str]) -> str:
        assert done.returncode == 1, done.stderr
        assert done.stdout == ""
        (sentence,) = done.stderr.splitlines()
        return sentence

    def test_is_refused(self, installation: Instance) -> None:
        made = installation
        sentence = self.refused(made.run("service"))
        assert sentence == f"service: another instance is running on {made.home}/registry.db: stop it first"
        sentence = self.refused(made.run("kms"))
        assert sentence.startswith("kms: ")
        assert str(made.home / "kms") in sentence

        with instance({"CODEVECTOR_GRPC_PORT": str(made.port)}) as elsewhere:
            sentence = self.refused(elsewhere.run("service"))
            assert sentence == (
                f"service: {made.address} is taken: stop what listens there, or set CODEVECTOR_GRPC_PORT"
            )
        made.providers.CreateProvider(creation(1, "sk-proj-made-up-0123456789"), timeout=DEADLINE_SECONDS)
        assert read_back(made).keys() == {"providers/p1"}
