"""A credential is in no message, exception, log line or repr, whatever happens to the call with it."""

from __future__ import annotations

import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from tests.support.doubles import upstream_accounts as accounts
from tests.support.doubles.upstream_accounts import (
    KEYED,
    Account,
    GoogleKeys,
    aws_account,
    azure_account,
    serve_bedrock,
    serve_entra,
    serve_keyed,
    serve_sts,
    serve_vertex,
    vertex_account,
)
from tests.support.doubles.upstream_servers import (
    PUBLIC_ADDRESS,
    Reply,
    World,
    in_json,
    raw_server,
    read_request,
)
from upstreams import aws, entra, service_account
from upstreams.addresses import AddressPolicy
from upstreams.authorisation import authorisation
from upstreams.exchange import Answer, Call, Exchange
from upstreams.guard import Guard, Unreached
from upstreams.listing import list_models
from upstreams.outcome import Reason
from upstreams.probe import probe
from upstreams.target import Identity, Target

ROLE = "arn:aws:iam::123456789012:role/reader"
CANARIES = (
    accounts.API_KEY,
    accounts.AWS_SECRET,
    accounts.AWS_SESSION_TOKEN,
    accounts.ROLE_SECRET,
    accounts.ROLE_TOKEN,
    accounts.CLIENT_SECRET,
    accounts.MINTED_TOKEN,
    accounts.WRONG_KEY,
    "PRIVATE KEY",
)


def assert_clean(text: str) -> None:
    assert [canary for canary in CANARIES if canary in text] == []


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All loggers, of this room's libraries too, at their most talkative."""
    with caplog.at_level(logging.DEBUG):
        for name in ("httpx", "httpcore", "botocore", "google", "urllib3"):
            caplog.set_level(logging.DEBUG, logger=name)
        yield caplog


def now() -> datetime:
    return datetime.now(UTC)


def every_account(world: World, keys: GoogleKeys) -> list[Account]:
    """All kinds with all types of credential, each with an upstream that knows it."""
    signing = aws_account(session_token=accounts.AWS_SESSION_TOKEN, role_arn=ROLE)
    serve_sts(
        world, aws.AccessKey(accounts.AWS_KEY_ID, accounts.AWS_SECRET, accounts.AWS_SESSION_TOKEN), ROLE
    )
    entra_account = azure_account()
    google = [vertex_account(kind, keys) for kind in ("vertex", "vertex_anthropic")]
    return [*KEYED.values(), signing, entra_account, *google]


def upstreams_answer(world: World, keys: GoogleKeys, account: Account, reply: Reply | None) -> None:
    match account.good.type:
        case "api_key":
            serve_keyed(world, account.target.kind, reply)
        case "aws_access_key":
            serve_bedrock(world, aws.AccessKey("ASIAROLE", accounts.ROLE_SECRET, accounts.ROLE_TOKEN), reply)
        case "azure_client_secret":
            serve_entra(world, account)
        case _:
            serve_vertex(world, account, keys, reply)


def echo(status: int) -> Reply:
    """An upstream that repeats, in header and body, whatever it was ever sent."""
    everything = " ".join(canary for canary in CANARIES)
    return in_json(
        status,
        {"error": {"message": everything, "code": everything}},
        X_Echo=everything,
        WWW_Authenticate="x",
    )


class TestOutcomes:
    @pytest.mark.parametrize("status", [200, 307, 400, 403])
    def test_say_nothing_of_it(
        self, world: World, keys: GoogleKeys, logged: pytest.LogCaptureFixture, status: int
    ) -> None:
        for account in every_account(world, keys):
            upstreams_answer(world, keys, account, echo(status))
            for identity in (account.good, account.wrong):
                outcome = probe(account.target, identity, guard=world.guard(), now=now)
                assert_clean(f"{outcome!r} {outcome} {account.target!r} {identity!r} {identity}")
            assert_clean(f"{list_models(account.target, account.good, guard=world.guard(), now=now)!r}")
        assert_clean(logged.text)
        assert_clean("".join(f"{record.__dict__}" for record in logged.records))

    def test_of_token_endpoints_say_nothing_of_it(
        self, world: World, keys: GoogleKeys, logged: pytest.LogCaptureFixture
    ) -> None:
        for path_of in (
            ("oauth2.googleapis.com", "/token"),
            ("login.microsoftonline.com", f"/{accounts.TENANT}/oauth2/v2.0/token"),
            (f"sts.{accounts.REGION}.amazonaws.com", "/"),
        ):
            world.on(*path_of, echo(400))
        for account in (azure_account(), vertex_account("vertex", keys), aws_account(role_arn=ROLE)):
            assert_clean(f"{probe(account.target, account.good, guard=world.guard(), now=now)!r}")
        assert_clean(logged.text)

    def test_of_malformed_ones_say_nothing_of_it(
        self, world: World, keys: GoogleKeys, logged: pytest.LogCaptureFixture
    ) -> None:
        """The libraries' own complaints would quote them."""
        broken: Callable[[str], str] = lambda text: f"é{text}\r\n"  # noqa: E731 - one use
        for account in every_account(world, keys):
            fields = {name: broken(value) for name, value in account.good.fields.items()}
            identity = Identity(account.good.type, fields)
            assert_clean(f"{probe(account.target, identity, guard=world.guard(), now=now)!r}")
        assert_clean(logged.text)

    def test_of_garbled_answers_say_nothing_of_it(self, logged: pytest.LogCaptureFixture) -> None:
        """What is no header is quoted by the parser's exception, and that by its library's log."""

        def repeat(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + read_request(connection) + b"\r\n")

        with raw_server(repeat) as port:
            target = Target(kind="openai_compatible", config={"base_url": f"http://127.0.0.1:{port}"})
            guard = Guard(AddressPolicy(allow_loopback_http=True))
            outcome = probe(target, KEYED["openai"].good, guard=guard, now=now)
        assert outcome.reason is Reason.NOT_THE_API
        assert_clean(f"{outcome!r}")
        assert_clean(logged.text)


class TestExceptions:
    def test_of_unanswered_calls_do_not_hold_it(
        self, world: World, keys: GoogleKeys, logged: pytest.LogCaptureFixture
    ) -> None:
        """Neither in their text, nor in what they were raised from, nor by way of a request they keep."""
        stranger = Guard(
            AddressPolicy(), resolve=lambda host, port, seconds: [PUBLIC_ADDRESS], connect=world.dial
        )
        for account in every_account(world, keys):
            upstreams_answer(world, keys, account, None)
            with Exchange(world.guard(), seconds=15) as working:
                authorise = authorisation(account.target, account.good, working, now)
            call = authorise(Call("GET", f"https://{account.host}{account.path}"))
            with Exchange(stranger, seconds=5) as exchange, pytest.raises(Unreached) as caught:
                exchange.send(call)
            error = caught.value
            assert error.__cause__ is None
            assert error.__context__ is None
            assert_clean(f"{error!r} {vars(error)} {''.join(traceback.format_exception(error))}")
        assert_clean(logged.text)


class TestReprs:
    def test_of_calls_and_answers_show_no_header_and_no_body(self, keys: GoogleKeys) -> None:
        fields = vertex_account("vertex", keys).good.fields
        assertion = service_account.assertion_call(
            client_email=fields["client_email"],
            private_key=fields["private_key"],
            private_key_id=fields["private_key_id"],
            now=now(),
        )
        key = aws.AccessKey(accounts.AWS_KEY_ID, accounts.AWS_SECRET, accounts.AWS_SESSION_TOKEN)
        secret = entra.token_call(
            "https://login.microsoftonline.com",
            "scope",
            tenant_id=accounts.TENANT,
            client_id=accounts.CLIENT,
            client_secret=accounts.CLIENT_SECRET,
        )
        role = aws.assume_role_call("https://sts", key, ROLE, region=accounts.REGION, now=now())
        bearer = Call("GET", "https://a.example/").with_headers(
            {"Authorization": f"Bearer {accounts.API_KEY}"}
        )
        answer = Answer(200, {"x": accounts.MINTED_TOKEN}, accounts.MINTED_TOKEN.encode())
        assert assertion is not None
        assert "assertion" not in repr(assertion)
        assert_clean(f"{assertion!r} {key!r} {secret!r} {role!r} {bearer!r} {answer!r}")


def test_the_search_finds_what_it_looks_for() -> None:
    for leak in (accounts.API_KEY, f"Bearer {accounts.MINTED_TOKEN}"):
        with pytest.raises(AssertionError):
            assert_clean(leak)


def test_errors_in_the_servers_own_words_are_covered() -> None:
    """What vendors say of a wrong key may repeat it: the reason why none of it is shown."""
    assert accounts.WRONG_KEY.encode() in accounts.OPENAI_BAD_KEY.body
