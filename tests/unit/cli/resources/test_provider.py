"""``providerctl provider`` against a real registry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers.shell import Shell

KEY = "sk-canary-9f8e7d6c5b4a39281706"
AWS = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "canary/wJalrXUtnFEMIK7MDENGbPxRfiCY"}
GCP = {
    "type": "service_account",
    "project_id": "sample-project",
    "private_key_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEcanaryADANBgkqhkiG9w\n-----END PRIVATE KEY-----\n",
    "client_email": "router@sample-project.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}
VERTEX = "--set project_id=sample-project --set location=europe-west4"
TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z")


def masked(text: str) -> str:
    """Without what is another in each run."""
    text = TIME.sub("TIME", text)
    text = re.sub(r'("?uid"?: )\S+', r"\1UID", text)
    return re.sub(r'("?etag"?: )\S+', r"\1ETAG", text)


class TestList:
    def test_nothing(self, untouched: Shell) -> None:
        assert untouched.ok("provider list -o json").data == []
        assert untouched.ok("provider list -o yaml").out == "[]\n"
        assert untouched.ok("provider list -o jsonl").out == ""
        assert untouched.ok("provider list -o name").out == ""
        told = untouched.ok("provider list")
        assert told.out == "PROVIDER\tKIND\tSTATE\tROUTABLE\tREASON\tCREDENTIAL\tMODELS\tDETAILS\n"
        assert told.err == "nothing found\n"

    def test_plain(self, shelf: Shell) -> None:
        assert shelf.ok("provider list").out.splitlines()[1:] == [
            "openai-prod\topenai\tactive\tyes\t\tsk-proj-0123…\t2/2\thttps://api.openai.com/v1"
        ]

    def test_on_a_terminal(self, shelf: Shell) -> None:
        assert shelf.at_a_terminal("provider list", columns=100).out == (
            "provider     kind    state   routable  credential     models  details\n"
            "openai-prod  openai  active  yes       sk-proj-0123…  2/2     https://api.openai.com/v1\n"
        )

    def test_a_narrow_terminal_cuts_no_id(self, shelf: Shell) -> None:
        for columns in (30, 50, 70):
            lines = shelf.at_a_terminal("provider list", columns=columns).out.splitlines()
            assert len(lines) == 2
            assert lines[1].startswith("openai-prod")
            assert all(len(line) <= columns for line in lines)

    def test_wide(self, shelf: Shell) -> None:
        told = shelf.at_a_terminal("provider list -o wide", columns=30)
        assert masked(told.out.splitlines()[1]).split() == [
            "openai-prod",
            "openai",
            "active",
            "yes",
            "sk-proj-0123…",
            "2/2",
            "https://api.openai.com/v1",
            "openai-prod",
            "team=search",
            "TIME",
            "TIME",
            "1",
        ]

    def test_names(self, shelf: Shell) -> None:
        assert shelf.ok("-o name provider list").out == "providers/openai-prod\n"

    def test_columns(self, shelf: Shell) -> None:
        told = shelf.ok(
            "provider list --columns provider,labels.team,credential.prefix,display_name,kind,model_count"
        )
        assert told.out.splitlines()[1] == "openai-prod\tsearch\tsk-proj-0123\topenai-prod\topenai\t2"

    def test_an_unknown_column(self, shelf: Shell) -> None:
        told = shelf.run("provider list --columns provider,nope")
        assert (told.code, told.out) == (2, "")
        assert "there is no column 'nope': use provider, kind, state" in told.err

    def test_filter_and_sort(self, stocked: Shell) -> None:
        stocked.ok("provider create groq-a --kind groq")
        names = stocked.ok("provider list -o name --sort -create_time").out.split()
        assert names == ["providers/groq-a", "providers/openai-prod"]
        assert (
            stocked.ok(["provider", "list", "-o", "name", "--filter", "kind = groq"]).out
            == "providers/groq-a\n"
        )
        refused = stocked.run(["provider", "list", "--filter", "colour = red"])
        assert refused.code == 2
        assert "reason: " in refused.err
        assert "request: " in refused.err

    def test_json_and_jsonl_are_the_apis_messages(self, shelf: Shell) -> None:
        (one,) = shelf.ok("provider list -o json").data
        assert (one["name"], one["state"], one["revision"]) == ("providers/openai-prod", "STATE_ACTIVE", "1")
        assert one["annotations"] == {}
        assert json.loads(shelf.ok("provider list -o jsonl").out) == one


class TestGet:
    @pytest.mark.parametrize("name", ["openai-prod", "providers/openai-prod"])
    def test_facts(self, shelf: Shell, name: str) -> None:
        assert masked(shelf.ok(["provider", "get", name]).out) == (
            "provider: openai-prod\nkind: openai\nstate: active\nroutable: yes\n"
            "credential: sk-proj-0123…\nmodels: 2/2\n"
            "details: https://api.openai.com/v1\ndisplay name: openai-prod\nlabels: team=search\n"
            "created: TIME\nupdated: TIME\nrevision: 1\n"
        )

    def test_yaml(self, shelf: Shell) -> None:
        assert masked(shelf.ok("provider get openai-prod -o yaml").out) == (
            "name: providers/openai-prod\nuid: UID\ndisplayName: openai-prod\nkind: PROVIDER_KIND_OPENAI\n"
            "state: STATE_ACTIVE\ncredential:\n  type: CREDENTIAL_TYPE_API_KEY\n  prefix: sk-proj-0123\n"
            '  updateTime: "TIME"\n'
            '  version: "1"\ndetails: "https://api.openai.com/v1"\n'
            "activeModelCount: 2\nmodelCount: 2\nroutable: true\n"
            'labels:\n  team: search\ncreateTime: "TIME"\nupdateTime: "TIME"\nrevision: "1"\netag: ETAG\n'
            "unroutableReason: UNROUTABLE_REASON_UNSPECIFIED\nannotations: {}\ncorruptFields: []\n"
        )

    def test_an_unknown_one(self, untouched: Shell) -> None:
        told = untouched.run("provider get nobody")
        assert (told.code, told.out) == (3, "")
        lines = told.err.splitlines()
        assert lines[0] == "providerctl: providers/nobody does not exist"
        assert lines[1] == "  reason: RESOURCE_NOT_FOUND"
        assert lines[2].startswith("  request: ")

    def test_the_registry_is_away(self, untouched: Shell) -> None:
        told = untouched.run("provider get x --server 127.0.0.1:1")
        assert (told.code, told.out) == (6, "")
        assert "registry 127.0.0.1:1: cannot connect: is it running?" in told.err


KINDS: list[tuple[str, str, str | None]] = [
    ("openai", "", KEY),
    ("anthropic", "", KEY),
    ("azure", "--set endpoint=https://sample.openai.azure.com", KEY),
    ("bedrock", "--set region=eu-central-1", json.dumps(AWS)),
    ("google", "", KEY),
    ("vertex", VERTEX, json.dumps(GCP)),
    ("vertex_anthropic", VERTEX, json.dumps(GCP)),
    ("groq", "", KEY),
    ("cohere", "", KEY),
    ("deepseek", "", KEY),
    ("moonshot", "", KEY),
    ("openai-compatible", "--set base_url=http://127.0.0.1:9/v1 --set headers.X-Team=search", KEY),
]


class TestCreate:
    @pytest.mark.parametrize(("kind", "fields", "secret"), KINDS, ids=[kind for kind, _, _ in KINDS])
    def test_each_kind_from_a_script(self, shell: Shell, kind: str, fields: str, secret: str) -> None:
        told = shell.ok(
            f"provider create mine --kind {kind} {fields} --credential-stdin", stdin=f"{secret}\n"
        )
        assert "routable: yes\n" in told.out
        assert told.err == "created providers/mine at revision 1\n"
        assert "canary" not in "".join(shell.everything)

    def test_the_tests_name_every_kind(self, untouched: Shell) -> None:
        assert untouched.ok("provider kinds -o name").out.split() == [
            kind.replace("-", "_") for kind, _, _ in KINDS
        ]

    def test_a_secret_from_a_file_or_the_environment(self, shell: Shell, tmp_path: Path) -> None:
        file = tmp_path / "key"
        file.write_text(f"{KEY}\n")
        shell.ok(f"provider create a --kind groq --credential @{file}")
        shell.ok("provider create b --kind groq --from-env MY_KEY", environment={"MY_KEY": KEY})
        shell.ok(
            "provider create c --kind azure --set endpoint=https://s.openai.azure.com"
            " --credential-type ambient"
        )
        rows = shell.ok("provider list --columns credential.prefix,routable").out.split("\n")[1:4]
        assert rows == ["sk-c\tyes", "sk-c\tyes", "\tyes"]

    def test_several_fields_of_which_one_is_secret(self, shell: Shell) -> None:
        shell.ok(
            f"provider create b --kind bedrock --set region=eu-west-1 --credential-stdin"
            f" --credential-field access_key_id={AWS['access_key_id']}",
            stdin=AWS["secret_access_key"],
        )
        assert shell.ok("provider list --columns routable").out.split() == ["ROUTABLE", "yes"]

    @pytest.mark.parametrize(
        ("line", "stdin", "sentence"),
        [
            (f"create x --kind groq --api-key {KEY}", "", "--api-key: a secret is never an argument"),
            (
                f"create x --kind groq --credential {KEY}",
                "",
                "--credential takes @FILE, never the secret itself",
            ),
            (f"create x --kind groq {KEY}", "", "too many arguments"),
            (
                f"create x --kind bedrock --set region=eu-west-1 --credential-field secret_access_key={KEY}",
                "",
                "secret_access_key is a secret, and never an argument: pass {",
            ),
            ("create x --kind groq --credential-stdin", "\n", "stdin is empty"),
            ("create x --kind groq --from-env NOT_SET", "", "the variable NOT_SET is empty"),
            (
                "create x --kind groq --credential @/none",
                "",
                "/none cannot be read: No such file",
            ),
            ("create x --kind groq --credential-stdin --from-env A", KEY, "give one of --credential-stdin"),
            ("create x --kind bedrock --credential-stdin", KEY, "the credential has several fields: pass {"),
            ("create x --kind bedrock --credential-stdin", '{"key": "canary"}', "has no field 'key'"),
            ("create x --kind nope", "", "there is no kind 'nope': choose from openai, anthropic"),
            ("create x", "", "--kind is missing: one of openai, anthropic"),
            ("create --kind groq", "", "NAME is missing, e.g. openai-prod"),
            (
                "create x --kind groq --set region=x",
                "",
                "Groq has no field 'region': its fields are base_url",
            ),
            ("create x --kind groq --set x", "", "--set takes NAME=VALUE"),
            ("create x --kind groq --credential-type aws", "", "--credential-type: Groq takes api_key"),
            ("update x", "", "providers/x does not exist"),
        ],
    )
    def test_refusals(self, untouched: Shell, line: str, stdin: str, sentence: str) -> None:
        told = untouched.run(f"provider {line}", stdin=stdin)
        assert told.code in (2, 3)
        assert sentence in told.err
        assert KEY not in told.err
        assert "canary" not in told.err
        assert untouched.ok("provider list -o json").data == []

    def test_twice(self, stocked: Shell) -> None:
        assert stocked.run("provider create openai-prod --kind groq").code == 5

    def test_a_dry_run(self, shell: Shell) -> None:
        told = shell.ok("provider create x --kind groq --dry-run")
        assert told.err == "dry run: providers/x would be created\n"
        assert shell.ok("provider list -o json").data == []


class TestCreateAtATerminal:
    def test_asks_for_what_is_missing(self, shell: Shell) -> None:
        told = shell.at_a_terminal(
            "provider create",
            typed="bedrock\nmine\n\n" + AWS["access_key_id"] + "\n",
            secrets=[AWS["secret_access_key"]],
        )
        assert told.code == 0, told.err
        assert "  4  bedrock" in told.err
        assert "[us-east-1]: " in told.err
        assert "(not shown): " in told.err
        assert "canary" not in told.out + told.err
        (made,) = shell.ok("provider list -o json").data
        assert made["config"] == {"bedrock": {"region": "us-east-1", "endpointUrl": ""}}
        assert made["routable"]

    def test_asks_for_nothing_that_is_given(self, shell: Shell) -> None:
        told = shell.at_a_terminal("provider create x --kind groq", secrets=[KEY])
        assert told.code == 0, told.err
        assert KEY not in told.out + told.err

    def test_an_end_of_the_input(self, shell: Shell) -> None:
        assert shell.at_a_terminal("provider create").code == 1


class TestChange:
    def test_update(self, stocked: Shell) -> None:
        stocked.ok("provider update openai-prod --set organization=org-1 --label team= --label tier=1")
        told = stocked.ok(
            ["provider", "update", "providers/openai-prod", "--display-name", "OpenAI production"]
        )
        assert told.err.startswith("updated providers/openai-prod at revision ")
        one = stocked.ok("provider get openai-prod -o json").data
        assert (one["displayName"], one["labels"]) == ("OpenAI production", {"tier": "1"})
        assert one["config"]["openai"]["organization"] == "org-1"
        stocked.ok("provider update openai-prod --set organization=")
        assert "config" not in stocked.ok("provider get openai-prod -o json").data

    def test_a_new_destination_needs_the_credential(self, stocked: Shell) -> None:
        line = "provider update openai-prod --set base_url=https://eu.api.openai.com/v1"
        told = stocked.run(line)
        assert told.code == 5
        assert "reason: CREDENTIAL_REENTRY_REQUIRED" in told.err
        stocked.ok(f"{line} --credential-stdin", stdin=KEY)
        assert "https://eu.api.openai.com/v1" in stocked.ok("provider list").out

    def test_nothing_to_change(self, stocked: Shell) -> None:
        assert "there is nothing to change" in stocked.run("provider update openai-prod").err

    def test_set_credential(self, stocked: Shell) -> None:
        stocked.ok("provider set-credential openai-prod --credential-stdin", stdin=KEY)
        told = stocked.at_a_terminal("provider set-credential openai-prod", secrets=[KEY])
        assert told.code == 0, told.err
        assert stocked.ok("provider get openai-prod -o json").data["credential"]["version"] == "3"
        assert "no credential is given" in stocked.run("provider set-credential openai-prod").err
        assert KEY not in "".join(stocked.everything)

    def test_disable_and_enable(self, stocked: Shell) -> None:
        assert stocked.ok("provider disable openai-prod --dry-run").err == (
            "dry run: providers/openai-prod would be disabled\n"
        )
        assert "state: active" in stocked.ok("provider get openai-prod").out
        assert "reason: disabled" in stocked.ok("provider disable openai-prod").out
        assert "state: active" in stocked.ok("provider enable openai-prod").out


class TestDelete:
    def test_a_dry_run_shows_what_is_lost(self, stocked: Shell) -> None:
        told = stocked.ok("provider delete openai-prod --dry-run")
        assert told.out == (
            "provider models deleted: 2\nbackends deleted: 2\nmodels left without any backend: 1\n"
            "credential destroyed: yes\n\nMODEL\tLOSES\tBACKENDS LEFT\n"
            "smart\topenai-prod/gpt-4o\tnone\nsmart\topenai-prod/gpt-4o-mini\tnone\n"
        )
        assert told.err == "dry run: nothing was deleted\n"
        assert len(stocked.ok("provider list -o json").data) == 1

    def test_a_script_brings_the_token(self, stocked: Shell) -> None:
        for line in ("provider delete openai-prod", "provider delete openai-prod --yes"):
            told = stocked.run(line)
            assert told.code == 2
            assert "--impact-token" in told.err
        token = stocked.ok("provider delete openai-prod --dry-run -o json").data["impact"]["impactToken"]
        other = "provider-model delete openai-prod/gpt-4o"
        stocked.ok(f"{other} --yes --impact-token {_token(stocked, other)}")
        assert stocked.run(f"provider delete openai-prod --yes --impact-token {token}").code == 5
        token = _token(stocked, "provider delete openai-prod")
        told = stocked.ok(f"provider delete openai-prod --yes --impact-token {token} -o json")
        assert int(told.data["revision"]) > 0
        assert stocked.ok("provider list -o json").data == []

    def test_a_person_types_the_name(self, stocked: Shell) -> None:
        told = stocked.at_a_terminal("provider delete openai-prod", typed="openai\n")
        assert told.code == 1
        assert "models left without any backend" in told.err
        assert "not deleted: what was typed is something else" in told.err
        told = stocked.at_a_terminal("provider delete openai-prod", typed="openai-prod\n")
        assert told.code == 0, told.err
        assert "deleted providers/openai-prod at revision " in told.err


def _token(shell: Shell, line: str) -> str:
    token: Any = shell.ok(f"{line} --dry-run -o json").data["impact"]["impactToken"]
    return str(token)


class TestImport:
    def test_some_and_then_all(self, shell: Shell) -> None:
        shell.ok("provider create openai-prod --kind openai")
        told = shell.ok("provider import openai-prod gpt-4o --catalog-version 2026.04.15")
        assert told.out.startswith(
            "PROVIDER MODEL\tUPSTREAM ID\tACTION\tCHANGED\tKEPT\nopenai-prod/gpt-4o\tgpt-4o\tcreated\t\t\n\n"
            "catalog: 2026.04.15\ncreated: 1\n"
        )
        plan = shell.ok("provider-model import openai-prod --disabled --dry-run -o json").data
        assert plan["skippedCount"] == 1
        shell.ok(f"provider import openai-prod --plan-digest {plan['planDigest']} --disabled")
        assert shell.run(f"provider import openai-prod --plan-digest {plan['planDigest']}").code == 5
        assert len(shell.ok("provider-model list openai-prod -o json").data) > 50


class TestKinds:
    def test_all(self, untouched: Shell) -> None:
        lines = untouched.ok("provider kinds").out.splitlines()
        assert lines[0] == "KIND\tNAME\tCREDENTIAL\tCATALOG\tABOUT"
        assert len(lines) == 1 + len(KINDS)

    def test_one(self, untouched: Shell) -> None:
        told = untouched.ok("provider kinds bedrock")
        assert "--set\tregion\tyes\tus-east-1\t" in told.out
        assert "credential aws_access_key\tsecret_access_key\tyes\t" in told.out
        assert untouched.ok("provider kinds bedrock -o json").data["kind"] == "PROVIDER_KIND_BEDROCK"
