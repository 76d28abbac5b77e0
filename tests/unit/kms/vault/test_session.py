"""The session against a real server, and against one that misbehaves."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kms.keyring import KeyAdminUnavailable, KeyringUnavailable
from kms.vault.access import AppRole, VaultAccess, VaultSecret
from kms.vault.session import TIMEOUT_SECONDS, AdminSession, Answer, VaultForbidden, VaultLink, VaultSession
from runtime.circuit import Circuit
from tests.support.servers.openbao import OpenBao
from tests.support.servers.vault_keyrings import vault_link

CANARY = "canary-plaintext-canary"


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@contextmanager
def answering(
    status: int, body: bytes, headers: dict[str, str] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """A server with one response; records the requested paths."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def ask(link: VaultLink) -> Answer:
    return link.request("post", "transit/encrypt/x", {"plaintext": CANARY}, VaultSecret("canary-token"))


def everything_about(error: BaseException) -> str:
    """The texts of an exception, of its causes and contexts, and of their arguments."""
    seen: list[str] = []
    current: BaseException | None = error
    while current is not None:
        seen += [str(current), repr(current), repr(vars(current))]
        current = current.__cause__ or current.__context__
    return "\n".join(seen)


class TestLink:
    @pytest.mark.parametrize(
        ("status", "body", "message"),
        [
            pytest.param(503, {"errors": ["Vault is sealed"]}, "Vault is sealed", id="sealed"),
            pytest.param(503, {"errors": ["node not active"]}, "server error", id="unavailable"),
            pytest.param(500, {"errors": [CANARY]}, "server error", id="internal error"),
            pytest.param(502, None, "server error", id="proxy"),
            pytest.param(
                429,
                {"errors": ["rate limit quota exceeded"]},
                "limits the rate",
                id="throttled",
            ),
            pytest.param(472, {}, "standby", id="recovery standby"),
            pytest.param(473, {}, "standby", id="performance standby"),
            pytest.param(307, {}, "standby", id="redirect"),
        ],
    )
    def test_a_server_that_cannot_serve(
        self, stack: ExitStack, status: int, body: object, message: str
    ) -> None:
        octets = b"" if body is None else json.dumps(body).encode()
        with answering(status, octets, {"Location": "http://127.0.0.1:1/"}) as (address, asked):
            with pytest.raises(KeyringUnavailable, match=message) as refused:
                ask(vault_link(stack, address))
            assert len(asked) == 1
        assert "canary" not in everything_about(refused.value)
        assert refused.value.__context__ is None

    @pytest.mark.parametrize("body", [b"<html>canary</html>", b'{"data": ', b"\xff"])
    def test_what_is_not_json(self, stack: ExitStack, body: bytes) -> None:
        with answering(200, body) as (address, _), pytest.raises(KeyringUnavailable) as refused:
            ask(vault_link(stack, address))
        assert "canary" not in everything_about(refused.value)
        assert refused.value.__context__ is None

    @pytest.mark.parametrize(
        "answer",
        [b"", b'HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{"data": "canary'],
        ids=["before the answer", "in the middle of it"],
    )
    def test_a_connection_that_breaks(self, stack: ExitStack, answer: bytes) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def break_off() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

            thread = threading.Thread(target=break_off)
            thread.start()
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with pytest.raises(KeyringUnavailable, match="cannot be reached") as refused:
                ask(vault_link(stack, address))
            thread.join()
        assert "canary" not in everything_about(refused.value)
        assert refused.value.__context__ is None

    def test_a_refused_connection(self, stack: ExitStack) -> None:
        with pytest.raises(KeyringUnavailable, match="cannot be reached") as refused:
            ask(vault_link(stack, "http://127.0.0.1:1"))
        assert "canary" not in everything_about(refused.value)
        assert refused.value.__context__ is None

    def test_no_answer(self, stack: ExitStack, openbao: OpenBao) -> None:
        link = vault_link(stack, openbao.address, timeout_seconds=TIMEOUT_SECONDS)
        with openbao.hung(), pytest.raises(KeyringUnavailable, match="did not answer within 2 s") as refused:
            ask(link)
        assert "canary" not in everything_about(refused.value)
        assert refused.value.__context__ is None

    def test_a_server_that_is_away_is_not_waited_for_each_time(self, stack: ExitStack) -> None:
        circuit = Circuit(monotonic=Time())
        link = VaultLink(VaultAccess("http://127.0.0.1:1", VaultSecret("")), circuit)
        stack.callback(link.close)
        messages = []
        for _ in range(3):
            with pytest.raises(KeyringUnavailable) as refused:
                ask(link)
            messages.append(refused.value.message)
        assert messages == ["Vault cannot be reached", *["Vault did not answer a moment ago"] * 2]

    def test_proxies_and_netrc_of_the_environment_are_not_used(
        self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".vault-token").write_text("another token")
        with answering(200, b"{}") as (address, asked):
            assert ask(vault_link(stack, address)).status == 200
        assert asked == ["/v1/transit/encrypt/x"]

    def test_an_answer_prints_as_its_status(self) -> None:
        assert repr(Answer(200, {"data": {"plaintext": CANARY}})) == "Answer(200)"


class TestAppRole:
    @pytest.fixture
    def time(self) -> Time:
        return Time()

    @pytest.fixture
    def session(self, stack: ExitStack, openbao: OpenBao, time: Time) -> VaultSession:
        role = openbao.app_role(openbao.policy("sidecar", openbao.transit_key()), ttl="60s", max_ttl="150s")
        return VaultSession(vault_link(stack, openbao.address), role, monotonic=time)

    def accessor(self, session: VaultSession) -> str:
        accessor: str = session.request("get", "auth/token/lookup-self").data["accessor"]
        return accessor

    def test_logs_in_once_for_many_requests(self, session: VaultSession) -> None:
        assert len({self.accessor(session) for _ in range(5)}) == 1

    def test_renews_at_two_thirds_and_not_before(
        self, session: VaultSession, time: Time, openbao: OpenBao
    ) -> None:
        first = self.accessor(session)
        time.now += 39.9
        assert session.request("get", "auth/token/lookup-self").data.get("last_renewal") is None
        time.now += 0.2
        renewed = session.request("get", "auth/token/lookup-self").data
        assert renewed["last_renewal"] is not None
        assert renewed["accessor"] == first

    def test_logs_in_anew_where_it_was_revoked(
        self, session: VaultSession, time: Time, openbao: OpenBao
    ) -> None:
        first = self.accessor(session)
        openbao.api("post", "auth/token/revoke-accessor", {"accessor": first})
        time.now += 30
        assert self.accessor(session) != first

    def test_logs_in_anew_where_it_has_ended_when_it_comes_to_renewing(
        self, session: VaultSession, time: Time, openbao: OpenBao
    ) -> None:
        first = self.accessor(session)
        openbao.api("post", "auth/token/revoke-accessor", {"accessor": first})
        time.now += 3600
        assert self.accessor(session) != first
        assert session.complaint == ""

    def test_what_it_may_not_do_is_forbidden_without_a_storm_of_logins(
        self, session: VaultSession, openbao: OpenBao
    ) -> None:
        before = openbao.audit_log.count("auth/approle/login")
        for _ in range(5):
            with pytest.raises(VaultForbidden):
                session.request("post", "transit/keys/another/rotate", {})
        assert openbao.audit_log.count("auth/approle/login") - before <= 2, "one login: question and answer"

    def test_a_wrong_secret_id_is_forbidden(self, stack: ExitStack, openbao: OpenBao) -> None:
        role = openbao.app_role(openbao.policy("sidecar", openbao.transit_key()))
        wrong = AppRole(role.role_id, VaultSecret("canary-secret"))
        session = VaultSession(vault_link(stack, openbao.address), wrong, monotonic=Time())
        with pytest.raises(VaultForbidden) as refused:
            session.request("get", "auth/token/lookup-self")
        assert "canary" not in everything_about(refused.value)

    def test_a_token_near_its_last_end_is_replaced(
        self, stack: ExitStack, openbao: OpenBao, time: Time
    ) -> None:
        """Renewals get shorter near token_max_ttl: here 2 s after 60."""
        policy = openbao.policy("sidecar", openbao.transit_key())
        role = openbao.app_role(policy, ttl="60s", max_ttl="60s")
        session = VaultSession(vault_link(stack, openbao.address), role, monotonic=time)
        first = self.accessor(session)
        openbao.api("post", f"auth/approle/role/{policy}", {"token_ttl": "2s", "token_max_ttl": "2s"})
        time.now += 41
        assert self.accessor(session) != first

    def test_many_threads_share_one_login(self, session: VaultSession) -> None:
        found: list[str] = []
        threads = [threading.Thread(target=lambda: found.append(self.accessor(session))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1


class TestToken:
    def test_is_renewed_and_warns_where_that_is_over(self, stack: ExitStack, openbao: OpenBao) -> None:
        time = Time()
        token = openbao.token(openbao.policy("sidecar", openbao.transit_key()), ttl="60s", renewable=False)
        session = VaultSession(vault_link(stack, openbao.address), token, monotonic=time)
        session.request("get", "auth/token/lookup-self")
        assert session.complaint == ""
        time.now += 41
        assert session.request("get", "auth/token/lookup-self").status == 200, "used while it lasts"
        assert "no longer renews the sidecar's token" in session.complaint

    def test_renews_while_it_may(self, stack: ExitStack, openbao: OpenBao) -> None:
        time = Time()
        token = openbao.token(openbao.policy("sidecar", openbao.transit_key()), ttl="60s")
        session = VaultSession(vault_link(stack, openbao.address), token, monotonic=time)
        session.request("get", "auth/token/lookup-self")
        time.now += 41
        assert session.request("get", "auth/token/lookup-self").data["last_renewal"] is not None
        assert session.complaint == ""

    def test_an_ended_one_is_forbidden(self, stack: ExitStack, openbao: OpenBao) -> None:
        session = VaultSession(vault_link(stack, openbao.address), VaultSecret("s.canary"), monotonic=Time())
        with pytest.raises(VaultForbidden) as refused:
            session.request("get", "auth/token/lookup-self")
        assert "canary" not in everything_about(refused.value)


class TestAdmin:
    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda file: file.unlink(), id="missing"),
            pytest.param(lambda file: file.write_text(" \n"), id="empty"),
            pytest.param(lambda file: file.chmod(0o644), id="open to others"),
            pytest.param(lambda file: file.write_bytes(b"\xff"), id="no text"),
        ],
    )
    def test_a_token_file_that_cannot_be_used(
        self, stack: ExitStack, tmp_path: Path, spoil: Callable[[Path], object]
    ) -> None:
        file = tmp_path / "token"
        file.touch(mode=0o600)
        file.write_text("s.token")
        spoil(file)
        with pytest.raises(KeyAdminUnavailable, match="missing, empty or not private"):
            AdminSession(vault_link(stack, "http://127.0.0.1:1"), file)

    def test_a_token_that_is_refused(self, stack: ExitStack, tmp_path: Path, openbao: OpenBao) -> None:
        file = tmp_path / "token"
        file.touch(mode=0o600)
        file.write_text("s.canary")
        session = AdminSession(vault_link(stack, openbao.address), file)
        with pytest.raises(KeyAdminUnavailable) as refused:
            session.request("post", "transit/keys/x/rotate", {})
        assert "canary" not in everything_about(refused.value)
