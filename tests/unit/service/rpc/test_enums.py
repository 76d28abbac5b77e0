"""What the API offers has rules, and what it does not offer is the caller's mistake."""

from __future__ import annotations

import pytest
from codevector.providers.v1 import model_pb2, provider_model_pb2, provider_pb2

from service.domain.errors import InvalidArgument
from service.rpc.convert import provider_draft, provider_model_draft
from service.rpc.convert_models import model_draft
from service.rpc.enums import ENUMS, EnumWithoutRules, check_enums
from upstreams.kinds import KINDS


class TestCheck:
    def test_every_value_of_ours_has_rules(self) -> None:
        check_enums()

    def test_a_value_without_rules_is_named(self) -> None:
        kinds = {"PROVIDER_KIND_UNSPECIFIED": 0, "PROVIDER_KIND_OPENAI": 1, "PROVIDER_KIND_ACME": 1013}
        with pytest.raises(EnumWithoutRules) as refused:
            check_enums([(kinds, list(KINDS), "upstreams/kinds")])
        assert str(refused.value) == (
            "PROVIDER_KIND_ACME (1013) has no rules: add them to upstreams/kinds, see CONTRIBUTING.md"
        )

    @pytest.mark.parametrize(("values", "with_rules", "_"), ENUMS)
    def test_no_rules_without_a_value(
        self, values: dict[str, int], with_rules: frozenset[int], _: str
    ) -> None:
        assert set(with_rules) == set(values.values()) - {0}


class TestUnknownNumbers:
    """Numbers of a newer API, past the rules of the protos."""

    def test_of_a_provider(self) -> None:
        with pytest.raises(InvalidArgument) as refused:
            provider_draft(provider_pb2.Provider(kind=99))  # type: ignore[arg-type]
        (violation,) = refused.value.violations
        assert violation.field == "provider.kind"
        assert violation.description.startswith("must be one of OPENAI, ANTHROPIC, ")

    def test_of_a_provider_model(self) -> None:
        with pytest.raises(InvalidArgument, match=r"provider_model\.kind: must be one of CHAT, EMBEDDING"):
            provider_model_draft(provider_model_pb2.ProviderModel(kind=99))  # type: ignore[arg-type]

    def test_of_a_capability(self) -> None:
        with pytest.raises(InvalidArgument, match=r"provider_model\.capabilities: must be one of STREAMING"):
            provider_model_draft(
                provider_model_pb2.ProviderModel(capabilities=[99])  # type: ignore[list-item]
            )

    def test_of_a_model(self) -> None:
        with pytest.raises(InvalidArgument, match=r"model\.kind: must be one of CHAT, EMBEDDING"):
            model_draft(model_pb2.Model(kind=99))  # type: ignore[arg-type]
