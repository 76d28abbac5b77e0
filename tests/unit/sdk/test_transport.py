"""The transport attaches the key to the provider's destinations, and to nothing else, on every hop."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from codevector_providers import (
    AsyncCredentialTransport,
    Credential,
    CredentialCorrupt,
    CredentialTransport,
    CredentialType,
    DestinationRefused,
    ProviderKind,
    RoutingProvider,
    SignerRequired,
)
from codevector_providers.destinations import permitted
from codevector_providers.transport import AsyncGuardedTransport, GuardedTransport

from sdk.examples.upstream import MODEL, Upstream
from tests.support.doubles.loopback import Recorder, listening

KEY = "sk-canary-0123456789abcdef"


def provider(
    base_url: str,
    kind: ProviderKind = ProviderKind.OPENAI_COMPATIBLE,
    *,
    headers: dict[str, str] | None = None,
    **config: str,
) -> RoutingProvider:
    setting = "endpoint" if kind is ProviderKind.AZURE else "base_url"
    if kind is ProviderKind.BEDROCK:
        setting = "endpoint_url"
        config = {"region": "eu-west-1", **config}
    return RoutingProvider(
        name="providers/p",
        uid="02020202-0202-0202-0202-020202020202",
        kind=kind,
        display_name="P",
        config={setting: base_url, **config},
        headers=headers or {},
        credential_type=CredentialType.API_KEY,
        credential_version=1,
        labels={},
    )


def credential(
    of: RoutingProvider, credential_type: CredentialType = CredentialType.API_KEY, *, key: str = KEY
) -> Credential:
    return Credential(
        provider=of.name,
        credential_type=credential_type,
        version=1,
        destinations=permitted(of, allow_loopback_http=True),
        fields={"api_key": key},
    )


def transport(of: RoutingProvider) -> CredentialTransport:
    return CredentialTransport(of, credential(of), allow_loopback_http=True)


def openai_client(base_url: str, http: httpx.Client) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=base_url,
        api_key="unused",
        http_client=http,  # type: ignore[arg-type] # typed for httpx2, takes httpx as well
    )


@pytest.fixture
def upstream() -> Iterator[Recorder]:
    with listening(Recorder()) as recorder:
        yield recorder


@pytest.fixture
def canary() -> Iterator[Recorder]:
    with listening(Recorder()) as recorder:
        yield recorder


class TestSchemes:
    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            (ProviderKind.OPENAI, {"authorization": f"Bearer {KEY}"}),
            (ProviderKind.GROQ, {"authorization": f"Bearer {KEY}"}),
            (ProviderKind.COHERE, {"authorization": f"Bearer {KEY}"}),
            (ProviderKind.DEEPSEEK, {"authorization": f"Bearer {KEY}"}),
            (ProviderKind.MOONSHOT, {"authorization": f"Bearer {KEY}"}),
            (ProviderKind.OPENAI_COMPATIBLE, {"authorization": f"Bearer {KEY}"}),
            (ProviderKind.BEDROCK, {"authorization": f"Bearer {KEY}"}),
            (ProviderKind.ANTHROPIC, {"x-api-key": KEY, "anthropic-version": "2023-06-01"}),
            (ProviderKind.AZURE, {"api-key": KEY}),
            (ProviderKind.GOOGLE, {"x-goog-api-key": KEY}),
        ],
    )
    def test_of_kind(self, upstream: Recorder, kind: ProviderKind, expected: dict[str, str]) -> None:
        """Placeholders of the calling library are gone, the kind's own header is there, once."""
        placeholders = {
            "Authorization": "Bearer unused",
            "x-api-key": "unused",
            "api-key": "unused",
            "x-goog-api-key": "unused",
        }
        with httpx.Client(transport=transport(provider(upstream.url, kind)), trust_env=False) as client:
            assert client.post(f"{upstream.url}/v1/x", headers=placeholders, content=b"{}").is_success
        (seen,) = upstream.seen
        auth = {name: value for name, value in seen.headers.items() if name in expected or "unused" in value}
        assert auth == expected

    def test_anthropic_version_of_the_caller_stays(self, upstream: Recorder) -> None:
        of = provider(upstream.url, ProviderKind.ANTHROPIC)
        with httpx.Client(transport=transport(of)) as client:
            client.get(upstream.url, headers={"anthropic-version": "2024-01-01"})
        assert upstream.seen[0].headers["anthropic-version"] == "2024-01-01"

    def test_settings_become_headers(self, upstream: Recorder) -> None:
        openai_provider = provider(upstream.url, ProviderKind.OPENAI, organization="org-1", project="proj_1")
        compatible = provider(upstream.url, headers={"X-Tenant": "blue"})
        anthropic = provider(upstream.url, ProviderKind.ANTHROPIC, api_version="2025-01-01")
        for of in (openai_provider, compatible, anthropic):
            with httpx.Client(transport=transport(of)) as client:
                client.get(upstream.url)
        first, second, third = (seen.headers for seen in upstream.seen)
        assert (first["openai-organization"], first["openai-project"]) == ("org-1", "proj_1")
        assert second["x-tenant"] == "blue"
        assert third["anthropic-version"] == "2025-01-01"

    def test_without_credential(self, upstream: Recorder) -> None:
        """A provider that needs no key: nothing is attached, and placeholders still go nowhere."""
        of = provider(upstream.url)
        bare = CredentialTransport(of, None, allow_loopback_http=True)
        with httpx.Client(transport=bare) as client:
            client.get(upstream.url, headers={"Authorization": "Bearer unused"})
            with pytest.raises(DestinationRefused):
                client.get("http://127.0.0.1:9/")
        assert upstream.auth_headers_seen == []

    @pytest.mark.parametrize(
        "credential_type",
        [
            CredentialType.AWS_ACCESS_KEY,
            CredentialType.AZURE_CLIENT_SECRET,
            CredentialType.GCP_SERVICE_ACCOUNT_KEY,
            CredentialType.AMBIENT,
        ],
    )
    def test_what_signs_is_not_sent(self, credential_type: CredentialType) -> None:
        of = provider("https://gw.example")
        with pytest.raises(SignerRequired, match="upstream's own library") as caught:
            CredentialTransport(of, credential(of, credential_type))
        assert KEY not in str(caught.value)

    @pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY} ", f"{KEY}\u00e9", ""], ids=ascii)
    def test_a_key_that_is_no_header_value_gets_into_no_error(self, key: str) -> None:
        """Only somebody past the registry's rules can have sealed it; the HTTP library would quote it."""
        of = provider("https://gw.example")
        with pytest.raises(CredentialCorrupt) as caught:
            CredentialTransport(of, credential(of, key=key))
        assert KEY not in repr(caught.value)

    @pytest.mark.parametrize(
        "name",
        [
            "Host",
            "authorization",
            "X-Forwarded-Host",
            "Proxy-Connection",
            "Content-Length",
            "Cookie",
            "X-Original-URL",
            "Helicone-Target-Url",
            "x-portkey-custom-host",
        ],
    )
    def test_configured_headers_that_steer(self, name: str) -> None:
        of = provider("https://gw.example", headers={name: "x"})
        with pytest.raises(DestinationRefused, match="may not be configured"):
            transport(of)

    def test_configured_headers_with_a_line_break(self) -> None:
        """Written past the registry; the HTTP library would refuse it in a frame that holds the key."""
        of = provider("https://gw.example", headers={"X-Team": "a\r\nX-Other: b"})
        with pytest.raises(DestinationRefused, match="'x-team' whose value is not printable ASCII"):
            transport(of)


class TestWhatOthersCouldRead:
    @pytest.mark.parametrize("made", [GuardedTransport, AsyncGuardedTransport])
    def test_no_tls_secret_is_written_down(
        self, made: type[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secrets"))
        assert ssl.create_default_context().keylog_filename
        context: ssl.SSLContext = made(None)._inner._pool._ssl_context
        assert context.keylog_filename is None

    def test_a_key_that_a_response_repeats_is_not_logged(
        self, upstream: Recorder, caplog: pytest.LogCaptureFixture
    ) -> None:
        upstream.echo = True
        with (
            caplog.at_level(logging.DEBUG),
            httpx.Client(transport=transport(provider(upstream.url)), trust_env=False) as http,
        ):
            assert http.get(upstream.url).headers["x-echo"] == f"Bearer {KEY}"
        assert any(record.name == "httpcore.http11" for record in caplog.records)
        assert KEY not in caplog.text


class TestOtherDestinations:
    def test_are_refused_before_a_connection_is_made(self, upstream: Recorder, canary: Recorder) -> None:
        with httpx.Client(transport=transport(provider(f"{upstream.url}/t1/v1"))) as client:
            for url in (
                canary.url,
                f"{upstream.url}/t2/v1",
                f"{upstream.url}/t1/v10",
                f"{upstream.url}/t1/v1/%2e%2e/%2e%2e/t2",
                f"http://localhost:{upstream.port}/t1/v1",
                f"http://[::1]:{upstream.port}/t1/v1",
                f"https://127.0.0.1:{upstream.port}/t1/v1",
                f"http://x:y@127.0.0.1:{upstream.port}/t1/v1",
            ):
                with pytest.raises(DestinationRefused):
                    client.get(url)
        assert upstream.seen == []
        assert canary.seen == []

    @pytest.mark.parametrize(
        "extensions",
        [
            pytest.param({"target": b"http://127.0.0.1:9/t2"}, id="target"),
            pytest.param({"sni_hostname": "evil.example"}, id="server name"),
        ],
    )
    def test_extensions_that_steer(self, upstream: Recorder, extensions: dict[str, object]) -> None:
        with (
            httpx.Client(transport=transport(provider(upstream.url))) as client,
            pytest.raises(DestinationRefused, match="two ways"),
        ):
            client.get(upstream.url, extensions=extensions)
        assert upstream.seen == []

    def test_host_header_of_another_tenant(self, upstream: Recorder) -> None:
        with (
            httpx.Client(transport=transport(provider(upstream.url))) as client,
            pytest.raises(DestinationRefused, match="Host header"),
        ):
            client.get(upstream.url, headers={"Host": "tenant-b.example"})
        assert upstream.seen == []

    def test_message_tells_where_but_never_the_key(self, upstream: Recorder) -> None:
        with (
            httpx.Client(transport=transport(provider(upstream.url))) as client,
            pytest.raises(DestinationRefused, match=upstream.url) as caught,
        ):
            client.get("http://127.0.0.1:9/", headers={"Authorization": "Bearer unused"})
        assert KEY not in f"{caught.value!r}{caught.value.metadata}"


class TestRedirects:
    def test_to_another_port_carry_nothing(self, canary: Recorder) -> None:
        """A 307 keeps method, body and headers: the hop is refused before it leaves."""
        with listening(Recorder(redirect_to=f"{canary.url}/steal")) as upstream:
            for kind in (ProviderKind.OPENAI_COMPATIBLE, ProviderKind.ANTHROPIC, ProviderKind.GOOGLE):
                of = provider(upstream.url, kind)
                with (
                    httpx.Client(transport=transport(of), follow_redirects=True) as client,
                    pytest.raises(DestinationRefused),
                ):
                    client.post(f"{upstream.url}/v1/x", content=b"{}")
            assert len(upstream.seen) == 3
        assert canary.seen == []

    def test_to_another_name_of_the_same_server_are_refused(self) -> None:
        redirecting = Recorder()
        with listening(redirecting):
            redirecting.redirect_to = f"http://localhost:{redirecting.port}/"
            with (
                httpx.Client(transport=transport(provider(redirecting.url)), follow_redirects=True) as client,
                pytest.raises(DestinationRefused),
            ):
                client.get(redirecting.url)
        assert len(redirecting.seen) == 1

    def test_out_of_the_path_are_refused(self) -> None:
        redirecting = Recorder(redirect_to="/t2/v1")
        with (
            listening(redirecting),
            httpx.Client(
                transport=transport(provider(f"{redirecting.url}/t1/v1")), follow_redirects=True
            ) as client,
            pytest.raises(DestinationRefused),
        ):
            client.get(f"{redirecting.url}/t1/v1/x")
        assert len(redirecting.seen) == 1

    def test_the_key_is_not_in_the_callers_request(self, canary: Recorder) -> None:
        """Else a client that follows a redirect by other means would carry it along."""
        with (
            listening(Recorder(redirect_to=canary.url)) as upstream,
            httpx.Client(transport=transport(provider(upstream.url))) as client,
        ):
            response = client.get(upstream.url)
            assert response.next_request is not None
            assert KEY not in str(response.request.headers.raw)
            assert KEY not in str(response.next_request.headers.raw)
            with httpx.Client(trust_env=False) as other:
                other.send(response.next_request)
        assert canary.auth_headers_seen == []

    def test_openai_client_does_not_leak_either(self, canary: Recorder) -> None:
        with listening(Recorder(redirect_to=f"{canary.url}/steal")) as upstream:
            of = provider(f"{upstream.url}/v1")
            with httpx.Client(transport=transport(of), follow_redirects=True) as http:
                client = openai_client(f"{upstream.url}/v1", http)
                with pytest.raises(DestinationRefused):
                    client.models.list()
        assert canary.seen == []


class TestAsync:
    def test_attaches_and_refuses(self, upstream: Recorder, canary: Recorder) -> None:
        of = provider(f"{upstream.url}/v1")
        guarded = AsyncCredentialTransport(of, credential(of), allow_loopback_http=True)

        async def run() -> None:
            async with httpx.AsyncClient(transport=guarded, follow_redirects=True) as client:
                await client.get(f"{upstream.url}/v1/models", headers={"x-api-key": "unused"})
                upstream.redirect_to = canary.url
                with pytest.raises(DestinationRefused):
                    await client.get(f"{upstream.url}/v1/models")
                with pytest.raises(DestinationRefused):
                    await client.get(canary.url)

        asyncio.run(run())
        assert upstream.seen[0].headers["authorization"] == f"Bearer {KEY}"
        assert "x-api-key" not in upstream.seen[0].headers
        assert canary.seen == []


class TestRealOpenAiClient:
    @pytest.fixture
    def server(self) -> Iterator[Upstream]:
        with Upstream(0, KEY) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield server
            server.shutdown()
            thread.join()

    def test_chats(self, server: Upstream) -> None:
        with httpx.Client(transport=transport(provider(server.base_url)), trust_env=False) as http:
            client = openai_client(server.base_url, http)
            answer = client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "hello"}]
            )
            assert answer.choices[0].message.content == "You said: hello"
            assert [model.id for model in client.models.list()] == [MODEL]

    def test_chats_with_asyncio(self, server: Upstream) -> None:
        of = provider(server.base_url)

        async def run() -> str | None:
            guarded = AsyncCredentialTransport(of, credential(of), allow_loopback_http=True)
            async with httpx.AsyncClient(transport=guarded, trust_env=False) as http:
                client = openai.AsyncOpenAI(
                    base_url=server.base_url,
                    api_key="unused",
                    http_client=http,  # type: ignore[arg-type] # as above
                )
                answer = await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": "hello"}]
                )
                return answer.choices[0].message.content

        assert asyncio.run(run()) == "You said: hello"

    def test_is_refused_with_the_placeholder(self, server: Upstream) -> None:
        """The upstream of the tests is worth something: without the transport it answers 401."""
        with httpx.Client(trust_env=False) as http:
            client = openai_client(server.base_url, http)
            with pytest.raises(openai.AuthenticationError):
                client.models.list()

    def test_logs_at_their_most_talkative_are_clean(
        self, server: Upstream, caplog: pytest.LogCaptureFixture
    ) -> None:
        with (
            caplog.at_level(logging.DEBUG),
            httpx.Client(transport=transport(provider(server.base_url)), trust_env=False) as http,
        ):
            client = openai_client(server.base_url, http)
            client.models.list()
            with pytest.raises(openai.NotFoundError):
                client.models.retrieve("none")
        assert caplog.records
        assert KEY not in caplog.text
