"""``providerctl provider-model``, ``model`` and ``catalog`` against a real registry."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.servers.shell import Shell

GPT = "openai-prod/gpt-4o"


def token(shell: Shell, line: str) -> Any:
    return shell.ok(f"{line} --dry-run -o json").data["impact"]["impactToken"]


class TestProviderModelList:
    def test_of_all_and_of_one(self, shelf: Shell) -> None:
        for line in ("provider-model list", "provider-model list openai-prod"):
            assert shelf.ok(line).out == (
                "PROVIDER MODEL\tKIND\tSTATE\tROUTABLE\tSOURCE\tCONTEXT\tPRICE IN/OUT\tRETIRES\n"
                "openai-prod/gpt-4o\tchat\tactive\tyes\t2026.04.15\t128000\t2.5/10 USD\t\n"
                "openai-prod/gpt-4o-mini\tchat\tactive\tyes\t2026.04.15\t128000\t0.15/0.6 USD\t\n"
            )

    def test_filter_names_and_columns(self, shelf: Shell) -> None:
        line = ["provider-model", "list", "--filter", "upstream_model_id = 'gpt-4o'", "-o", "name"]
        assert shelf.ok(line).out == "providers/openai-prod/models/gpt-4o\n"
        told = shelf.ok("provider-model list --columns name,pricing.currency_code,capabilities --sort -name")
        assert told.code == 0
        assert "STREAMING" not in shelf.ok("provider-model list").out

    @pytest.mark.parametrize(
        "name", [GPT, "providers/openai-prod/models/gpt-4o", "openai-prod/models/gpt-4o"]
    )
    def test_get(self, shelf: Shell, name: str) -> None:
        assert (
            "provider model: openai-prod/gpt-4o\nkind: chat\n"
            in shelf.ok(["provider-model", "get", name]).out
        )

    def test_a_name_of_something_else(self, shelf: Shell) -> None:
        told = shelf.run("provider-model get gpt-4o")
        assert told.code == 2
        assert "write PROVIDER/MODEL, e.g. openai-prod/gpt-4o" in told.err


class TestProviderModelChange:
    def test_create_and_update(self, stocked: Shell) -> None:
        stocked.ok(
            "provider-model create openai-prod my/tuned --kind chat --id tuned --set context_window=64000"
            " --set pricing.currency_code=USD --set pricing.input_per_million_tokens=1.5"
            " --set capabilities=tools,vision --set retire_time=2031-01-31"
        )
        one = stocked.ok("provider-model get openai-prod/tuned -o json").data
        assert one["capabilities"] == ["MODEL_CAPABILITY_TOOLS", "MODEL_CAPABILITY_VISION"]
        assert (one["contextWindow"], one["retireTime"]) == (64000, "2031-01-31T00:00:00Z")
        stocked.ok("provider-model update openai-prod/tuned --set capabilities= --set context_window=1000")
        told = stocked.ok(
            ["provider-model", "update", "openai-prod/tuned", "--display-name", "Tuned", "--label", "a=b"]
        )
        assert "display name: Tuned" in told.out
        assert "labels: a=b" in told.out
        one = stocked.ok("provider-model get openai-prod/tuned -o json").data
        assert (one["capabilities"], one["contextWindow"]) == ([], 1000)
        assert one["pricing"]["inputPerMillionTokens"] == "1.5"

    @pytest.mark.parametrize(
        ("assignment", "sentence"),
        [
            ("nope=1", "there is no field 'nope': choose from capabilities, "),
            ("context_window=many", "context_window: 'many' is not a whole number"),
            ("capabilities=flying", "capabilities: 'flying' is not one of streaming, tools"),
            ("retire_time=soon", "invalid time 'soon': use 2026-04-15T08:00:00Z or 2026-04-15"),
            ("pricing=1", "pricing: set one of pricing.currency_code"),
            ("kind.x=1", "kind.x: kind has no fields of its own"),
            ("context_window", "--set takes NAME=VALUE"),
        ],
    )
    def test_wrong_values(self, shelf: Shell, assignment: str, sentence: str) -> None:
        told = shelf.run(["provider-model", "update", GPT, "--set", assignment])
        assert told.code == 2
        assert sentence in told.err

    def test_one_and_many(self, stocked: Shell) -> None:
        told = stocked.ok(f"provider-model disable {GPT}")
        assert "state: disabled" in told.out
        told = stocked.ok(f"provider-model disable {GPT} openai-prod/gpt-4o-mini")
        assert told.out == (
            "PROVIDER MODEL\tRESULT\nopenai-prod/gpt-4o\tunchanged\nopenai-prod/gpt-4o-mini\tdisabled\n"
        )
        told = stocked.run(f"provider-model enable {GPT} openai-prod/nobody")
        assert told.code == 1
        assert "1 of 2 failed" in told.err
        assert "openai-prod/nobody: " in told.err

    def test_delete_many(self, stocked: Shell) -> None:
        line = f"provider-model delete {GPT} openai-prod/gpt-4o-mini"
        told = stocked.at_a_terminal(line, typed="2\n")
        assert told.code == 0, told.err
        assert "Type how many they are to delete (2): " in told.err
        assert "deleted 2 provider models at revision " in told.err

    def test_refresh(self, stocked: Shell) -> None:
        stocked.ok(f"provider-model update {GPT} --set context_window=5")
        told = stocked.ok("provider-model refresh openai-prod --dry-run")
        assert "openai-prod/gpt-4o\tgpt-4o\t" in told.out
        assert "context_window" in told.out
        assert told.err == "dry run: nothing was changed; --plan-digest pins this plan\n"
        stocked.ok("provider-model refresh openai-prod")


class TestModel:
    def test_list_and_get(self, shelf: Shell) -> None:
        assert shelf.ok("model list").out == (
            "MODEL\tKIND\tSTATE\tROUTABLE\tBACKENDS\tDISPLAY NAME\nsmart\tchat\tactive\tyes\t2/2\tsmart\n"
        )
        told = shelf.ok("model get models/smart")
        assert told.out.endswith(
            "\n\nBACKEND\tPRIORITY\tWEIGHT\tENABLED\tROUTABLE\n"
            "openai-prod/gpt-4o\t0\t0\tyes\tyes\nopenai-prod/gpt-4o-mini\t1\t3\tyes\tyes\n"
        )
        assert shelf.ok("model get smart -o json").data["backends"][1]["weight"] == 3

    def test_backends(self, stocked: Shell) -> None:
        backend = "openai-prod/gpt-4o-mini"
        for act in ("disable", "enable"):
            assert (
                stocked.ok(f"model {act} smart --dry-run").err == f"dry run: models/smart would be {act}d\n"
            )
            assert stocked.ok("model get smart -o json").data["state"] == "STATE_ACTIVE"
        dry = stocked.ok(f"model remove-backend smart {backend} --dry-run")
        assert backend not in dry.out
        assert dry.err == "dry run: models/smart would be reduced\n"
        assert backend not in stocked.ok(f"model remove-backend smart {backend}").out
        assert stocked.run(f"model remove-backend smart {backend} --dry-run").code == 3
        dry = stocked.ok(f"model add-backend smart {backend} --priority 2 --weight 5 --dry-run")
        assert f"{backend}\t2\t5\tyes\tyes" in dry.out
        added = stocked.ok(f"model add-backend smart {backend} --priority 2 --weight 5 --disabled")
        assert f"{backend}\t2\t5\tno\tno" in added.out

    def test_update_replaces_backends(self, stocked: Shell) -> None:
        line = ["model", "update", "smart", "--description", "One backend.", "--backend", f"{GPT},priority=4"]
        told = stocked.ok(line)
        assert "description: One backend." in told.out
        assert told.out.endswith("ROUTABLE\nopenai-prod/gpt-4o\t4\t0\tyes\tyes\n")
        assert "there is nothing to change" in stocked.run("model update smart").err

    def test_disable_enable_delete(self, stocked: Shell) -> None:
        assert "state: disabled" in stocked.ok("model disable smart").out
        assert "state: active" in stocked.ok("model enable smart").out
        line = "model delete smart"
        stocked.ok(f"{line} --yes --impact-token {token(stocked, line)}")
        assert stocked.run("model get smart").code == 3
        assert stocked.ok("model list -o yaml").out == "[]\n"

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ("create x", "--kind is missing: What it is for."),
            ("create x --kind image", "--kind: 'image' is not one of chat, embedding"),
            ("create x --kind chat --backend gpt-4o", "'gpt-4o' is not the name of a provider model"),
            ("create x --kind chat --backend a/b,weight=x", "weight: 'x' is not a whole number"),
            ("add-backend smart openai-prod/gpt-4o --priority -1", "--priority: '-1' is not a whole number"),
        ],
    )
    def test_refusals(self, shelf: Shell, line: str, sentence: str) -> None:
        told = shelf.run(f"model {line}")
        assert told.code == 2
        assert sentence in told.err


class TestCatalog:
    def test_list(self, untouched: Shell) -> None:
        lines = untouched.ok("catalog list").out.splitlines()
        assert lines[0] == "CATALOG\tKIND\tRELEASE\tMODELS"
        assert "openai\topenai\t" in lines[1]
        assert all(name.startswith("catalogs/") for name in untouched.ok("catalog list -o name").out.split())

    def test_show(self, untouched: Shell) -> None:
        told = untouched.ok("catalog show openai --catalog-version 2026.04.15")
        assert "gpt-4o\tchat\t128000\t16384\t2.5/10 USD\t" in told.out
        assert told.err == "catalogs/openai 2026.04.15: 95 models\n"
        assert "gpt-4o\n" in untouched.ok("catalog show catalogs/openai -o name").out

    def test_diff(self, untouched: Shell) -> None:
        told = untouched.ok("catalog diff openai --from 2026.04.15 --to 2026.04.15")
        assert told.out == "UPSTREAM ID\tCHANGE\tFIELD\tFROM\tTO\n"
        assert untouched.ok("catalog diff openai --from 2026.04.15 -o json").data == []
        assert untouched.run("catalog diff openai").code == 2

    def test_an_unknown_one(self, untouched: Shell) -> None:
        assert untouched.run("catalog show nope").code == 3
        assert untouched.run("catalog show openai --catalog-version 1999.01.01").code == 5


class TestWatch:
    def test_a_snapshot_and_changes(self, stocked: Shell) -> None:
        told = stocked.ok("watch --snapshot --limit 4")
        assert told.out.splitlines() == [
            "present  openai-prod",
            "present  openai-prod/gpt-4o",
            "present  openai-prod/gpt-4o-mini",
            "present  smart",
        ]
        store = stocked.registry.routing.GetRoutingSnapshot
        from codevector.providers.v1 import routing_service_pb2

        at = store(routing_service_pb2.GetRoutingSnapshotRequest()).snapshot
        stocked.ok("model disable smart")
        stocked.ok(f"provider-model disable {GPT}")
        line = f"watch --token {at.token} --limit 2"
        lines = [json.loads(each) for each in stocked.ok(f"{line} -o jsonl").out.splitlines()]
        assert [each["removed"] for each in lines] == [
            "models/smart",
            f"providers/{GPT.replace('/', '/models/')}",
        ]
        assert int(lines[0]["revision"]) == at.revision + 1
        assert stocked.ok(line).out.splitlines()[1].endswith(f"removed  {GPT}")
        assert stocked.ok(f"{line} -o name").out.split()[0] == "models/smart"


class TestOpen:
    def test_prints_the_address(self, untouched: Shell) -> None:
        page = "http://127.0.0.1:8080/admin/providers"
        assert untouched.ok("open --print").out == f"{page}\n"
        ported = {"CODEVECTOR_CONSOLE_PORT": "8123"}
        assert untouched.ok("open providers/a --print", environment=ported).out == (
            "http://127.0.0.1:8123/admin/providers/a\n"
        )
        assert untouched.ok("open --print -o json").data == {"url": page}
        assert untouched.run("open --print", environment={"CODEVECTOR_CONSOLE_PORT": "x"}).code == 2


class TestCompletion:
    @pytest.mark.parametrize(
        ("words", "offered"),
        [
            (["provider", "get", ""], ["openai-prod"]),
            (["provider", "get", "x"], []),
            (["provider-model", "delete", GPT, "openai-prod/gpt-4o-"], ["openai-prod/gpt-4o-mini"]),
            (["model", "get", ""], ["smart"]),
            (["model", "add-backend", "smart", "openai-prod/gpt-4o-"], ["openai-prod/gpt-4o-mini"]),
            (["provider", "create", "x", "--kind", "vertex"], ["vertex", "vertex_anthropic"]),
            (["provider", "create", "x", "--kind=gro"], ["--kind=groq"]),
            (["catalog", "show", "openai"], ["openai"]),
            (["-o", "js"], ["json", "jsonl"]),
            (["-o", "json", "prov"], ["provider", "provider-model"]),
            (["provider", "list", "--so"], ["--sort"]),
            (["provider", "create", "--api"], []),
            (["key", "receipt", "check", "x"], [":files"]),
        ],
        ids=" ".join,
    )
    def test_offers(self, shelf: Shell, words: list[str], offered: list[str]) -> None:
        told = shelf.ok(["__complete", "--", *words])
        assert [line.split("\t")[0] for line in told.out.splitlines()] == offered

    def test_says_nothing_where_the_registry_is_away(self, shelf: Shell) -> None:
        told = shelf.ok(["__complete", "--server", "127.0.0.1:1", "--", "provider", "get", ""])
        assert (told.out, told.err) == ("", "")

    @pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
    def test_scripts(self, untouched: Shell, shell_name: str) -> None:
        assert "providerctl __complete -- " in untouched.ok(f"completion {shell_name}").out
