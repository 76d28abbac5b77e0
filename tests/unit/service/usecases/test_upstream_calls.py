"""The registry's door to upstreams, against servers on loopback that answer as the real ones do."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.domain.credentials import CredentialMaterial, Secret
from service.domain.model import CredentialType, ModelKind, ProviderConfig, ProviderKind
from service.domain.upstreams import Outcome
from service.usecases.upstream_calls import UpstreamCalls
from tests.support.doubles.upstream_accounts import KEYED, serve_keyed
from tests.support.doubles.upstream_servers import World, in_json, running_world
from upstreams.addresses import AddressPolicy
from upstreams.guard import Guard
from upstreams.outcome import Verdict
from upstreams.target import Identity

KIND_NAMES = sorted(KEYED)
ROOT = Path(__file__).resolve().parents[4]


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("upstreams")) as world:
        yield world


@pytest.fixture
def world(server: World) -> World:
    server.forget()
    return server


def calls(world: World) -> UpstreamCalls:
    return UpstreamCalls(AddressPolicy(), now=now, make_guard=world.guard)


def material(identity: Identity) -> CredentialMaterial:
    fields = tuple((name, Secret(text)) for name, text in sorted(identity.fields.items()))
    return CredentialMaterial(CredentialType[identity.type.upper()], fields)


@pytest.mark.parametrize("name", KIND_NAMES)
def test_keys_are_told_apart(world: World, name: str) -> None:
    account = serve_keyed(world, name)
    kind = ProviderKind[name.upper()]
    config = ProviderConfig(account.target.config, account.target.headers)
    for identity, outcome in (
        (account.good, Outcome.SUCCEEDED),
        (account.wrong, Outcome.CREDENTIAL_REJECTED),
    ):
        found = calls(world).test(kind, config, material(identity), seconds=5.0)
        assert found.outcome is outcome
        assert found.reason == ("LISTED" if outcome is Outcome.SUCCEEDED else "BAD_KEY")
        assert found.http_status_code
        assert found.validate_time.tzinfo is UTC
        assert not any(text in repr(found) for text in identity.fields.values())


def test_a_listing_is_taken_as_it_is(world: World) -> None:
    entries = [
        {"id": "claude-x", "display_name": "Claude X", "type": "model", "max_input_tokens": 200_000},
        {"id": ""},
    ]
    world.on("api.anthropic.com", "/v1/models", in_json(200, {"data": entries, "has_more": False}))
    offer = calls(world).list_models(
        ProviderKind.ANTHROPIC, ProviderConfig(), material(KEYED["anthropic"].good), seconds=5.0
    )
    assert offer.complete
    assert offer.skipped_count == 1
    (model,) = offer.models
    assert (model.upstream_model_id, model.display_name) == ("claude-x", "Claude X")
    assert model.kind in (None, ModelKind.CHAT)
    assert not model.indirect


def test_every_verdict_is_an_outcome_of_the_api() -> None:
    assert {verdict.name for verdict in Verdict} == {outcome.name for outcome in Outcome}


def test_the_guard_is_made_once_and_as_the_installation_allows(world: World) -> None:
    policies: list[AddressPolicy] = []

    def make_guard(policy: AddressPolicy) -> Guard:
        policies.append(policy)
        return world.guard(policy)

    asked = UpstreamCalls(
        AddressPolicy(allow_loopback_http=True, allow_private=True), now=now, make_guard=make_guard
    )
    account = serve_keyed(world, "groq")
    threads = [
        threading.Thread(
            target=asked.test,
            args=(ProviderKind.GROQ, ProviderConfig(), material(account.good)),
            kwargs={"seconds": 5.0},
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert policies == [AddressPolicy(allow_loopback_http=True, allow_private=True)]
    assert len(world.asked) == 4


@pytest.mark.parametrize("room", ["service", "cli"])
def test_no_module_imports_the_room_at_its_start(room: str) -> None:
    """Its HTTP library is slow to import, and most registries test nothing. `make torture` asks a process."""
    found = [
        (path, name)
        for path in (ROOT / room).rglob("*.py")
        for statement in ast.parse(path.read_bytes()).body
        for name in imported(statement)
        if name.partition(".")[0] in ("httpx", "httpcore", "botocore", "codevector_providers")
        or (name.startswith("upstreams.") and name.split(".")[1] not in ("addresses", "kinds"))
    ]
    assert found == []


def imported(statement: ast.stmt) -> list[str]:
    """The modules that a statement imports."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [f"{statement.module}.{alias.name}" for alias in statement.names]
    return []
