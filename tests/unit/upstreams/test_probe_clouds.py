"""Credentials that sign or are exchanged for tokens: what is sent where, and what the clouds answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.doubles import upstream_accounts as accounts
from tests.support.doubles.upstream_accounts import (
    AWS_KEY_ID,
    AWS_SECRET,
    AWS_SESSION_TOKEN,
    CLIENT_SECRET,
    MINTED_TOKEN,
    REGION,
    ROLE_SECRET,
    ROLE_TOKEN,
    Account,
    GoogleKeys,
    aws_account,
    aws_error,
    azure_account,
    google_error,
    serve_bedrock,
    serve_entra,
    serve_google_token,
    serve_sts,
    serve_vertex,
    sts_error,
    vertex_account,
)
from tests.support.doubles.upstream_servers import Reply, World, in_json
from upstreams.aws import AccessKey
from upstreams.outcome import Outcome, Reason, Verdict
from upstreams.probe import probe
from upstreams.target import Identity

KEY = AccessKey(AWS_KEY_ID, AWS_SECRET)
ROLE = "arn:aws:iam::123456789012:role/models/reader"


def now() -> datetime:
    return datetime.now(UTC)


def asked(world: World, account: Account, identity: Identity | None = None) -> Outcome:
    return probe(account.target, identity or account.good, guard=world.guard(), now=now)


class TestAws:
    def test_signs(self, world: World) -> None:
        serve_bedrock(world, KEY)
        account = aws_account()
        assert asked(world, account).reason is Reason.LISTED
        assert asked(world, account, account.wrong).reason is Reason.BAD_KEY
        assert all(AWS_SECRET not in f"{one.headers}{one.body!r}" for one in world.asked)

    def test_unknown_key(self, world: World) -> None:
        serve_bedrock(world, AccessKey("AKIAANOTHER", AWS_SECRET))
        outcome = asked(world, aws_account())
        assert (outcome.verdict, outcome.reason) == (Verdict.CREDENTIAL_REJECTED, Reason.BAD_KEY)

    def test_session_token_is_signed_along(self, world: World) -> None:
        serve_bedrock(world, AccessKey(AWS_KEY_ID, AWS_SECRET, AWS_SESSION_TOKEN))
        assert asked(world, aws_account(session_token=AWS_SESSION_TOKEN)).reason is Reason.LISTED

    @pytest.mark.parametrize(
        ("reply", "reason", "verdict"),
        [
            pytest.param(
                aws_error(403, "ExpiredTokenException"),
                Reason.EXPIRED_KEY,
                Verdict.CREDENTIAL_REJECTED,
                id="expired",
            ),
            pytest.param(
                aws_error(403, "AccessDeniedException"),
                Reason.MISSING_PERMISSION,
                Verdict.SUCCEEDED,
                id="missing permission",
            ),
            pytest.param(
                aws_error(403, "SignatureDoesNotMatch"), Reason.CLOCK_SKEW, Verdict.UNREACHABLE, id="clock"
            ),
            pytest.param(
                aws_error(403, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now..."),
                Reason.CLOCK_SKEW,
                Verdict.UNREACHABLE,
                id="clock, by the message",
            ),
            pytest.param(
                in_json(403, {"__type": "com.amazon.coral.service#UnrecognizedClientException"}),
                Reason.BAD_KEY,
                Verdict.CREDENTIAL_REJECTED,
                id="type in the body",
            ),
            pytest.param(
                aws_error(429, "ThrottlingException"),
                Reason.RATE_LIMITED,
                Verdict.RATE_LIMITED,
                id="throttled",
            ),
            pytest.param(
                aws_error(400, "ThrottlingException"),
                Reason.RATE_LIMITED,
                Verdict.RATE_LIMITED,
                id="throttled, the old status",
            ),
            pytest.param(
                aws_error(400, "ValidationException"),
                Reason.UNEXPECTED_ANSWER,
                Verdict.UNREACHABLE,
                id="our fault",
            ),
            pytest.param(
                Reply(403, b"<html>"), Reason.FIREWALLED, Verdict.UNREACHABLE, id="a page before the API"
            ),
            pytest.param(Reply(503), Reason.UPSTREAM_FAULT, Verdict.UNREACHABLE, id="fault"),
        ],
    )
    def test_errors(self, world: World, reply: Reply, reason: Reason, verdict: Verdict) -> None:
        serve_bedrock(world, KEY, reply)
        outcome = asked(world, aws_account())
        assert (outcome.reason, outcome.verdict) == (reason, verdict)

    def test_assumes_a_role_and_uses_its_key(self, world: World) -> None:
        serve_sts(world, KEY, ROLE)
        serve_bedrock(world, AccessKey("ASIAROLE", ROLE_SECRET, ROLE_TOKEN))
        assert asked(world, aws_account(role_arn=ROLE)).reason is Reason.LISTED
        assert [one.host for one in world.asked] == [
            f"sts.{REGION}.amazonaws.com",
            f"bedrock.{REGION}.amazonaws.com",
        ]

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            pytest.param(sts_error(403, "AccessDenied"), Reason.ROLE_REFUSED, id="may not"),
            pytest.param(sts_error(403, "InvalidClientTokenId"), Reason.BAD_KEY, id="unknown key"),
            pytest.param(sts_error(403, "SignatureDoesNotMatch"), Reason.BAD_KEY, id="wrong secret"),
            pytest.param(
                sts_error(403, "SignatureDoesNotMatch", "Signature expired: 2026 is now earlier than"),
                Reason.CLOCK_SKEW,
                id="clock",
            ),
            pytest.param(sts_error(403, "ExpiredToken"), Reason.EXPIRED_KEY, id="expired"),
            pytest.param(sts_error(400, "Throttling"), Reason.RATE_LIMITED, id="throttled"),
            pytest.param(Reply(500), Reason.UPSTREAM_FAULT, id="fault"),
            pytest.param(Reply(200, b"<AssumeRoleResponse/>"), Reason.NOT_THE_API, id="no key in it"),
            pytest.param(
                Reply(200, b'<!DOCTYPE x [<!ENTITY a "aaaa">]><AccessKeyId>&a;</AccessKeyId>'),
                Reason.NOT_THE_API,
                id="entities",
            ),
            pytest.param(Reply(302), Reason.REDIRECTED, id="redirect"),
        ],
    )
    def test_role_that_cannot_be_had(self, world: World, reply: Reply, reason: Reason) -> None:
        world.on(f"sts.{REGION}.amazonaws.com", "/", reply)
        outcome = asked(world, aws_account(role_arn=ROLE))
        assert (outcome.reason, outcome.http_status_code) == (reason, reply.status)
        assert len(world.asked) == 1

    def test_time_comes_from_the_clock(self, world: World) -> None:
        serve_bedrock(world, KEY)
        account = aws_account()
        probe(account.target, account.good, guard=world.guard(), now=lambda: datetime(2031, 2, 3, tzinfo=UTC))
        assert world.asked[0].headers["x-amz-date"] == "20310203T000000Z"


class TestEntra:
    @pytest.mark.parametrize(
        ("endpoint", "authority", "audience"),
        [
            ("https://lab.openai.azure.com", "login.microsoftonline.com", "com"),
            ("https://lab.openai.azure.us", "login.microsoftonline.us", "us"),
        ],
        ids=["public cloud", "US government"],
    )
    def test_secret_to_the_cloud_of_the_endpoint(
        self, world: World, endpoint: str, authority: str, audience: str
    ) -> None:
        account = azure_account(endpoint)
        serve_entra(world, account, authority=authority, audience=audience)
        assert asked(world, account).reason is Reason.LISTED
        token, listing = world.asked
        assert token.host == authority
        assert CLIENT_SECRET not in f"{listing}"
        assert MINTED_TOKEN not in f"{token}"

    def test_wrong_secret(self, world: World) -> None:
        account = azure_account()
        serve_entra(world, account)
        outcome = asked(world, account, account.wrong)
        assert (outcome.verdict, outcome.reason) == (Verdict.CREDENTIAL_REJECTED, Reason.BAD_KEY)
        assert outcome.http_status_code == 401

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            pytest.param(
                in_json(401, {"error": "invalid_client", "error_codes": [7000222]}),
                Reason.EXPIRED_KEY,
                id="expired secret",
            ),
            pytest.param(
                in_json(400, {"error": "unauthorized_client", "error_codes": [700016]}),
                Reason.BAD_KEY,
                id="unknown application",
            ),
            pytest.param(in_json(429, {}), Reason.RATE_LIMITED, id="rate limit"),
            pytest.param(Reply(503), Reason.UPSTREAM_FAULT, id="fault"),
            pytest.param(Reply(400, b"<html>"), Reason.NOT_THE_API, id="not Entra"),
            pytest.param(
                in_json(200, {"access_token": "a\r\nb"}), Reason.NOT_THE_API, id="token with a break"
            ),
            pytest.param(in_json(200, ["token"]), Reason.NOT_THE_API, id="no token"),
            pytest.param(
                Reply(307, headers={"Location": "https://gateway.example/"}), Reason.REDIRECTED, id="redirect"
            ),
        ],
    )
    def test_no_token(self, world: World, reply: Reply, reason: Reason) -> None:
        account = azure_account()
        world.on("login.microsoftonline.com", f"/{accounts.TENANT}/oauth2/v2.0/token", reply)
        assert asked(world, account).reason is reason
        assert len(world.asked) == 1

    def test_role_missing_on_the_resource(self, world: World) -> None:
        account = azure_account()
        serve_entra(world, account)
        denied = in_json(401, {"error": {"code": "PermissionDenied", "message": "lacks the data action"}})
        world.on(account.host, account.path, denied)
        assert asked(world, account).reason is Reason.MISSING_PERMISSION


class TestServiceAccounts:
    @pytest.mark.parametrize("kind", ["vertex", "vertex_anthropic"])
    @pytest.mark.parametrize("location", ["global", "eu", "europe-west1"])
    def test_token_only_to_the_api_of_the_location(
        self, world: World, keys: GoogleKeys, kind: str, location: str
    ) -> None:
        account = vertex_account(kind, keys, location)
        serve_vertex(world, account, keys)
        assert asked(world, account).reason is Reason.LISTED
        token, listing = world.asked
        assert (token.host, listing.host) == ("oauth2.googleapis.com", account.host)
        assert listing.target == f"{account.path}?pageSize=1"
        assert MINTED_TOKEN not in f"{token}"

    def test_wrong_key(self, world: World, keys: GoogleKeys) -> None:
        account = vertex_account("vertex", keys)
        serve_vertex(world, account, keys)
        outcome = asked(world, account, account.wrong)
        assert (outcome.verdict, outcome.reason) == (Verdict.CREDENTIAL_REJECTED, Reason.BAD_KEY)
        assert outcome.http_status_code == 400

    @pytest.mark.parametrize(
        ("reply", "reason", "verdict"),
        [
            pytest.param(
                google_error(403, "PERMISSION_DENIED", reason="IAM_PERMISSION_DENIED"),
                Reason.MISSING_PERMISSION,
                Verdict.SUCCEEDED,
                id="missing permission",
            ),
            pytest.param(
                google_error(403, "PERMISSION_DENIED", reason="SERVICE_DISABLED"),
                Reason.API_DISABLED,
                Verdict.UNREACHABLE,
                id="API disabled",
            ),
            pytest.param(
                google_error(403, "PERMISSION_DENIED", reason="BILLING_DISABLED"),
                Reason.NO_FUNDS,
                Verdict.RATE_LIMITED,
                id="no billing",
            ),
            pytest.param(
                google_error(404, "NOT_FOUND"), Reason.WRONG_REGION, Verdict.UNREACHABLE, id="bad location"
            ),
            pytest.param(
                google_error(429, "RESOURCE_EXHAUSTED"), Reason.RATE_LIMITED, Verdict.RATE_LIMITED, id="quota"
            ),
        ],
    )
    def test_errors_of_the_api(
        self, world: World, keys: GoogleKeys, reply: Reply, reason: Reason, verdict: Verdict
    ) -> None:
        account = vertex_account("vertex", keys)
        serve_vertex(world, account, keys, reply)
        outcome = asked(world, account)
        assert (outcome.reason, outcome.verdict) == (reason, verdict)

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            pytest.param(
                in_json(400, {"error": "invalid_grant", "error_description": "account not found"}),
                Reason.BAD_KEY,
                id="deleted account",
            ),
            pytest.param(in_json(401, {"error": "invalid_client"}), Reason.BAD_KEY, id="invalid_client"),
            pytest.param(
                in_json(
                    400,
                    {
                        "error": "invalid_grant",
                        "error_description": "Invalid JWT: Token must be a short-lived token (60 minutes) "
                        "and in a reasonable timeframe. Check your iat and exp values.",
                    },
                ),
                Reason.CLOCK_SKEW,
                id="clock",
            ),
            pytest.param(Reply(500), Reason.UPSTREAM_FAULT, id="fault"),
        ],
    )
    def test_no_token(self, world: World, keys: GoogleKeys, reply: Reply, reason: Reason) -> None:
        world.on("oauth2.googleapis.com", "/token", reply)
        assert asked(world, vertex_account("vertex", keys)).reason is reason
        assert len(world.asked) == 1

    def test_assertion_of_a_wrong_clock(self, world: World, keys: GoogleKeys) -> None:
        serve_google_token(world, keys)
        account = vertex_account("vertex", keys)
        outcome = probe(
            account.target, account.good, guard=world.guard(), now=lambda: now() + timedelta(days=1)
        )
        assert outcome.verdict is Verdict.CREDENTIAL_REJECTED

    @pytest.mark.parametrize(
        "text", ["not PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
    )
    def test_key_that_cannot_sign(self, world: World, keys: GoogleKeys, text: str) -> None:
        account = vertex_account("vertex", keys)
        broken = Identity(account.good.type, {**account.good.fields, "private_key": text})
        assert asked(world, account, broken).reason is Reason.MALFORMED_KEY
        assert world.asked == []

    @pytest.mark.parametrize("algorithm", ["ec", "ed25519"])
    def test_key_of_another_algorithm(self, world: World, keys: GoogleKeys, algorithm: str) -> None:
        account = vertex_account("vertex", keys)
        other = Identity(
            account.good.type, {**account.good.fields, "private_key": accounts.other_key(algorithm)}
        )
        assert asked(world, account, other).reason is Reason.MALFORMED_KEY
