"""A base URL has one spelling, and no spelling reaches a metadata service or, unasked, a private host."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import InvalidArgument
from service.domain.urls import parse_base_url
from upstreams.addresses import AddressPolicy, Reach, host_reach

STRICT = AddressPolicy()
LOOPBACK = AddressPolicy(allow_loopback_http=True)
PRIVATE = AddressPolicy(allow_private=True)
ALL = AddressPolicy(allow_loopback_http=True, allow_private=True)
SECRET = "sk-canary0123456789abcdef"


def rule_of(text: str, policy: AddressPolicy) -> str:
    with pytest.raises(InvalidArgument) as caught:
        parse_base_url(text, policy, field="provider.config.openai.base_url")
    (violation,) = caught.value.violations
    assert violation.field == "provider.config.openai.base_url"
    assert "://" not in text or text not in caught.value.message
    return violation.rule.removeprefix("base_url.")


class TestAccepted:
    @pytest.mark.parametrize(
        ("text", "origin", "path"),
        [
            ("https://api.openai.com/v1", "https://api.openai.com", "/v1"),
            ("https://api.openai.com", "https://api.openai.com", ""),
            ("https://api.openai.com/", "https://api.openai.com", ""),
            ("https://api.openai.com/v1/", "https://api.openai.com", "/v1"),
            ("https://api.openai.com:443/v1", "https://api.openai.com", "/v1"),
            ("https://api.openai.com:8443", "https://api.openai.com:8443", ""),
            (
                "https://gateway.example.com/a-b/c_d/~e/v1.5",
                "https://gateway.example.com",
                "/a-b/c_d/~e/v1.5",
            ),
            ("https://gateway.example.com/user@x/a:b", "https://gateway.example.com", "/user@x/a:b"),
            ("https://xn--bcher-kva.example/v1", "https://xn--bcher-kva.example", "/v1"),
            ("https://8.8.8.8/v1", "https://8.8.8.8", "/v1"),
            ("https://[2606:4700::1111]:8443/v1", "https://[2606:4700::1111]:8443", "/v1"),
            ("https://a.b.c.d.e.f.example", "https://a.b.c.d.e.f.example", ""),
            ("https://1.example", "https://1.example", ""),
        ],
    )
    def test_public_https(self, text: str, origin: str, path: str) -> None:
        base_url = parse_base_url(text, STRICT, field="f")
        assert (base_url.origin, base_url.path, base_url.url) == (origin, path, origin + path)

    @pytest.mark.parametrize(
        "text",
        [
            "http://127.0.0.1:8080/v1",
            "http://[::1]:8080",
            "http://localhost:11434/v1",
            "http://api.localhost",
            "https://127.0.0.1:8443",
            "http://127.255.0.1",
        ],
    )
    def test_loopback_by_setting(self, text: str) -> None:
        assert parse_base_url(text, LOOPBACK, field="f").url == text

    @pytest.mark.parametrize(
        "text",
        [
            "https://10.1.2.3/v1",
            "https://172.31.0.1",
            "https://192.168.0.9:8443",
            "https://[fd12:3456::1]",
            "https://llm.corp",
            "https://vllm",
            "https://llm.prod.internal",
            "https://127.0.0.1",
            "https://llm.local",
        ],
    )
    def test_private_by_setting(self, text: str) -> None:
        assert parse_base_url(text, PRIVATE, field="f").url == text

    def test_the_default_port_of_http_is_left_out(self) -> None:
        assert parse_base_url("http://127.0.0.1:80/v1", LOOPBACK, field="f").url == "http://127.0.0.1/v1"


class TestRefusedForm:
    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            pytest.param("", "length", id="empty"),
            pytest.param("https://a.example/" + "a" * 2048, "length", id="too long"),
            pytest.param("api.openai.com", "form", id="no scheme"),
            pytest.param("https:api.openai.com", "form", id="no slashes"),
            pytest.param("//api.openai.com", "form", id="scheme-relative"),
            pytest.param("ftp://api.openai.com", "form", id="ftp"),
            pytest.param("file:///etc/passwd", "form", id="file"),
            pytest.param("HTTPS://api.openai.com", "form", id="scheme in capitals"),
            pytest.param(f"https://{SECRET}@a.example", "userinfo", id="user name"),
            pytest.param(f"https://user:{SECRET}@a.example/v1", "userinfo", id="user name and password"),
            pytest.param("https://a.example\\@b.example", "userinfo", id="backslash before userinfo"),
            pytest.param("https://[::1]@a.example", "userinfo", id="address as user name"),
            pytest.param(f"https://a.example/v1?key={SECRET}", "query", id="query"),
            pytest.param("https://a.example/v1?", "query", id="empty query"),
            pytest.param("https://a.example/v1#x", "query", id="fragment"),
            pytest.param("https://a.example /v1", "ascii", id="blank"),
            pytest.param("https://a.example/v1\n", "ascii", id="newline"),
            pytest.param("https://a.example/\t", "ascii", id="tab"),
            pytest.param("https://a\x00.example", "ascii", id="nul"),
            pytest.param("https://bücher.example", "ascii", id="international name"),
            pytest.param("https://a。example", "ascii", id="ideographic full stop"),
            pytest.param("https://API.openai.com", "host", id="host in capitals"),
            pytest.param("https://a.example.", "trailing_dot", id="trailing dot"),
            pytest.param("https://", "host", id="no host"),
            pytest.param("https:///v1", "host", id="no host but a path"),
            pytest.param("https://a..example", "host", id="empty label"),
            pytest.param("https://-a.example", "host", id="dash first"),
            pytest.param("https://a-.example", "host", id="dash last"),
            pytest.param("https://a_b.example", "host", id="underscore"),
            pytest.param("https://a%2eexample", "host", id="percent in host"),
            pytest.param("https://a\\b.example", "host", id="backslash in host"),
            pytest.param("https://" + "a" * 64 + ".example", "host", id="long label"),
            pytest.param("https://" + "a." * 127 + "example", "host", id="long host"),
            pytest.param("https://ab--c.example", "host", id="reserved label"),
            pytest.param("https://xn--.example", "host", id="empty A-label"),
            pytest.param("https://xn--abc-.example", "host", id="A-label without international part"),
            pytest.param("https://xn--a-ecp!.example", "host", id="punycode noise"),
            pytest.param("https://a.example:", "port", id="empty port"),
            pytest.param("https://a.example:0", "port", id="port 0"),
            pytest.param("https://a.example:65536", "port", id="port too large"),
            pytest.param("https://a.example:0443", "port", id="port with a zero"),
            pytest.param("https://a.example:+443", "port", id="port with a sign"),
            pytest.param("https://a.example:80:80", "port", id="two ports"),
            pytest.param("https://a.example//v1", "path", id="double slash"),
            pytest.param("https://a.example/v1//", "path", id="two slashes last"),
            pytest.param("https://a.example/./v1", "path", id="dot"),
            pytest.param("https://a.example/v1/..", "path", id="dot dot"),
            pytest.param("https://a.example/../v1/", "path", id="dot dot inside"),
            pytest.param("https://a.example/%2e%2e", "path", id="percent"),
            pytest.param("https://a.example/a;b", "path", id="semicolon"),
            pytest.param("https://a.example/a\\b", "path", id="backslash"),
            pytest.param("https://a.example/<a>", "path", id="angle brackets"),
        ],
    )
    def test_one_spelling_only(self, text: str, rule: str) -> None:
        assert rule_of(text, ALL) == rule

    @pytest.mark.parametrize(
        "host",
        [
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.01",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.0x4",
            "a.example.1",
            "999",
        ],
    )
    def test_numbers_are_dotted_quads(self, host: str) -> None:
        assert rule_of(f"http://{host}", ALL) == "ipv4"

    @pytest.mark.parametrize(
        "host",
        [
            "[]",
            "[::1",
            "[0:0:0:0:0:0:0:1]",
            "[::0001]",
            "[FD00::1]",
            "[fe80::1%eth0]",
            "[2606:4700::1%1]",
            "[1.2.3.4]",
            "[::ffff:1.2.3.4]",
            "[v1.a]",
        ],
    )
    def test_ipv6_is_canonical(self, host: str) -> None:
        assert rule_of(f"https://{host}", ALL) in {"ipv6", "form"}


class TestRefusedHosts:
    @pytest.mark.parametrize(
        "host",
        [
            "169.254.169.254",
            "169.254.170.2",
            "100.64.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[fd00:ec2::254]",
            "[fd20:ce::254]",
            "[::ffff:7f00:1]",
            "[::ffff:808:808]",
            "[::7f00:1]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[2001::1]",
            "[2001:db8::1]",
            "[100::1]",
            "metadata",
            "metadata.goog",
            "metadata.google.internal",
            "instance-data",
            "instance-data.ec2.internal",
            "metadata.tencentyun.com",
        ],
    )
    def test_never(self, host: str) -> None:
        assert rule_of(f"https://{host}/latest", ALL) == "host"

    @pytest.mark.parametrize(
        ("text", "policy", "rule"),
        [
            pytest.param("http://api.openai.com", ALL, "https", id="http to a public host"),
            pytest.param("http://8.8.8.8", ALL, "https", id="http to a public address"),
            pytest.param("http://10.0.0.1", ALL, "https", id="http to a private address"),
            pytest.param("http://vllm", ALL, "https", id="http to a private name"),
            pytest.param("http://127.0.0.1", PRIVATE, "https", id="http to loopback without its setting"),
            pytest.param("https://10.0.0.1", LOOPBACK, "private", id="private address"),
            pytest.param("https://[fd12::1]", STRICT, "private", id="private IPv6 address"),
            pytest.param("https://vllm", STRICT, "private", id="bare name"),
            pytest.param("https://a.svc.cluster.local", STRICT, "private", id="cluster name"),
            pytest.param("https://127.0.0.1", STRICT, "loopback", id="loopback address"),
            pytest.param("https://localhost", STRICT, "loopback", id="localhost"),
            pytest.param("http://a.localhost", STRICT, "loopback", id="name under localhost"),
            pytest.param("http://[::1]", STRICT, "loopback", id="IPv6 loopback"),
        ],
    )
    def test_without_the_setting(self, text: str, policy: AddressPolicy, rule: str) -> None:
        assert rule_of(text, policy) == rule

    @pytest.mark.parametrize(
        "host", ["172.15.0.1", "172.32.0.1", "11.0.0.1", "100.63.0.1", "[2607::1]", "a.example"]
    )
    def test_neighbours_are_public(self, host: str) -> None:
        assert host_reach(host) is Reach.PUBLIC


class TestPolicy:
    """What may be stored may be called: both ask the same policy."""

    @pytest.mark.parametrize("policy", [STRICT, LOOPBACK, PRIVATE, ALL])
    @pytest.mark.parametrize("scheme", ["http", "https"])
    @pytest.mark.parametrize(
        "host",
        [
            "a.example",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "10.0.0.1",
            "[fd12::1]",
            "a.internal",
            "169.254.169.254",
            "metadata",
        ],
    )
    def test_what_may_be_stored_may_be_called(self, policy: AddressPolicy, scheme: str, host: str) -> None:
        try:
            parse_base_url(f"{scheme}://{host}", policy, field="base_url")
            stored = True
        except InvalidArgument:
            stored = False
        assert (policy.refusal(scheme, host) is None) == stored
        assert policy.refusal(scheme, host.strip("[]")) is policy.refusal(scheme, host)


class TestProperties:
    @given(st.text(max_size=60).map(lambda s: "https://" + s) | st.text(max_size=60))
    def test_only_the_typed_error(self, text: str) -> None:
        try:
            base_url = parse_base_url(text, ALL, field="f")
        except InvalidArgument:
            return
        assert parse_base_url(base_url.url, ALL, field="f") == base_url

    @given(
        st.lists(
            st.sampled_from(
                ["a", "1", ".", "..", "/", "//", ":", "443", "@", "[", "]", "::1", "\\", "%", "x.example"]
            ),
            max_size=9,
        )
    )
    def test_another_parser_agrees(self, parts: list[str]) -> None:
        text = "https://" + "".join(parts)
        try:
            base_url = parse_base_url(text, ALL, field="f")
        except InvalidArgument:
            return
        other = urlsplit(text)
        assert other.hostname == base_url.host.strip("[]")
        assert (other.port or 443) == (base_url.port or 443)
        assert other.path.removesuffix("/") == base_url.path
        assert other.username is None
