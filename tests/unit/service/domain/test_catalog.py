"""How catalogs spell kinds."""

from __future__ import annotations

import pytest

from service.domain.catalog import kind_from_slug, kind_slug
from upstreams.kinds import ProviderKind


@pytest.mark.parametrize("kind", ProviderKind)
def test_a_kinds_slug_leads_back_to_it(kind: ProviderKind) -> None:
    assert kind_from_slug(kind_slug(kind)) is kind


@pytest.mark.parametrize("slug", ["", "OPENAI", "vertex_anthropic", "acme"])
def test_what_is_no_slug_is_no_kind(slug: str) -> None:
    assert kind_from_slug(slug) is None
