"""Where credentials may go, as a router derives it."""

from __future__ import annotations

import pytest
from codevector_providers.destinations import (
    Destination,
    Role,
    base_url,
    derive,
    parse_allowed,
    permitted,
)
from codevector_providers.errors import DestinationRefused
from codevector_providers.model import CredentialType, ProviderKind, RoutingProvider

from tests.support.values import kind_vectors

K = ProviderKind
T = CredentialType


def provider(
    kind: ProviderKind,
    credential_type: CredentialType = T.API_KEY,
    **config: str,
) -> RoutingProvider:
    return RoutingProvider(
        name="providers/p",
        uid="02020202-0202-0202-0202-020202020202",
        kind=kind,
        display_name="P",
        config=config,
        headers={},
        credential_type=credential_type,
        credential_version=1,
        labels={},
    )


VERTEX = {"project_id": "my-project", "location": "europe-west4"}
CASES = [
    (provider(K.OPENAI), ["api https://api.openai.com"]),
    (provider(K.ANTHROPIC), ["api https://api.anthropic.com"]),
    (provider(K.GOOGLE), ["api https://generativelanguage.googleapis.com"]),
    (provider(K.GROQ), ["api https://api.groq.com"]),
    (provider(K.COHERE), ["api https://api.cohere.com"]),
    (provider(K.DEEPSEEK), ["api https://api.deepseek.com"]),
    (provider(K.MOONSHOT), ["api https://api.moonshot.ai"]),
    (provider(K.OPENAI, base_url="https://gw.example.com/t1/v1"), ["api https://gw.example.com/t1/v1"]),
    (provider(K.OPENAI_COMPATIBLE, base_url="https://h.example:8443"), ["api https://h.example:8443"]),
    (provider(K.OPENAI_COMPATIBLE, base_url="http://127.0.0.1:8099/v1"), ["api http://127.0.0.1:8099/v1"]),
    (provider(K.AZURE, endpoint="https://r.openai.azure.com"), ["api https://r.openai.azure.com"]),
    (
        provider(K.AZURE, T.AZURE_CLIENT_SECRET, endpoint="https://r.openai.azure.com/x"),
        ["api https://r.openai.azure.com/x", "token https://login.microsoftonline.com"],
    ),
    (
        provider(K.AZURE, T.AMBIENT, endpoint="https://r.openai.azure.us"),
        ["api https://r.openai.azure.us", "token https://login.microsoftonline.us"],
    ),
    (
        provider(K.AZURE, T.AZURE_CLIENT_SECRET, endpoint="https://r.openai.azure.cn"),
        ["api https://r.openai.azure.cn", "token https://login.partner.microsoftonline.cn"],
    ),
    (
        provider(K.BEDROCK, T.AWS_ACCESS_KEY, region="eu-central-1"),
        [
            "api https://bedrock-runtime.eu-central-1.amazonaws.com",
            "control https://bedrock.eu-central-1.amazonaws.com",
            "token https://sts.eu-central-1.amazonaws.com",
        ],
    ),
    (
        provider(K.BEDROCK, region="us-gov-west-1", endpoint_url="https://vpce.example"),
        [
            "api https://vpce.example",
            "control https://bedrock.us-gov-west-1.amazonaws.com",
            "token https://sts.us-gov-west-1.amazonaws.com",
        ],
    ),
    (
        provider(K.VERTEX, T.GCP_SERVICE_ACCOUNT_KEY, **VERTEX),
        ["api https://europe-west4-aiplatform.googleapis.com", "token https://oauth2.googleapis.com"],
    ),
    (
        provider(K.VERTEX_ANTHROPIC, T.AMBIENT, **{**VERTEX, "location": "global"}),
        ["api https://aiplatform.googleapis.com", "token https://oauth2.googleapis.com"],
    ),
    (
        provider(K.VERTEX, T.AMBIENT, **{**VERTEX, "location": "eu"}),
        ["api https://aiplatform.eu.rep.googleapis.com", "token https://oauth2.googleapis.com"],
    ),
]


class TestDerive:
    @pytest.mark.parametrize(("of", "items"), CASES, ids=lambda value: getattr(value, "kind", None))
    def test_by_kind(self, of: RoutingProvider, items: list[str]) -> None:
        assert [destination.item for destination in derive(of)] == items

    @pytest.mark.parametrize("case", kind_vectors.CASES, ids=lambda case: case.items[0])
    def test_what_every_implementation_derives(self, case: kind_vectors.Case) -> None:
        of = provider(ProviderKind(case.kind), CredentialType(case.credential_type), **case.config)
        assert tuple(destination.item for destination in derive(of)) == case.items

    @pytest.mark.parametrize("kind", kind_vectors.KINDS, ids=lambda kind: kind.kind)
    def test_kinds_and_their_defaults_are_known(self, kind: kind_vectors.KindVector) -> None:
        assert ProviderKind(kind.number).name.lower() == kind.kind
        assert {CredentialType(number).name.lower() for number in kind.credential_types.values()} == set(
            kind.credential_types
        )
        if kind.default_base_url:
            assert base_url(provider(ProviderKind(kind.number))) == kind.default_base_url

    @pytest.mark.parametrize(("host", "reach"), kind_vectors.HOSTS.items())
    def test_this_machine_is_told_by_its_spelling(self, host: str, reach: str) -> None:
        (destination,) = derive(provider(K.OPENAI_COMPATIBLE, base_url=f"https://{host}"))
        assert destination.is_loopback == (reach == "loopback")

    @pytest.mark.parametrize(
        "of",
        [
            pytest.param(provider(K.UNSPECIFIED), id="unknown kind"),
            pytest.param(provider(K.OPENAI_COMPATIBLE), id="no base url"),
            pytest.param(provider(K.AZURE), id="no endpoint"),
            pytest.param(provider(K.BEDROCK), id="no region"),
            pytest.param(provider(K.BEDROCK, region="x.evil.example/"), id="host in region"),
            pytest.param(provider(K.VERTEX, location="evil.example/"), id="host in location"),
            pytest.param(provider(K.OPENAI, base_url="https://a@evil.example"), id="userinfo"),
            pytest.param(provider(K.OPENAI, base_url="https://A.example"), id="upper case"),
            pytest.param(provider(K.OPENAI, base_url="ftp://a.example"), id="other scheme"),
            pytest.param(provider(K.OPENAI, base_url="https://a.example/v1?x"), id="query"),
            pytest.param(provider(K.OPENAI, base_url="https://a.example/x/../y"), id="dot segments"),
            pytest.param(provider(K.OPENAI, base_url="https://a.example/%2e%2e"), id="escapes"),
            pytest.param(provider(K.OPENAI, base_url="https://a.example\\@evil.example"), id="backslash"),
            pytest.param(provider(K.OPENAI, base_url="https://a.example/v1\n"), id="line feed"),
            pytest.param(provider(K.OPENAI, base_url="https://ä.example"), id="not ASCII"),
        ],
    )
    def test_settings_that_lead_nowhere(self, of: RoutingProvider) -> None:
        with pytest.raises(DestinationRefused):
            derive(of)

    @pytest.mark.parametrize(
        ("url", "item"),
        [
            ("https://a.example:443/", "api https://a.example"),
            ("http://[::1]:80/v1/", "api http://[::1]/v1"),
            ("https://a.example:80", "api https://a.example:80"),
        ],
    )
    def test_canonical_item(self, url: str, item: str) -> None:
        assert Destination.parse(Role.API, url, with_path=True).item == item


class TestBaseUrl:
    @pytest.mark.parametrize(
        ("of", "url"),
        [
            (provider(K.OPENAI), "https://api.openai.com/v1"),
            (provider(K.OPENAI, base_url="https://gw.example/v9"), "https://gw.example/v9"),
            (provider(K.AZURE, endpoint="https://r.openai.azure.com"), "https://r.openai.azure.com"),
            (provider(K.BEDROCK, region="eu-west-1"), "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ],
    )
    def test_of_provider(self, of: RoutingProvider, url: str) -> None:
        assert base_url(of) == url


class TestCovers:
    PREFIX = Destination(Role.API, "https", "gw.example", 443, "/tenant-a/v1")

    @pytest.mark.parametrize(
        ("path", "covered"),
        [
            ("/tenant-a/v1", True),
            ("/tenant-a/v1/", True),
            ("/tenant-a/v1/chat/completions", True),
            ("/tenant-a/v1/models/a%2Fb", True),
            ("/tenant-a/v10", False),
            ("/tenant-a", False),
            ("/tenant-b/v1", False),
            ("/tenant-a/v1/../../tenant-b", False),
            ("/tenant-a/v1/%2e%2e/%2E%2E/tenant-b", False),
            ("/tenant-a/v1/%252e%252e/tenant-b", False),
            ("/tenant-a/v1/..%2ftenant-b", False),
            ("/tenant-a/v1/..%5ctenant-b", False),
            ("/tenant-a/v1/..;x/tenant-b", False),
            ("/tenant-a/v1/..\\tenant-b", False),
            ("/tenant-a/v1/%25252525252e", False),
            ("/tenant-a/v1/models/my%20model", True),
            ("/tenant-a/v1/..%00/x", False),
            ("/tenant-a/v1/..%20/x", False),
            ("/tenant-a/v1/..%09/x", False),
            ("/tenant-a/v1/.%0a./x", False),
            ("/tenant-a/v1/%c0%ae%c0%ae/x", False),
            ("/tenant-a/v1/%u002e%u002e/x", False),
            ("/tenant-a/v1/%ef%bc%8e%ef%bc%8e/x", False),
            ("/tenant-a/v1/..%23/x", False),
            ("/tenant-a/v1/.../x", False),
        ],
    )
    def test_path(self, path: str, covered: bool) -> None:
        assert self.PREFIX.covers(scheme="https", host="gw.example", port=443, path=path) is covered

    @pytest.mark.parametrize(
        ("scheme", "host", "port"),
        [("http", "gw.example", 443), ("https", "gw.example.evil", 443), ("https", "gw.example", 444)],
    )
    def test_another_place(self, scheme: str, host: str, port: int) -> None:
        assert not self.PREFIX.covers(scheme=scheme, host=host, port=port, path="/tenant-a/v1")


class TestPermitted:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "a.localhost"])
    def test_http_to_this_machine_needs_the_option(self, host: str) -> None:
        of = provider(K.OPENAI_COMPATIBLE, base_url=f"http://{host}:8099/v1")
        assert permitted(of, allow_loopback_http=True)
        with pytest.raises(DestinationRefused, match="plain http"):
            permitted(of)

    @pytest.mark.parametrize("host", ["a.example", "10.0.0.1", "128.0.0.1", "localhost.example"])
    def test_http_elsewhere_never(self, host: str) -> None:
        of = provider(K.OPENAI_COMPATIBLE, base_url=f"http://{host}")
        with pytest.raises(DestinationRefused, match="plain http"):
            permitted(of, allow_loopback_http=True)

    @pytest.mark.parametrize(
        ("allowed", "passes"),
        [
            ((), True),
            (("https://gw.example",), True),
            (("https://other.example", "https://gw.example/t1"), True),
            (("https://gw.example/t2",), False),
            (("https://gw.example:8443",), False),
            (("https://other.example",), False),
        ],
    )
    def test_own_list(self, allowed: tuple[str, ...], passes: bool) -> None:
        of = provider(K.OPENAI, base_url="https://gw.example/t1/v1")
        if passes:
            assert permitted(of, allowed=parse_allowed(allowed))
        else:
            with pytest.raises(DestinationRefused, match="allowed_destinations"):
                permitted(of, allowed=parse_allowed(allowed))

    @pytest.mark.parametrize("url", ["", "api.openai.com", "https://A.example", "https://*.example"])
    def test_own_list_is_checked(self, url: str) -> None:
        with pytest.raises(ValueError, match="allowed_destinations"):
            parse_allowed([url])

    @pytest.mark.parametrize(
        ("of", "passes"),
        [
            (provider(K.AZURE, T.AMBIENT, endpoint="https://r.openai.azure.com"), True),
            (provider(K.AZURE, T.AMBIENT, endpoint="https://r.services.ai.azure.com/api"), True),
            (provider(K.AZURE, T.AMBIENT, endpoint="https://x.eastus.cloudapp.azure.com"), False),
            (provider(K.AZURE, T.AMBIENT, endpoint="https://evil.example"), False),
            (provider(K.AZURE, T.AMBIENT, endpoint="https://r.openai.azure.com:8443"), False),
            (provider(K.AZURE, T.API_KEY, endpoint="https://evil.example"), True),
            (provider(K.BEDROCK, T.AMBIENT, region="eu-west-1"), True),
            (
                provider(
                    K.BEDROCK,
                    T.AMBIENT,
                    region="eu-west-1",
                    endpoint_url="https://vpce-1a-2b.bedrock-runtime.eu-west-1.vpce.amazonaws.com",
                ),
                True,
            ),
            (
                provider(
                    K.BEDROCK,
                    T.AMBIENT,
                    region="eu-west-1",
                    endpoint_url="https://ec2-1-2-3-4.compute.amazonaws.com",
                ),
                False,
            ),
            (provider(K.VERTEX, T.AMBIENT, **VERTEX), True),
            (provider(K.VERTEX_ANTHROPIC, T.AMBIENT, **{**VERTEX, "location": "eu"}), True),
            (provider(K.OPENAI, T.AMBIENT), False),
        ],
    )
    def test_ambient_identity_stays_with_its_cloud(self, of: RoutingProvider, passes: bool) -> None:
        if passes:
            assert permitted(of)
        else:
            with pytest.raises(DestinationRefused, match="own identity"):
                permitted(of)

    def test_ambient_identity_goes_where_it_is_allowed_by_name(self) -> None:
        of = provider(K.AZURE, T.AMBIENT, endpoint="https://gw.example/azure")
        assert permitted(of, allowed=parse_allowed(["https://gw.example"]))
