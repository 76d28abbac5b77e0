"""Where calls go: never anywhere but where a credential is bound to."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from upstreams.kinds import KINDS, CredentialType, ProviderKind, destinations
from upstreams.offers import shelves
from upstreams.probe import probe_call
from upstreams.target import Target

CONFIGS = {
    "azure": {"endpoint": "https://lab.openai.azure.com"},
    "bedrock": {"region": "eu-west-1"},
    "vertex": {"project_id": "lab-project", "location": "europe-west1"},
    "vertex_anthropic": {"project_id": "lab-project", "location": "global"},
    "openai_compatible": {"base_url": "https://gateway.example/tenant/v1"},
}
OWN_URLS = {
    **{
        kind.word: {"base_url": "https://gateway.example/tenant"}
        for kind, rules in KINDS.items()
        if rules.default_base_url
    },
    "azure": {"endpoint": "https://lab.openai.azure.us/x"},
    "bedrock": {"region": "us-east-1", "endpoint_url": "https://vpce.example/runtime"},
    "vertex": {"project_id": "lab-project", "location": "eu"},
}


@pytest.mark.parametrize("own", [False, True], ids=["defaults", "own addresses"])
@pytest.mark.parametrize("kind", ProviderKind, ids=lambda kind: kind.word)
def test_no_call_leaves_the_destinations(kind: ProviderKind, own: bool) -> None:
    """Each URL lies at or below what a credential of this provider is bound to."""
    config = (OWN_URLS if own else CONFIGS).get(kind.word, CONFIGS.get(kind.word, {}))
    target = Target(kind=kind.word, config=config)
    credential_type = (
        CredentialType.AZURE_CLIENT_SECRET if kind is ProviderKind.AZURE else KINDS[kind].credential_types[0]
    )
    bound = [item.partition(" ")[2] for item in destinations(kind, config, credential_type)]
    called = [probe_call(target).url, *(shelf.url for shelf in shelves(target))]
    called += [f"{target.token_origin}/"] if target.token_origin else []
    for url in called:
        parts = urlsplit(url)
        assert any(f"{parts.scheme}://{parts.netloc}{parts.path}".startswith(f"{base}/") for base in bound), (
            url
        )
