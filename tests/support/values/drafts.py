"""What callers send to the use cases: drafts of resources, of which tests name the fields that matter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from service.domain.catalog import Catalog
from service.domain.credentials import parse_material
from service.domain.model import (
    CredentialType,
    ModelBackend,
    ModelFacts,
    ModelKind,
    ProviderConfig,
    ProviderKind,
)
from service.usecases.models import ModelDraft
from service.usecases.provider_models import ProviderModelDraft
from service.usecases.providers import ProviderDraft
from service.usecases.sealed_writes import CredentialChange
from tests.support.values.registry_values import START

BASE_URL = "https://llm.example/v1"
FACTS = ModelFacts(
    upstream_model_id="fast-1",
    display_name="",
    kind=ModelKind.CHAT,
    context_window=0,
    max_output_tokens=0,
    embedding_dimensions=0,
    pricing=None,
    capabilities=(),
    retire_time=None,
    needs_review=False,
)


def provider_draft(name: str = "", *, base_url: str = BASE_URL, **fields: Any) -> ProviderDraft:
    """A provider that routing takes without a credential."""
    kind = ProviderKind.OPENAI_COMPATIBLE
    draft = ProviderDraft(
        name=name,
        display_name="Acme",
        kind=kind,
        config=ProviderConfig({"base_url": base_url}),
        config_kind=kind,
        labels={},
        annotations={},
        etag="",
        populated=frozenset(fields),
    )
    return replace(draft, **fields)


def provider_model_draft(name: str = "", **fields: Any) -> ProviderModelDraft:
    """A chat model. Fields of ``facts`` are named like those of the draft."""
    facts = {key: fields.pop(key) for key in list(fields) if hasattr(FACTS, key)}
    draft = ProviderModelDraft(
        name=name,
        facts=replace(FACTS, **facts),
        kind_sent=True,
        labels={},
        etag="",
        populated=frozenset({*facts, *fields}),
    )
    return replace(draft, **fields)


def model_draft(name: str = "", *backends: ModelBackend, **fields: Any) -> ModelDraft:
    """A chat model over these backends."""
    draft = ModelDraft(
        name=name,
        display_name="Smart",
        description="",
        kind=ModelKind.CHAT,
        backends=backends,
        labels={},
        annotations={},
        etag="",
        populated=frozenset(fields),
    )
    return replace(draft, **fields)


def a_catalog(version: str, *upstream_model_ids: str) -> Catalog:
    """A release of the kind that ``openai_draft`` has."""
    return Catalog(
        kind=ProviderKind.OPENAI,
        version=version,
        release_time=START,
        digest=version.replace(".", "").ljust(64, "0"),
        models=tuple(
            replace(FACTS, upstream_model_id=each, display_name=each.title(), context_window=128_000)
            for each in sorted(upstream_model_ids)
        ),
    )


def openai_draft(name: str = "", **fields: Any) -> ProviderDraft:
    """A provider of a kind that has catalogs and wants a credential."""
    kind = ProviderKind.OPENAI
    return provider_draft(name, **{"kind": kind, "config_kind": None, "config": ProviderConfig(), **fields})


def an_api_key(text: str = "sk-0123456789abcdefghijklmnopqrstuvwxyz") -> CredentialChange:
    """A credential that kinds with an API key take."""
    return CredentialChange(
        parse_material(CredentialType.API_KEY, {"api_key": text}, field="credential"), None
    )
