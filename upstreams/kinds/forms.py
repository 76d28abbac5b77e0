"""The parts of a kind's description: its enums, the fields of a form, and the credential types.

Enum numbers equal those of the API and never change: messages carry them and the database stores them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType


class ProviderKind(IntEnum):
    """Which upstream API a provider speaks; never changes after creation."""

    OPENAI = 1
    ANTHROPIC = 2
    AZURE = 3
    BEDROCK = 4
    GOOGLE = 5
    VERTEX = 6
    VERTEX_ANTHROPIC = 7
    GROQ = 8
    COHERE = 9
    DEEPSEEK = 10
    MOONSHOT = 11
    OPENAI_COMPATIBLE = 12

    @property
    def word(self) -> str:
        """The kind as the API names its settings, e.g. ``vertex_anthropic``."""
        return self.name.lower()


class CredentialType(IntEnum):
    """How a router authenticates upstream. AMBIENT: by its own workload identity."""

    API_KEY = 1
    AWS_ACCESS_KEY = 2
    GCP_SERVICE_ACCOUNT_KEY = 3
    AZURE_CLIENT_SECRET = 4
    AMBIENT = 5

    @property
    def word(self) -> str:
        """The type as the API names its member, e.g. ``aws_access_key``."""
        return self.name.lower()


class Control(IntEnum):
    """How a form shows a field. Numbers equal ``FormField.Control`` of the API."""

    TEXT = 1
    SECRET = 2
    URI = 3
    SELECT = 4
    KEY_VALUE = 5
    MULTILINE_SECRET = 6


ADVANCED = "Advanced"
"""The group of fields that most providers leave empty."""

_NO_SPACES = "No spaces or line breaks."


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form.

    ``default_value`` applies when the field is empty; ``suggested_value`` only fills the form. ``prefixes``
    are the beginnings that values usually have, longest first. ``mistakes`` are beginnings of what people
    paste by mistake, each with what it is. Vendors change their formats, so both warn and never refuse.
    """

    name: str
    label: str
    control: Control = Control.TEXT
    required: bool = False
    group: str = ""
    placeholder: str = ""
    help_text: str = ""
    validation_text: str = ""
    default_value: str = ""
    suggested_value: str = ""
    json: bool = False
    prefixes: tuple[str, ...] = ()
    mistakes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialForm:
    """One way to authenticate. ``test_note`` says why a connection test proves nothing, where that is so."""

    type: CredentialType
    display_name: str
    fields: tuple[Field, ...]
    description: str = ""
    key_uri: str = ""
    test_note: str = ""

    @property
    def test_confirms(self) -> bool:
        """Whether a test that succeeds proves that the upstream accepts the credential."""
        return not self.test_note


def api_key(
    *,
    label: str = "API key",
    description: str = "",
    key_uri: str = "",
    required: bool = True,
    placeholder: str = "",
    help_text: str = "",
    prefixes: tuple[str, ...] = (),
    mistakes: tuple[tuple[str, str], ...] = (),
    test_note: str = "",
) -> CredentialForm:
    """Return the form of one opaque key."""
    return CredentialForm(
        type=CredentialType.API_KEY,
        display_name=label,
        description=description,
        key_uri=key_uri,
        test_note=test_note,
        fields=(
            Field(
                name="api_key",
                label=label,
                control=Control.SECRET,
                required=required,
                placeholder=placeholder,
                help_text=help_text,
                validation_text=_NO_SPACES,
                prefixes=prefixes,
                mistakes=mistakes,
            ),
        ),
    )


def ambient(display_name: str, description: str) -> CredentialForm:
    """Return the form of a router's own identity, which has nothing to fill in."""
    return CredentialForm(
        type=CredentialType.AMBIENT,
        display_name=display_name,
        description=description,
        fields=(),
        test_note="Only the router has this identity, so only the router can test it.",
    )


AWS_ACCESS_KEY = CredentialForm(
    type=CredentialType.AWS_ACCESS_KEY,
    display_name="AWS access key",
    description="Signs each request; can assume a role.",
    key_uri="https://console.aws.amazon.com/iam/home#/users",
    fields=(
        Field(
            name="access_key_id",
            label="Access key ID",
            required=True,
            placeholder="AKIA...",
            validation_text="16 to 128 capital letters and digits, for example AKIAIOSFODNN7EXAMPLE.",
            prefixes=("AKIA", "ASIA"),
        ),
        Field(
            name="secret_access_key",
            label="Secret access key",
            control=Control.SECRET,
            required=True,
            validation_text=_NO_SPACES,
        ),
        Field(
            name="session_token",
            label="Session token",
            control=Control.SECRET,
            group=ADVANCED,
            help_text="Needed with a temporary access key (ASIA...).",
            validation_text=_NO_SPACES,
        ),
        Field(
            name="assume_role_arn",
            label="Role to assume",
            group=ADVANCED,
            placeholder="arn:aws:iam::123456789012:role/name",
            help_text="The router assumes this role before it calls Bedrock.",
            validation_text="The ARN of an IAM role, for example arn:aws:iam::123456789012:role/gateway.",
        ),
    ),
)

GCP_SERVICE_ACCOUNT_KEY = CredentialForm(
    type=CredentialType.GCP_SERVICE_ACCOUNT_KEY,
    display_name="Service account key",
    description="The JSON key file of a Google Cloud service account.",
    key_uri="https://console.cloud.google.com/iam-admin/serviceaccounts",
    fields=(
        Field(
            name="json",
            label="Service account key (JSON)",
            control=Control.MULTILINE_SECRET,
            required=True,
            placeholder='{"type": "service_account", ...}',
            help_text="The whole key file, as downloaded from Google Cloud.",
            validation_text='A JSON object with "type": "service_account", at most 16 KiB.',
            json=True,
        ),
    ),
)

_UUID = "A UUID, for example 3f2504e0-4f89-41d3-9a0c-0305e82c3301."

AZURE_CLIENT_SECRET = CredentialForm(
    type=CredentialType.AZURE_CLIENT_SECRET,
    display_name="Entra ID client secret",
    description="An application registered in Microsoft Entra ID.",
    key_uri="https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade",
    fields=(
        Field(
            name="tenant_id",
            label="Tenant ID",
            required=True,
            placeholder="00000000-0000-0000-0000-000000000000",
            help_text="Directory (tenant) ID of the application.",
            validation_text=_UUID,
        ),
        Field(
            name="client_id",
            label="Client ID",
            required=True,
            placeholder="00000000-0000-0000-0000-000000000000",
            help_text="Application (client) ID.",
            validation_text=_UUID,
        ),
        Field(
            name="client_secret",
            label="Client secret",
            control=Control.SECRET,
            required=True,
            help_text="The secret's value, not its ID.",
            validation_text=_NO_SPACES,
        ),
    ),
)

CREDENTIAL_FIELDS: Mapping[CredentialType, tuple[Field, ...]] = MappingProxyType(
    {
        form.type: form.fields
        for form in (
            api_key(),
            AWS_ACCESS_KEY,
            GCP_SERVICE_ACCOUNT_KEY,
            AZURE_CLIENT_SECRET,
            ambient("", ""),
        )
    }
)
"""What a credential of each type is made of."""
