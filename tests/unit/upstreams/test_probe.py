"""Each kind is asked as its API wants to be, and what it answers is told apart."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.doubles import upstream_accounts as accounts
from tests.support.doubles.upstream_accounts import (
    KEYED,
    REGION,
    Account,
    aws_account,
    aws_error,
    google_error,
    serve_keyed,
)
from tests.support.doubles.upstream_servers import PUBLIC_ADDRESS, Reply, World, in_json
from upstreams.kinds import KINDS, CredentialType
from upstreams.outcome import Outcome, Reason, Verdict
from upstreams.probe import probe
from upstreams.target import Identity, Target


def now() -> datetime:
    return datetime.now(UTC)


def asked(world: World, account: Account, identity: Identity | None = None) -> Outcome:
    return probe(account.target, identity or account.good, guard=world.guard(), now=now)


class TestApiKeys:
    @pytest.mark.parametrize("kind", KEYED)
    def test_good_ones_are_accepted(self, world: World, kind: str) -> None:
        outcome = asked(world, serve_keyed(world, kind))
        assert (outcome.verdict, outcome.reason) == (Verdict.SUCCEEDED, Reason.LISTED)
        assert outcome.http_status_code == 200
        assert outcome.latency_ms >= 0
        assert set(world.dialled) == {(PUBLIC_ADDRESS, 443)}

    @pytest.mark.parametrize("kind", KEYED)
    def test_wrong_ones_are_rejected(self, world: World, kind: str) -> None:
        account = serve_keyed(world, kind)
        outcome = asked(world, account, account.wrong)
        assert (outcome.verdict, outcome.reason) == (Verdict.CREDENTIAL_REJECTED, Reason.BAD_KEY)
        assert outcome.http_status_code == accounts.BAD_KEY[kind].status

    @pytest.mark.parametrize(
        ("kind", "target"),
        [
            ("openai", "/v1/models"),
            ("anthropic", "/v1/models?limit=1"),
            ("azure", "/openai/models?api-version=2024-10-21"),
            ("bedrock", "/foundation-models?byOutputModality=TEXT"),
            ("google", "/v1beta/models?pageSize=1"),
            ("groq", "/openai/v1/models"),
            ("cohere", "/v1/models?page_size=1"),
            ("moonshot", "/v1/models"),
            ("openai_compatible", "/tenant/v1/models"),
        ],
    )
    def test_by_the_cheapest_call(self, world: World, kind: str, target: str) -> None:
        asked(world, serve_keyed(world, kind))
        assert [(one.method, one.target) for one in world.asked] == [("GET", target)]
        assert world.asked[0].headers["accept-encoding"] == "identity"

    def test_settings_become_headers(self, world: World) -> None:
        openai = Target(kind="openai", config={"organization": "org-1", "project": "proj_1"})
        serve_keyed(world, "openai")
        probe(openai, KEYED["openai"].good, guard=world.guard(), now=now)
        assert world.asked[0].headers["openai-organization"] == "org-1"
        assert world.asked[0].headers["openai-project"] == "proj_1"

    @pytest.mark.parametrize(
        ("config", "version"),
        [({}, "2023-06-01"), ({"api_version": "2025-01-01"}, "2025-01-01")],
        ids=["default", "configured"],
    )
    def test_anthropic_is_told_a_version(self, world: World, config: dict[str, str], version: str) -> None:
        serve_keyed(world, "anthropic")
        target = Target(kind="anthropic", config=config)
        outcome = probe(target, KEYED["anthropic"].good, guard=world.guard(), now=now)
        assert outcome.reason is Reason.LISTED
        assert world.asked[0].headers["anthropic-version"] == version

    def test_configured_headers_never_replace_the_key(self, world: World) -> None:
        account = serve_keyed(world, "openai_compatible")
        target = Target(
            kind="openai_compatible",
            config=account.target.config,
            headers={"X-Tenant": "lab", "authorization": "Bearer other"},
        )
        assert probe(target, account.good, guard=world.guard(), now=now).reason is Reason.LISTED
        assert world.asked[0].headers["x-tenant"] == "lab"

    @pytest.mark.parametrize("kind", ["openai", "google", "cohere", "deepseek"])
    def test_go_to_a_base_url_with_its_path(self, world: World, kind: str) -> None:
        account = KEYED[kind]
        path = f"/tenant{account.path.removeprefix('/v1') if kind == 'openai' else account.path}"
        world.on("gateway.example", path, in_json(200, account.listing))
        target = Target(kind=kind, config={"base_url": "https://gateway.example/tenant"})
        assert probe(target, account.good, guard=world.guard(), now=now).reason is Reason.LISTED
        assert {one.host for one in world.asked} == {"gateway.example"}


class TestAnswers:
    """What the vendors' statuses and bodies mean, from a server that knows the key."""

    @pytest.mark.parametrize(
        ("kind", "reply", "reason"),
        [
            pytest.param(
                "openai",
                in_json(
                    403,
                    {
                        "error": {
                            "message": "You have insufficient permissions. Missing scopes: api.model.read."
                        }
                    },
                ),
                Reason.MISSING_PERMISSION,
                id="openai restricted key",
            ),
            pytest.param(
                "openai",
                in_json(
                    401,
                    {"error": {"message": "You have insufficient permissions. Missing scopes: model.read"}},
                ),
                Reason.MISSING_PERMISSION,
                id="openai restricted key, the other status",
            ),
            pytest.param(
                "openai",
                in_json(403, {"error": {"code": "unsupported_country_region_territory", "message": "No"}}),
                Reason.WRONG_REGION,
                id="openai country",
            ),
            pytest.param(
                "openai",
                in_json(429, {"error": {"code": "rate_limit_exceeded", "type": "requests"}}),
                Reason.RATE_LIMITED,
                id="openai rate limit",
            ),
            pytest.param(
                "openai",
                in_json(429, {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}),
                Reason.NO_FUNDS,
                id="openai no funds",
            ),
            pytest.param(
                "openai",
                Reply(403, b"<html>Attention Required!</html>", {"Content-Type": "text/html"}),
                Reason.FIREWALLED,
                id="a page before the API",
            ),
            pytest.param(
                "anthropic",
                in_json(403, {"type": "error", "error": {"type": "permission_error", "message": "No"}}),
                Reason.MISSING_PERMISSION,
                id="anthropic permission_error",
            ),
            pytest.param(
                "anthropic",
                in_json(429, {"type": "error", "error": {"type": "rate_limit_error", "message": "No"}}),
                Reason.RATE_LIMITED,
                id="anthropic rate_limit_error",
            ),
            pytest.param(
                "anthropic",
                in_json(529, {"type": "error", "error": {"type": "overloaded_error", "message": "No"}}),
                Reason.OVERLOADED,
                id="anthropic overloaded_error",
            ),
            pytest.param(
                "anthropic",
                in_json(402, {"type": "error", "error": {"type": "billing_error", "message": "No"}}),
                Reason.NO_FUNDS,
                id="anthropic billing_error",
            ),
            pytest.param(
                "azure",
                in_json(
                    403,
                    {
                        "error": {
                            "code": "403",
                            "message": "Access denied due to Virtual Network/Firewall rules.",
                        }
                    },
                ),
                Reason.FIREWALLED,
                id="azure firewall",
            ),
            pytest.param(
                "azure",
                in_json(403, {"error": {"code": "AuthenticationTypeDisabled", "message": "Key based..."}}),
                Reason.KEY_TYPE_DISABLED,
                id="azure keys switched off",
            ),
            pytest.param(
                "azure",
                in_json(404, {"error": {"code": "404", "message": "Resource not found"}}),
                Reason.WRONG_HOST,
                id="azure wrong host",
            ),
            pytest.param(
                "bedrock",
                aws_error(403, "AccessDeniedException", "is not authorized: bedrock:ListFoundationModels"),
                Reason.MISSING_PERMISSION,
                id="bedrock missing permission",
            ),
            pytest.param(
                "google",
                google_error(400, "FAILED_PRECONDITION", message="User location is not supported."),
                Reason.WRONG_REGION,
                id="google region",
            ),
            pytest.param(
                "google",
                google_error(403, "PERMISSION_DENIED", reason="SERVICE_DISABLED"),
                Reason.API_DISABLED,
                id="google API disabled",
            ),
            pytest.param(
                "google",
                google_error(403, "PERMISSION_DENIED", message="Your API key was reported as leaked."),
                Reason.BAD_KEY,
                id="google leaked key",
            ),
            pytest.param(
                "google",
                google_error(403, "PERMISSION_DENIED", reason="API_KEY_IP_ADDRESS_BLOCKED"),
                Reason.FIREWALLED,
                id="google key bound to addresses",
            ),
            pytest.param(
                "google",
                google_error(400, "INVALID_ARGUMENT", reason="API_KEY_INVALID", message="API key expired."),
                Reason.EXPIRED_KEY,
                id="google expired key",
            ),
            pytest.param(
                "google",
                google_error(429, "RESOURCE_EXHAUSTED"),
                Reason.RATE_LIMITED,
                id="google rate limit",
            ),
            pytest.param("groq", in_json(429, {"error": {}}), Reason.RATE_LIMITED, id="groq rate limit"),
            pytest.param(
                "groq",
                in_json(403, {"error": {"message": "Access denied. Please check your network settings."}}),
                Reason.FIREWALLED,
                id="groq network",
            ),
            pytest.param(
                "cohere", in_json(429, {"message": "trial"}), Reason.RATE_LIMITED, id="cohere trial"
            ),
            pytest.param(
                "deepseek",
                in_json(402, {"error": {"message": "Insufficient Balance"}}),
                Reason.NO_FUNDS,
                id="deepseek no funds",
            ),
            pytest.param(
                "moonshot",
                in_json(429, {"error": {"type": "exceeded_current_quota_error", "message": "No"}}),
                Reason.NO_FUNDS,
                id="moonshot no funds",
            ),
            pytest.param(
                "openai_compatible", in_json(403, {"detail": "no"}), Reason.BAD_KEY, id="compatible 403"
            ),
            *(
                pytest.param(
                    "openai_compatible",
                    Reply(status),
                    Reason.LISTING_NOT_OFFERED,
                    id=f"compatible without a listing: {status}",
                )
                for status in (404, 405, 501)
            ),
            pytest.param("openai", Reply(404), Reason.NOT_THE_API, id="wrong path"),
            pytest.param("openai", Reply(500), Reason.UPSTREAM_FAULT, id="fault"),
            pytest.param("openai", Reply(503), Reason.UPSTREAM_FAULT, id="away"),
            pytest.param("openai", Reply(418), Reason.UNEXPECTED_ANSWER, id="teapot"),
            pytest.param("openai", Reply(204), Reason.NOT_THE_API, id="nothing"),
            pytest.param("openai", Reply(200, b"<html>Welcome</html>"), Reason.NOT_THE_API, id="a page"),
            pytest.param("openai", in_json(200, {"models": []}), Reason.NOT_THE_API, id="another API"),
            pytest.param("google", in_json(200, {}), Reason.LISTED, id="google leaves empty lists out"),
            pytest.param("google", in_json(200, {"data": []}), Reason.NOT_THE_API, id="google, another API"),
            pytest.param("openai_compatible", in_json(200, []), Reason.LISTED, id="the bare list"),
            pytest.param("openai", Reply(200, b"[" * 100_000), Reason.NOT_THE_API, id="deep nesting"),
        ],
    )
    def test_are_told_apart(self, world: World, kind: str, reply: Reply, reason: Reason) -> None:
        outcome = asked(world, serve_keyed(world, kind, reply))
        assert outcome.reason is reason
        assert outcome.http_status_code == reply.status

    @pytest.mark.parametrize("kind", ["openai", "anthropic", "bedrock"])
    def test_missing_permission_is_no_rejection(self, world: World, kind: str) -> None:
        denied = aws_error(403, "AccessDeniedException") if kind == "bedrock" else in_json(403, {"error": {}})
        outcome = asked(world, serve_keyed(world, kind, denied))
        assert outcome.verdict is Verdict.SUCCEEDED
        assert outcome.message.startswith("The credential is valid, but lacks the permission")

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_are_not_followed(self, world: World, status: int) -> None:
        elsewhere = Reply(status, headers={"Location": "https://gateway.example/steal"})
        outcome = asked(world, serve_keyed(world, "anthropic", elsewhere))
        assert (outcome.verdict, outcome.reason) == (Verdict.UNREACHABLE, Reason.REDIRECTED)
        assert {one.host for one in world.asked} == {"api.anthropic.com"}

    def test_moonshot_hints_at_the_other_platform(self, world: World) -> None:
        account = serve_keyed(world, "moonshot")
        assert "api.moonshot.cn" in asked(world, account, account.wrong).message

    @pytest.mark.parametrize(
        ("balance", "reason"),
        [
            (in_json(200, {"is_available": True}), Reason.LISTED),
            (in_json(200, {"is_available": False}), Reason.NO_FUNDS),
            (Reply(404), Reason.LISTED),
        ],
        ids=["funds", "none", "not told"],
    )
    def test_deepseek_is_asked_for_its_balance(self, world: World, balance: Reply, reason: Reason) -> None:
        account = serve_keyed(world, "deepseek")
        world.on(account.host, "/user/balance", balance)
        assert asked(world, account).reason is reason

    def test_compatible_without_a_credential(self, world: World) -> None:
        account = KEYED["openai_compatible"]
        world.on(account.host, account.path, in_json(200, account.listing))
        outcome = probe(account.target, None, guard=world.guard(), now=now)
        assert outcome.reason is Reason.LISTED
        assert "authorization" not in world.asked[0].headers
        world.on(account.host, account.path, Reply(401))
        outcome = probe(account.target, None, guard=world.guard(), now=now)
        assert (outcome.verdict, outcome.reason) == (Verdict.CREDENTIAL_REJECTED, Reason.KEY_REQUIRED)


class TestWithoutAsking:
    @pytest.mark.parametrize(
        "kind",
        [kind.word for kind, rules in KINDS.items() if CredentialType.AMBIENT in rules.credential_types],
    )
    def test_ambient_identity_is_the_routers(self, world: World, kind: str) -> None:
        target = Target(
            kind=kind,
            config={
                "endpoint": "https://lab.openai.azure.com",
                "region": REGION,
                "project_id": "canary-project",
                "location": "global",
            },
        )
        outcome = probe(target, Identity("ambient"), guard=world.guard(), now=now)
        assert (outcome.verdict, outcome.reason) == (Verdict.UNSUPPORTED, Reason.AMBIENT_IDENTITY)
        assert world.asked == []

    def test_type_of_another_kind(self, world: World) -> None:
        outcome = probe(Target(kind="openai"), aws_account().good, guard=world.guard(), now=now)
        assert (outcome.verdict, outcome.reason) == (Verdict.UNSUPPORTED, Reason.WRONG_TYPE)

    def test_no_credential(self, world: World) -> None:
        outcome = probe(Target(kind="openai"), None, guard=world.guard(), now=now)
        assert (outcome.verdict, outcome.reason) == (Verdict.UNSUPPORTED, Reason.NO_CREDENTIAL)

    @pytest.mark.parametrize("key", ["a\r\nX-Other: b", "clé", "with blank", "\x7f"])
    def test_key_that_no_header_can_carry(self, world: World, key: str) -> None:
        outcome = probe(
            Target(kind="openai"), Identity("api_key", {"api_key": key}), guard=world.guard(), now=now
        )
        assert (outcome.verdict, outcome.reason) == (Verdict.CREDENTIAL_REJECTED, Reason.MALFORMED_KEY)
        assert world.dialled == []

    def test_unknown_kind(self) -> None:
        with pytest.raises(ValueError, match="not a kind"):
            Target(kind="openia")
