"""A credential in hand: what it is made of, and the little of it that may be shown.

May see: plaintext credentials, from the request that brings one to the envelope that seals it. Must never:
put any part of one into a message, a repr, a log field or an exception's context, beyond `shown_prefix`.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from service.domain.errors import InvalidArgument, invalid_field
from service.domain.model import CredentialType, ProviderKind

MAX_PLAIN_BYTES: Final = 64 * 1024
"""Of the padded plaintext of an envelope: all fields with their names and lengths."""

MIN_SHOWN_LENGTH: Final = 20
_EXTRA_CHARACTERS: Final = 4
_MIN_HIDDEN_CHARACTERS: Final = 12
_ID_CHARACTERS: Final = 8

GCP_TOKEN_URI: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a token
GCP_UNIVERSE: Final = "googleapis.com"

REQUIRED_FIELDS: Mapping[CredentialType, tuple[str, ...]] = {
    CredentialType.API_KEY: ("api_key",),
    CredentialType.AWS_ACCESS_KEY: ("access_key_id", "secret_access_key"),
    CredentialType.GCP_SERVICE_ACCOUNT_KEY: ("json",),
    CredentialType.AZURE_CLIENT_SECRET: ("tenant_id", "client_id", "client_secret"),
    CredentialType.AMBIENT: (),
}
OPTIONAL_FIELDS: Mapping[CredentialType, tuple[str, ...]] = {
    CredentialType.AWS_ACCESS_KEY: ("session_token", "assume_role_arn"),
}

KEY_PREFIXES: Mapping[ProviderKind, tuple[str, ...]] = {
    ProviderKind.OPENAI: ("sk-svcacct-", "sk-admin-", "sk-proj-", "sk-"),
    ProviderKind.ANTHROPIC: ("sk-ant-api03-", "sk-ant-"),
    ProviderKind.BEDROCK: ("bedrock-api-key-", "ABSK"),
    ProviderKind.GOOGLE: ("AIza", "AQ."),
    ProviderKind.GROQ: ("gsk_",),
    ProviderKind.DEEPSEEK: ("sk-",),
    ProviderKind.MOONSHOT: ("sk-",),
}
"""What the vendors' API keys begin with, longest first. Formats change, so no key is refused by these."""

_PRESIGNED_PREFIX: Final = "bedrock-api-key-"
"""What follows is a presigned request, not random: none of it is shown."""

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN PRIVATE KEY-----\n(?:[A-Za-z0-9+/=_-]+\n)+-----END PRIVATE KEY-----\n?"
)
_EMAIL = re.compile(r"[\x21-\x3f\x41-\x7e]+@[A-Za-z0-9.-]+")


class Secret:
    """A text that prints as nothing. It can be read only by asking, cannot be pickled, copied or hashed."""

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_octets(self._text), _octets(other._text))

    def __repr__(self) -> str:
        return "Secret(<redacted>)"

    def __str__(self) -> str:
        return "<redacted>"

    def __format__(self, format_spec: str) -> str:
        return "<redacted>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is neither copied nor pickled")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class CredentialMaterial:
    """What is sealed: the type, and the fields sorted by name. Ids are held as secrets too."""

    type: CredentialType
    fields: tuple[tuple[str, Secret], ...]

    def get(self, name: str) -> str:
        """The field's text; empty where the credential does not have it."""
        return next((secret.reveal() for field, secret in self.fields if field == name), "")

    def reveal(self) -> dict[str, str]:
        """All fields in plain, for the sealing, and for a test at the provider's own API."""
        return {name: secret.reveal() for name, secret in self.fields}


def parse_material(
    credential_type: CredentialType, values: Mapping[str, str], *, field: str
) -> CredentialMaterial:
    """A credential out of the fields of its request message. ``field`` is that message's path.

    A Google service account key is taken apart, and only what a signer needs is kept.

    Raises:
        InvalidArgument: a field is missing or malformed, or all are more than 64 KiB together.
    """
    given = {name: value for name, value in values.items() if value}
    for name in REQUIRED_FIELDS[credential_type]:
        if name not in given:
            raise invalid_field(f"{field}.{name}", "is required", rule="credential.required")
    if credential_type is CredentialType.GCP_SERVICE_ACCOUNT_KEY:
        given = parse_service_account(given["json"], field=f"{field}.json")
    else:
        _check_texts(credential_type, given, field)
    if _plain_bytes(given) > MAX_PLAIN_BYTES:
        raise invalid_field(field, "must be at most 64 KiB", rule="credential.size")
    return CredentialMaterial(credential_type, tuple((name, Secret(given[name])) for name in sorted(given)))


def parse_service_account(text: str, *, field: str) -> dict[str, str]:
    """client_email, private_key, private_key_id and project_id of a service account key file.

    Where assertions are sent is not the file's to say: a token_uri of its own choice would make a router post
    signed assertions anywhere. So only Google's endpoint and universe are accepted, and neither is kept.

    Raises:
        InvalidArgument: not a JSON object, a repeated key, another type, endpoint or universe, a missing or
            malformed field. No part of the text is in it.
    """
    document = _load_object(text)
    if document is None:
        raise _no_key_file(field, "must be the JSON file of a service account key: one object, no key twice")
    if document.get("type") != "service_account":
        raise _no_key_file(field, 'must have "type": "service_account"')
    if document.get("token_uri") != GCP_TOKEN_URI:
        raise _no_key_file(field, f'must have "token_uri": "{GCP_TOKEN_URI}"')
    if document.get("universe_domain", GCP_UNIVERSE) != GCP_UNIVERSE:
        raise _no_key_file(field, f'must have "universe_domain": "{GCP_UNIVERSE}", or none')
    patterns = {
        "client_email": _EMAIL,
        "private_key": _PRIVATE_KEY,
        "private_key_id": _VISIBLE,
        "project_id": _VISIBLE,
    }
    for name, pattern in patterns.items():
        value = document.get(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _no_key_file(field, f'must have a well-formed "{name}"')
    return {name: document[name] for name in patterns}


def shown_prefix(kind: ProviderKind, material: CredentialMaterial) -> str:
    """What lists may show of a credential, so that people can tell two of them apart.

    The vendor's literal prefix and at most four characters after it, nothing of a key under 20 characters;
    eight characters of an id that is no secret: AWS access key, Google private key, Azure client.
    """
    match material.type:
        case CredentialType.API_KEY:
            return _key_prefix(kind, material.get("api_key"))
        case CredentialType.AWS_ACCESS_KEY:
            return material.get("access_key_id")[:_ID_CHARACTERS]
        case CredentialType.GCP_SERVICE_ACCOUNT_KEY:
            return material.get("private_key_id")[:_ID_CHARACTERS]
        case CredentialType.AZURE_CLIENT_SECRET:
            return material.get("client_id")[:_ID_CHARACTERS]
        case CredentialType.AMBIENT:
            return ""


def _key_prefix(kind: ProviderKind, key: str) -> str:
    if len(key) < MIN_SHOWN_LENGTH:
        return ""
    literal = next((prefix for prefix in KEY_PREFIXES.get(kind, ()) if key.startswith(prefix)), "")
    hidden = len(key) - len(literal)
    if literal == _PRESIGNED_PREFIX or hidden < _MIN_HIDDEN_CHARACTERS:
        return literal
    return key[: len(literal) + _EXTRA_CHARACTERS]


def _check_texts(credential_type: CredentialType, given: Mapping[str, str], field: str) -> None:
    known = REQUIRED_FIELDS[credential_type] + OPTIONAL_FIELDS.get(credential_type, ())
    for name, value in given.items():
        if name not in known:
            raise invalid_field(field, "has a field that its type does not have", rule="credential.field")
        if not _VISIBLE.fullmatch(value):
            description = "must be printable ASCII without blanks or line breaks"
            raise invalid_field(f"{field}.{name}", description, rule="credential.printable")
    role = given.get("assume_role_arn")
    if role and not _ROLE_ARN.fullmatch(role):
        description = "must have the form arn:aws:iam::<12 digits>:role/<name>"
        raise invalid_field(f"{field}.assume_role_arn", description, rule="credential.role_arn")


def _plain_bytes(fields: Mapping[str, str]) -> int:
    """The length of the envelope's plaintext before padding: label, names and values, each after 4 bytes."""
    texts = ["codevector/fields/1", *fields.keys(), *fields.values()]
    return sum(4 + len(text.encode()) for text in texts) + 1


def _load_object(text: str) -> dict[str, Any] | None:
    """The object, or None. The decoder's own errors carry the whole text, so they end here."""
    try:
        document = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _no_key_file(field: str, description: str) -> InvalidArgument:
    return invalid_field(field, description, rule="credential.service_account")
