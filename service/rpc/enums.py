"""The API's enums against the rules for them: checked before anything is served."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from codevector.providers.v1 import catalog_pb2, provider_model_pb2, provider_pb2

from service.domain.model import ModelCapability, ModelKind, State
from upstreams.kinds import CREDENTIAL_FIELDS, KINDS, Control

_HOME = "upstreams/kinds"
_MODEL = "service/domain/model.py"

_WITH_RULES: tuple[tuple[Mapping[str, int], Iterable[int], str], ...] = (
    (dict(provider_pb2.ProviderKind.items()), KINDS.keys(), _HOME),
    (dict(provider_pb2.CredentialType.items()), CREDENTIAL_FIELDS.keys(), _HOME),
    (dict(catalog_pb2.FormField.Control.items()), Control, _HOME),
    (dict(provider_pb2.Provider.State.items()), State, _MODEL),
    (dict(provider_model_pb2.ModelKind.items()), ModelKind, _MODEL),
    (dict(provider_model_pb2.ModelCapability.items()), ModelCapability, _MODEL),
)
ENUMS = tuple((values, frozenset(with_rules), home) for values, with_rules, home in _WITH_RULES)
"""The values of an enum by name, the numbers that have rules, and where these rules are."""


class EnumWithoutRules(Exception):
    """The API offers a value that this service has no rules for."""


def check_enums(
    enums: Collection[tuple[Mapping[str, int], Collection[int], str]] = ENUMS,
) -> None:
    """Refuse to serve an API that offers more than there are rules for.

    Raises:
        EnumWithoutRules: names the value, and where its rules belong.
    """
    for values, with_rules, home in enums:
        for name, number in values.items():
            if number and number not in with_rules:
                raise EnumWithoutRules(
                    f"{name} ({number}) has no rules: add them to {home}, see CONTRIBUTING.md"
                )
