"""All pages of an upstream's offer, and nothing that it could not mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.doubles.upstream_accounts import (
    AWS_KEY_ID,
    AWS_SECRET,
    KEYED,
    REGION,
    Account,
    GoogleKeys,
    aws_account,
    aws_error,
    azure_account,
    google_error,
    serve_bedrock,
    serve_entra,
    serve_google_token,
    serve_keyed,
    signed_by,
    vertex_account,
)
from tests.support.doubles.upstream_servers import Answering, Asked, Reply, World, in_json, paged
from upstreams.aws import AccessKey
from upstreams.listing import MAX_IDS, MAX_PAGES, Listing, list_models
from upstreams.offers import VERTEX_PUBLISHERS, Discovered, ModelKind
from upstreams.outcome import Reason, Verdict
from upstreams.target import Identity

KEY = AccessKey(AWS_KEY_ID, AWS_SECRET)


def listed(world: World, account: Account) -> Listing:
    return list_models(account.target, account.good, guard=world.guard(), now=lambda: datetime.now(UTC))


def ids(listing: Listing) -> list[str]:
    return [model.upstream_model_id for model in listing.models]


def serve_pages(
    world: World, kind: str, pages: Sequence[Any], parameter: str, cursors: Sequence[str]
) -> Account:
    account = KEYED[kind]
    world.on(account.host, account.path, paged(pages, parameter, cursors))
    return account


class TestKinds:
    @pytest.mark.parametrize("kind", KEYED)
    def test_list_what_their_accounts_have(self, world: World, kind: str) -> None:
        account = serve_keyed(world, kind)
        if kind == "bedrock":
            world.on(account.host, "/inference-profiles", in_json(200, {"inferenceProfileSummaries": []}))
        if kind == "google":
            world.on(account.host, account.path, in_json(200, {"models": [{"name": "models/gemini-1"}]}))
        listing = listed(world, account)
        assert listing.outcome.reason is Reason.LISTED
        assert listing.complete
        assert len(listing.models) == 1

    @pytest.mark.parametrize("kind", ["openai", "azure", "bedrock", "google", "cohere"])
    def test_wrong_keys_list_nothing(self, world: World, kind: str) -> None:
        account = serve_keyed(world, kind)
        listing = list_models(
            account.target, account.wrong, guard=world.guard(), now=lambda: datetime.now(UTC)
        )
        assert listing.outcome.verdict is Verdict.CREDENTIAL_REJECTED
        assert (listing.models, listing.complete) == ((), False)

    def test_limits_that_openai_like_vendors_add(self, world: World) -> None:
        entries = [
            {
                "id": "meta-llama/llama-4",
                "context_window": 131072,
                "max_completion_tokens": 8192,
                "active": True,
            },
            {"id": "old", "context_window": 0, "active": False},
            {"id": "kimi", "context_length": 262144},
            {"id": "local", "max_model_len": 32768},
            {"id": "silly", "context_window": 10**12},
            {"id": "lie", "context_window": True},
        ]
        listing = listed(world, serve_keyed(world, "groq", in_json(200, {"data": entries})))
        assert [(m.upstream_model_id, m.context_window, m.max_output_tokens) for m in listing.models] == [
            ("meta-llama/llama-4", 131072, 8192),
            ("old", 0, 0),
            ("kimi", 262144, 0),
            ("local", 32768, 0),
            ("silly", 0, 0),
            ("lie", 0, 0),
        ]
        assert [m.deprecated for m in listing.models] == [False, True, False, False, False, False]

    def test_anthropic(self, world: World) -> None:
        first = {
            "data": [
                {
                    "id": "claude-1",
                    "display_name": "Claude  One\u202e\n",
                    "max_input_tokens": 200000,
                    "max_tokens": 64000,
                }
            ],
            "has_more": True,
            "last_id": "claude-1",
        }
        second = {
            "data": [{"id": "claude-2", "max_input_tokens": 0}],
            "has_more": False,
            "last_id": "claude-2",
        }
        account = serve_pages(world, "anthropic", [first, second], "after_id", ["claude-1"])
        listing = listed(world, account)
        assert listing.models == (
            Discovered(
                upstream_model_id="claude-1",
                display_name="Claude One",
                kind=ModelKind.CHAT,
                context_window=200000,
                max_output_tokens=64000,
            ),
            Discovered(upstream_model_id="claude-2", kind=ModelKind.CHAT),
        )
        assert [one.query for one in world.asked] == [
            {"limit": "1000"},
            {"limit": "1000", "after_id": "claude-1"},
        ]

    def test_google(self, world: World) -> None:
        first = {
            "models": [
                {
                    "name": "models/gemini-1",
                    "displayName": "Gemini 1",
                    "inputTokenLimit": 1048576,
                    "outputTokenLimit": 65536,
                    "supportedGenerationMethods": ["generateContent", "countTokens"],
                },
                {"name": "models/embed-1", "supportedGenerationMethods": ["embedContent"]},
            ],
            "nextPageToken": "a+b/c=",
        }
        second = {"models": [{"name": "models/imagen", "supportedGenerationMethods": ["predict"]}]}
        account = serve_pages(world, "google", [first, second], "pageToken", ["a+b/c="])
        listing = listed(world, account)
        assert [(m.upstream_model_id, m.kind, m.context_window) for m in listing.models] == [
            ("gemini-1", ModelKind.CHAT, 1048576),
            ("embed-1", ModelKind.EMBEDDING, 0),
            ("imagen", ModelKind.UNKNOWN, 0),
        ]
        assert world.asked[0].query == {"pageSize": "1000"}

    def test_cohere_by_endpoint(self, world: World) -> None:
        account = KEYED["cohere"]
        pages = {
            ("chat", ""): {
                "models": [{"name": "command", "context_length": 256000}],
                "next_page_token": "2",
            },
            ("chat", "2"): {"models": [{"name": "command-old", "is_deprecated": True}]},
            ("embed", ""): {
                "models": [{"name": "embed-v4", "context_length": 128000.0}],
                "next_page_token": "",
            },
        }

        def answer(asked: Asked) -> Reply:
            assert asked.query["page_size"] == "1000"
            return in_json(200, pages[asked.query["endpoint"], asked.query.get("page_token", "")])

        world.on(account.host, account.path, answer)
        listing = listed(world, account)
        assert [(m.upstream_model_id, m.kind, m.deprecated) for m in listing.models] == [
            ("command", ModelKind.CHAT, False),
            ("command-old", ModelKind.CHAT, True),
            ("embed-v4", ModelKind.EMBEDDING, False),
        ]
        assert listing.complete

    def test_azure_lists_base_models(self, world: World) -> None:
        account = azure_account()
        serve_entra(world, account)
        retired = 1798761600
        entries = [
            {
                "id": "gpt-4o",
                "capabilities": {"chat_completion": True, "embeddings": False},
                "lifecycle_status": "deprecated",
                "deprecation": {"inference": retired},
            },
            {"id": "text-embedding-3-small", "capabilities": {"embeddings": True}, "deprecation": None},
            {"id": "dall-e-3", "capabilities": []},
        ]
        world.on(account.host, account.path, in_json(200, {"data": entries}))
        listing = listed(world, account)
        assert [(m.kind, m.deprecated, m.callable_by_id) for m in listing.models] == [
            (ModelKind.CHAT, True, False),
            (ModelKind.EMBEDDING, False, False),
            (ModelKind.UNKNOWN, False, False),
        ]
        assert listing.models[0].retire_time == datetime.fromtimestamp(retired, UTC)

    def test_bedrock_models_and_profiles(self, world: World) -> None:
        account = aws_account()
        models = {
            "modelSummaries": [
                {
                    "modelId": "anthropic.claude-1-v1:0",
                    "modelName": "Claude 1",
                    "outputModalities": ["TEXT"],
                    "inferenceTypesSupported": ["INFERENCE_PROFILE"],
                    "modelLifecycle": {"status": "LEGACY", "endOfLifeTime": "2027-01-02T03:04:05Z"},
                },
                {
                    "modelId": "amazon.titan-embed-text-v2:0",
                    "outputModalities": ["EMBEDDING"],
                    "inferenceTypesSupported": ["ON_DEMAND"],
                    "modelLifecycle": {"status": "ACTIVE"},
                },
            ]
        }
        pages = [
            {
                "inferenceProfileSummaries": [
                    {
                        "inferenceProfileId": "eu.anthropic.claude-1-v1:0",
                        "inferenceProfileName": "EU Claude 1",
                    }
                ],
                "nextToken": "t/+=&",
            },
            {"inferenceProfileSummaries": [{"inferenceProfileId": "global.other.model"}]},
        ]
        serve_bedrock(world, KEY, in_json(200, models))
        world.on(account.host, "/inference-profiles", signed(paged(pages, "nextToken", ["t/+=&"])))
        listing = listed(world, account)
        retired = datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert listing.complete
        assert [
            (m.upstream_model_id, m.kind, m.retire_time, m.deprecated, m.callable_by_id)
            for m in listing.models
        ] == [
            ("anthropic.claude-1-v1:0", ModelKind.CHAT, retired, True, False),
            ("amazon.titan-embed-text-v2:0", ModelKind.EMBEDDING, None, False, True),
            ("eu.anthropic.claude-1-v1:0", ModelKind.CHAT, retired, True, True),
            ("global.other.model", ModelKind.UNKNOWN, None, False, True),
        ]

    def test_bedrock_profiles_may_need_another_permission(self, world: World) -> None:
        account = aws_account()
        serve_bedrock(world, KEY)
        world.on(account.host, "/inference-profiles", aws_error(403, "AccessDeniedException"))
        listing = listed(world, account)
        assert listing.outcome.reason is Reason.LISTED
        assert ids(listing) == ["amazon.nova-pro-v1:0"]
        assert not listing.complete

    def test_vertex_walks_the_publishers(self, world: World, keys: GoogleKeys) -> None:
        account = vertex_account("vertex", keys)
        serve_google_token(world, keys)
        for publisher, reply in {
            "google": in_json(
                200,
                {"publisherModels": [{"name": "publishers/google/models/gemini-1", "versionId": "default"}]},
            ),
            "meta": in_json(200, {"publisherModels": [{"name": "publishers/meta/models/llama-4-maas"}]}),
            "mistralai": in_json(
                200, {"publisherModels": [{"name": "publishers/mistralai/models/mistral-large@2411"}]}
            ),
            "qwen": google_error(403, "PERMISSION_DENIED"),
        }.items():
            world.on(account.host, f"/v1beta1/publishers/{publisher}/models", reply)
        listing = listed(world, account)
        assert ids(listing) == ["gemini-1", "meta/llama-4-maas", "mistral-large@2411"]
        assert listing.outcome.reason is Reason.LISTED
        assert not listing.complete
        assert len(world.asked) == 1 + len(VERTEX_PUBLISHERS)

    def test_vertex_publishers_that_are_not_there_are_no_gap(self, world: World, keys: GoogleKeys) -> None:
        account = vertex_account("vertex", keys)
        serve_google_token(world, keys)
        world.on(account.host, account.path, in_json(200, account.listing))
        listing = listed(world, account)
        assert ids(listing) == ["model-1"]
        assert listing.complete

    def test_claude_on_vertex_by_dated_ids(self, world: World, keys: GoogleKeys) -> None:
        account = vertex_account("vertex_anthropic", keys)
        serve_google_token(world, keys)
        first = {
            "publisherModels": [
                {"name": "publishers/anthropic/models/claude-1", "versionId": "20251101"},
                {"name": "publishers/anthropic/models/claude-2@20240229", "versionId": "20240229"},
            ],
            "nextPageToken": "2",
        }
        second = {
            "publisherModels": [{"name": "publishers/anthropic/models/claude-3", "versionId": "default"}]
        }
        world.on(account.host, account.path, paged([first, second], "pageToken", ["2"]))
        listing = listed(world, account)
        assert ids(listing) == ["claude-1@20251101", "claude-2@20240229", "claude-3"]
        assert {model.kind for model in listing.models} == {ModelKind.CHAT}

    @pytest.mark.parametrize("cursor", ["last_id", "last entry"])
    def test_compatible_with_pages(self, world: World, cursor: str) -> None:
        first: dict[str, Any] = {"data": [{"id": "a"}, {"id": "b"}], "has_more": True}
        if cursor == "last_id":
            first["last_id"] = "b"
        account = serve_pages(
            world, "openai_compatible", [first, {"data": [{"id": "c"}], "has_more": False}], "after", ["b"]
        )
        assert ids(listed(world, account)) == ["a", "b", "c"]

    def test_compatible_without_a_listing(self, world: World) -> None:
        listing = listed(world, serve_keyed(world, "openai_compatible", Reply(405)))
        assert listing.outcome.verdict is Verdict.UNSUPPORTED


def signed(answering: Answering) -> Answering:
    def answer(asked: Asked) -> Reply:
        return (
            answering(asked)
            if signed_by(asked, KEY, "bedrock")
            else aws_error(403, "InvalidSignatureException")
        )

    return answer


class TestJunk:
    def test_is_skipped_and_counted(self, world: World) -> None:
        junk: list[Any] = [
            None,
            7,
            [],
            {},
            {"id": None},
            {"id": ""},
            {"id": "with blank"},
            {"id": "clé"},
            {"id": "line\nbreak"},
            {"id": "x" * 257},
            {"id": {"id": "nested"}},
        ]
        reply = in_json(200, {"data": [*junk, {"id": "y" * 256}, {"id": "good"}, {"id": "good"}]})
        listing = listed(world, serve_keyed(world, "openai", reply))
        assert ids(listing) == ["y" * 256, "good"]
        assert listing.skipped_count == len(junk)
        assert listing.complete

    @pytest.mark.parametrize(
        "value", ["soon", -1, 1e300, float("nan"), "9999-12-31T23:59:59-12:00", True, "x" * 1000, None]
    )
    def test_no_time_is_no_time(self, world: World, value: object) -> None:
        account = KEYED["azure"]
        entries = [{"id": "m", "deprecation": {"inference": value}}]
        world.on(account.host, account.path, in_json(200, {"data": entries}))
        assert listed(world, account).models[0].retire_time is None

    def test_names_are_cut_and_cleaned(self, world: World) -> None:
        entries = [{"id": "m", "display_name": "\x1b[31m" + "n" * 100}, {"id": "o", "display_name": ["x"]}]
        listing = listed(world, serve_keyed(world, "anthropic", in_json(200, {"data": entries})))
        assert [model.display_name for model in listing.models] == ["[31m" + "n" * 59, ""]


class TestLimits:
    def test_ids(self, world: World) -> None:
        entries = [{"id": f"m{number}"} for number in range(MAX_IDS + 1)]
        listing = listed(world, serve_keyed(world, "openai", in_json(200, {"data": entries})))
        assert len(listing.models) == MAX_IDS
        assert not listing.complete

    def test_exactly_as_many_ids(self, world: World) -> None:
        entries = [{"id": f"m{number}"} for number in range(MAX_IDS)]
        listing = listed(world, serve_keyed(world, "openai", in_json(200, {"data": entries})))
        assert (len(listing.models), listing.complete) == (MAX_IDS, True)

    def test_pages(self, world: World) -> None:
        account = KEYED["google"]

        def answer(asked: Asked) -> Reply:
            number = int(asked.query.get("pageToken", "0"))
            return in_json(200, {"models": [{"name": f"models/m{number}"}], "nextPageToken": str(number + 1)})

        world.on(account.host, account.path, answer)
        listing = listed(world, account)
        assert len(listing.models) == len(world.asked) == MAX_PAGES
        assert not listing.complete

    def test_cursor_in_circles(self, world: World) -> None:
        account = KEYED["google"]
        world.on(account.host, account.path, in_json(200, {"models": [], "nextPageToken": "again"}))
        listing = listed(world, account)
        assert len(world.asked) == 2
        assert not listing.complete

    def test_same_page_under_new_cursors(self, world: World) -> None:
        account = KEYED["google"]

        def answer(asked: Asked) -> Reply:
            cursor = asked.query.get("pageToken", "") + "x"
            return in_json(200, {"models": [{"name": "models/m"}], "nextPageToken": cursor})

        world.on(account.host, account.path, answer)
        listing = listed(world, account)
        assert len(world.asked) == 2
        assert not listing.complete

    def test_endless_cursor_is_not_sent(self, world: World) -> None:
        account = KEYED["google"]
        world.on(account.host, account.path, in_json(200, {"nextPageToken": "x" * 5000}))
        listed(world, account)
        assert len(world.asked) == 1

    def test_page_of_more_than_five_mebibytes(self, world: World) -> None:
        huge = Reply(200, b'{"data": [' + b" " * (5 * 1024 * 1024) + b"]}")
        listing = listed(world, serve_keyed(world, "openai", huge))
        assert listing.outcome.reason is Reason.ANSWER_TOO_LARGE
        assert not listing.complete

    def test_fault_on_a_later_page_keeps_what_was_found(self, world: World) -> None:
        account = KEYED["google"]

        def answer(asked: Asked) -> Reply:
            if "pageToken" in asked.query:
                return google_error(429, "RESOURCE_EXHAUSTED")
            return in_json(200, {"models": [{"name": "models/m"}], "nextPageToken": "2"})

        world.on(account.host, account.path, answer)
        listing = listed(world, account)
        assert ids(listing) == ["m"]
        assert (listing.outcome.reason, listing.complete) == (Reason.RATE_LIMITED, False)

    def test_region_is_part_of_the_host(self, world: World) -> None:
        serve_bedrock(world, KEY)
        listed(world, aws_account())
        assert {one.host for one in world.asked} == {f"bedrock.{REGION}.amazonaws.com"}

    def test_ambient_lists_nothing(self, world: World) -> None:
        account = azure_account()
        listing = list_models(
            account.target, Identity("ambient"), guard=world.guard(), now=lambda: datetime.now(UTC)
        )
        assert (listing.outcome.verdict, world.asked) == (Verdict.UNSUPPORTED, [])
