"""The rooms that may not know each other agree: on addresses, on destinations, on kinds."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain import kind_rules, urls
from service.domain.destinations import destinations
from service.domain.errors import InvalidArgument
from service.domain.model import CredentialType, ProviderConfig, ProviderKind
from upstreams import addresses
from upstreams.guard import AddressPolicy
from upstreams.offers import shelves
from upstreams.probe import probe_call
from upstreams.target import CREDENTIAL_TYPES, DEFAULT_BASE_URLS, Target

CONFIGS = {
    "azure": {"endpoint": "https://lab.openai.azure.com"},
    "bedrock": {"region": "eu-west-1"},
    "vertex": {"project_id": "lab-project", "location": "europe-west1"},
    "vertex_anthropic": {"project_id": "lab-project", "location": "global"},
    "openai_compatible": {"base_url": "https://gateway.example/tenant/v1"},
}
OWN_URLS = {
    **{kind: {"base_url": "https://gateway.example/tenant"} for kind in DEFAULT_BASE_URLS},
    "azure": {"endpoint": "https://lab.openai.azure.us/x"},
    "bedrock": {"region": "us-east-1", "endpoint_url": "https://vpce.example/runtime"},
    "vertex": {"project_id": "lab-project", "location": "eu"},
}


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
@example(IPv4Address("169.254.169.254"))
@example(IPv6Address("::ffff:127.0.0.1"))
@example(IPv6Address("fd00:ec2::254"))
@example(IPv6Address("::1"))
def test_addresses_are_as_far_away_for_both(address: IPv4Address | IPv6Address) -> None:
    spelled = f"[{address.compressed}]" if isinstance(address, IPv6Address) else str(address)
    assert addresses.address_reach(address).value == urls.host_reach(spelled).value


@pytest.mark.parametrize(
    "name",
    [
        "api.openai.com",
        "localhost",
        "a.localhost",
        "metadata",
        "metadata.google.internal",
        "metadata.tencentyun.com",
        "vllm",
        "vllm.svc",
        "a.home.arpa",
        "a.internal",
        "a.local",
    ],
)
def test_names_are_as_far_away_for_both(name: str) -> None:
    assert addresses.host_reach(name).value == urls.host_reach(name).value


@pytest.mark.parametrize("loopback", [False, True])
@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "host", ["a.example", "localhost", "127.0.0.1", "10.0.0.1", "a.internal", "169.254.169.254", "metadata"]
)
def test_what_may_be_stored_may_be_called(loopback: bool, private: bool, scheme: str, host: str) -> None:
    try:
        urls.parse_base_url(
            f"{scheme}://{host}",
            urls.UrlPolicy(allow_loopback_http=loopback, allow_private=private),
            field="base_url",
        )
        stored = True
    except InvalidArgument:
        stored = False
    policy = AddressPolicy(allow_loopback_http=loopback, allow_private=private)
    assert policy.admits_url(scheme, host) == stored


def test_kinds_and_their_credentials_are_the_same() -> None:
    assert {
        kind_rules.config_member(kind): {one.name.lower() for one in rules.credential_types}
        for kind, rules in kind_rules.KIND_RULES.items()
    } == {kind: set(types) for kind, types in CREDENTIAL_TYPES.items()}


def test_default_addresses_are_the_same() -> None:
    assert {
        kind_rules.config_member(kind): rules.default_base_url
        for kind, rules in kind_rules.KIND_RULES.items()
        if rules.default_base_url
    } == dict(DEFAULT_BASE_URLS)


@pytest.mark.parametrize("own", [False, True], ids=["defaults", "own addresses"])
@pytest.mark.parametrize("kind", CREDENTIAL_TYPES)
def test_no_call_leaves_the_destinations(kind: str, own: bool) -> None:
    """Each URL lies at or below what a credential of this provider is bound to."""
    config = (OWN_URLS if own else CONFIGS).get(kind, CONFIGS.get(kind, {}))
    target = Target(kind=kind, config=config)
    provider_kind = ProviderKind[kind.upper()]
    credential_type = (
        CredentialType.AZURE_CLIENT_SECRET
        if kind == "azure"
        else kind_rules.KIND_RULES[provider_kind].credential_types[0]
    )
    bound = dict.fromkeys(
        item.partition(" ")[2]
        for item in destinations(provider_kind, ProviderConfig(config, {}), credential_type)
    )
    called = [probe_call(target).url, *(shelf.url for shelf in shelves(target))]
    called += [f"{target.token_origin}/"] if target.token_origin else []
    for url in called:
        parts = urlsplit(url)
        assert any(f"{parts.scheme}://{parts.netloc}{parts.path}".startswith(f"{base}/") for base in bound), (
            url
        )
