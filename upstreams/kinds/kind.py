"""The shape of one kind's entry in the table."""

from __future__ import annotations

from dataclasses import dataclass

from upstreams.kinds import origins
from upstreams.kinds.forms import CredentialForm, CredentialType, Field, ProviderKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a kind of provider is.

    ``vendor`` is the name in "a key of ...". ``origins`` says where its calls go; ``token_types`` are the
    credential types that are exchanged for a token, None where every credential is bound to the token origin.
    ``summary`` names the fields of the one line in lists: the second, where it has a value, stands in
    brackets.
    """

    kind: ProviderKind
    display_name: str
    vendor: str
    description: str
    documentation_uri: str
    config_fields: tuple[Field, ...]
    credential_forms: tuple[CredentialForm, ...]
    origins: origins.Derive
    token_types: frozenset[CredentialType] | None = None
    credential_required: bool = True
    summary: tuple[str, ...] = ("base_url",)

    @property
    def credential_types(self) -> tuple[CredentialType, ...]:
        """The types it takes, the usual one first."""
        return tuple(form.type for form in self.credential_forms)

    @property
    def credential_prefixes(self) -> tuple[str, ...]:
        """How its credentials usually begin, in the order of the forms."""
        return tuple(
            prefix for form in self.credential_forms for field in form.fields for prefix in field.prefixes
        )

    @property
    def key_prefixes(self) -> tuple[str, ...]:
        """How its API keys usually begin, longest first; none where the vendor's keys have no such mark."""
        form = self.form(CredentialType.API_KEY)
        return form.fields[0].prefixes if form else ()

    @property
    def default_base_url(self) -> str:
        """What is called when the settings name no base URL; empty where they must."""
        return next((field.default_value for field in self.config_fields if field.name == "base_url"), "")

    def form(self, credential_type: CredentialType) -> CredentialForm | None:
        """Return the form of a type; None where the kind does not take it."""
        return next((form for form in self.credential_forms if form.type is credential_type), None)
