"""An edited database, as its operator meets it: in the log, in the doctor, in lists, and at a router."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from service.store.rows import Base
from tests.support.servers.grpcurl import Grpcurl
from tests.support.servers.harness import ROOT, Instance, running, wait_until
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.watching import watching
from tests.support.storms.nonsense import Vandal
from tests.support.values.router_table import RouterTable

PROVIDERS = "codevector.providers.v1.ProviderService"
MODELS = "codevector.providers.v1.ModelService"
CORRUPT = {"filter": "state = CORRUPT"}
KEY = "sk-proj-of-a-corrupt-row-0123456789"
TABLES = Base.metadata.tables
SYSTEM = "codevector.providers.v1.SystemService"
SECONDS = 120
MODEL = {"displayName": "Any", "kind": "MODEL_KIND_CHAT"}


@pytest.fixture(params=["sqlite", "postgresql"])
def made(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """A registry with three providers, of which the first has no credential, and a model of each."""
    settings = {}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        settings["CODEVECTOR_DATABASE_URL"] = server.url(server.create_database())
    with running(settings) as instance:
        registry = Grpcurl(instance.address)
        for number, provider_id in enumerate(("acme", "bolt", "zulu")):
            provider = {
                "displayName": provider_id,
                "kind": "PROVIDER_KIND_OPENAI_COMPATIBLE",
                "config": {"openaiCompatible": {"baseUrl": f"https://{provider_id}.example/v1"}},
            }
            sealed = {} if provider_id == "acme" else {"credential": credential()}
            registry.call(
                f"{PROVIDERS}/CreateProvider",
                {
                    "providerId": provider_id,
                    "provider": provider,
                    "requestId": str(UUID(int=number, version=4)),
                }
                | sealed,
            )
            registry.call(f"{MODELS}/CreateModel", {"modelId": f"for-{provider_id}", "model": MODEL})
        status = f"{SYSTEM}/GetEncryptionStatus"
        wait_until(lambda: "auditSeq" in registry.call(status), what="the sidecar's audit is recorded")
        yield instance


def credential() -> dict[str, Any]:
    return {"apiKey": {"apiKey": KEY}}


def vandal(made: Instance) -> Vandal:
    return Vandal(made.environment.get("CODEVECTOR_DATABASE_URL", f"sqlite:///{made.home}/registry.db"))


def edit(made: Instance, *edits: tuple[str, str, object]) -> None:
    """Put values past all checks into the first rows of tables."""
    hand = vandal(made)
    for table, column, value in edits:
        hand.edit(TABLES[table], column, value)
    hand.close()


def reported(made: Instance) -> dict[str, list[str]]:
    """What the log names so far, with the columns at fault."""
    assert made.service is not None
    lines = made.service.stderr.read_text().splitlines(keepends=True)
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return {each["resource"]: each["columns"] for each in events if each["event"] == "resource_corrupt"}


def doctor(made: Instance) -> dict[str, list[str]]:
    """What is wrong, by subject."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "doctor", "-o", "json"],
        cwd=ROOT,
        env=made.environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    wrong = defaultdict(list)
    for each in json.loads(done.stdout):
        if each["level"] == "FAILED":
            wrong[each["subject"]].append(each["sentence"])
    return wrong


def names(table: RouterTable) -> set[str]:
    return {*table.rows}


def tells_routers_of_what_breaks_and_is_mended(made: Instance, registry: Grpcurl) -> None:
    with watching(made) as watch:
        watch.snapshot()
        assert "providers/bolt" in names(watch.table)
        edit(made, ("credentials", "version", -1))
        # Looks at all rows: nothing has stumbled over this one yet.
        assert len(registry.call(f"{PROVIDERS}/ListProviders", CORRUPT)["providers"]) == 1
        while "providers/bolt" in names(watch.table):
            watch.message()
        mended = registry.call(
            f"{PROVIDERS}/SetProviderCredential", {"name": "providers/bolt", "credential": credential()}
        )
        assert mended["state"] == "STATE_ACTIVE"
        while "providers/bolt" not in names(watch.table):
            watch.message()
        assert "providers/zulu" in names(watch.table)


def names_what_it_finds_at_the_start(made: Instance, registry: Grpcurl) -> None:
    made.stop_service()
    edit(
        made,
        ("providers", "labels", "{"),
        ("credentials", "version", -1),
        ("models", "model_id", "a/b"),
        ("sidecars", "audit_seq", -1),
        ("idempotency", "expire_time", 10**18),
    )
    made.start_service()
    named = {
        "providers/acme": ["providers.labels"],
        "providers/bolt": ["credentials.version"],
        "table models": ["models.model_id"],
        "table sidecars": ["sidecars.audit_seq"],
        "table idempotency": ["idempotency.expire_time"],
    }
    wait_until(lambda: reported(made) == named, what="the log names them")

    listed = registry.call(f"{PROVIDERS}/ListProviders", CORRUPT)["providers"]
    assert [(each["name"], each["state"], each["corruptFields"]) for each in listed] == [
        ("providers/acme", "STATE_CORRUPT", ["labels"]),
        ("providers/bolt", "STATE_CORRUPT", ["credential"]),
    ]
    states = {
        each["name"]: each["state"]
        for each in registry.call(f"{PROVIDERS}/ListProviders")["providers"]
        + registry.call(f"{MODELS}/ListModels")["models"]
    }
    assert {name for name, state in states.items() if state == "STATE_ACTIVE"} == {
        "providers/zulu",
        "models/for-bolt",
        "models/for-zulu",
    }
    wrong = doctor(made)
    # That of the sidecar is gone once it reports more: the registry replaces the row.
    assert {"providers/acme", "providers/bolt", "table models", "table idempotency"} <= wrong.keys()
    assert "corrupt (credential): set its credential again" in wrong["providers/bolt"]
    assert "models.model_id" in wrong["table models"][0]

    refused = registry.refusal(f"{PROVIDERS}/DisableProvider", {"name": "providers/acme"})
    assert refused.reason == "RESOURCE_CORRUPT"
    registry.call(f"{PROVIDERS}/DeleteProvider", {"name": "providers/acme"})
    registry.call(
        f"{PROVIDERS}/SetProviderCredential", {"name": "providers/bolt", "credential": credential()}
    )
    assert registry.call(f"{PROVIDERS}/ListProviders", CORRUPT) == {}
    assert not {"providers/acme", "providers/bolt"} & doctor(made).keys()


def names_by_one_sentence_what_nothing_works_without(made: Instance) -> None:
    made.stop_service()
    edit(made, ("revision_counter", "compact_revision", -1), ("registry", "keyring_seq", -1))
    done = made.run("service")
    assert done.returncode == 1
    [said] = done.stderr.splitlines()
    assert "revision_counter.compact_revision, registry.keyring_seq" in said
    assert "docs/runbooks/corrupt-rows.md" in said


def test_an_edited_database_costs_the_edited_rows_alone(made: Instance) -> None:
    registry = Grpcurl(made.address)
    tells_routers_of_what_breaks_and_is_mended(made, registry)
    names_what_it_finds_at_the_start(made, registry)
    names_by_one_sentence_what_nothing_works_without(made)
