"""A plaintext credential: what it is made of, and the little of it that may be shown.

May see: plaintext credentials, from the request that carries one to the envelope that seals it. Must never:
put any part of one into a message, a repr, a log field or an exception's context, beyond ``shown_prefix``.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from service.domain.errors import InvalidArgument, invalid_field
from upstreams.kinds import CREDENTIAL_FIELDS, KINDS, CredentialType, ProviderKind

MAX_PLAIN_BYTES: Final = 64 * 1024
"""Limit of an envelope's padded plaintext: all fields with their names and lengths."""

MIN_SHOWN_LENGTH: Final = 20
_EXTRA_CHARACTERS: Final = 4
_MIN_HIDDEN_CHARACTERS: Final = 12
_ID_CHARACTERS: Final = 8

GCP_TOKEN_URI: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address, not a token
GCP_UNIVERSE: Final = "googleapis.com"

_PRESIGNED_PREFIX: Final = "bedrock-api-key-"
"""A presigned request follows, which is not random: none of it is shown."""

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN PRIVATE KEY-----\n(?:[A-Za-z0-9+/=_-]+\n)+-----END PRIVATE KEY-----\n?"
)
_EMAIL = re.compile(r"[\x21-\x3f\x41-\x7e]+@[A-Za-z0-9.-]+")


class Secret:
    """A text whose repr is redacted. Only ``reveal`` returns it; it cannot be pickled, copied or hashed."""

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the plaintext."""
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
    """What is sealed: the type, and the fields sorted by name. IDs are secrets here too."""

    type: CredentialType
    fields: tuple[tuple[str, Secret], ...]

    def get(self, name: str) -> str:
        """Return the field's text; empty where the credential does not have it."""
        return next((secret.reveal() for field, secret in self.fields if field == name), "")

    def reveal(self) -> dict[str, str]:
        """Return all fields as plaintext, for sealing and for a test at the provider's own API."""
        return {name: secret.reveal() for name, secret in self.fields}


def parse_material(
    credential_type: CredentialType, values: Mapping[str, str], *, field: str
) -> CredentialMaterial:
    """Return a credential made of the fields of its request message. ``field`` is that message's path.

    Of a Google service account key only what a signer needs is kept.

    Raises:
        InvalidArgument: a field is missing or malformed, or all fields together exceed 64 KiB.
    """
    given = {name: value for name, value in values.items() if value}
    for one in CREDENTIAL_FIELDS[credential_type]:
        if one.required and one.name not in given:
            raise invalid_field(f"{field}.{one.name}", "is required", rule="credential.required")
    if credential_type is CredentialType.GCP_SERVICE_ACCOUNT_KEY:
        given = parse_service_account(given["json"], field=f"{field}.json")
    else:
        _check_texts(credential_type, given, field)
    if _plain_bytes(given) > MAX_PLAIN_BYTES:
        raise invalid_field(field, "must be at most 64 KiB", rule="credential.size")
    return CredentialMaterial(credential_type, tuple((name, Secret(given[name])) for name in sorted(given)))


def parse_service_account(text: str, *, field: str) -> dict[str, str]:
    """Return client_email, private_key, private_key_id and project_id of a service account key file.

    The file must not decide where assertions are sent: with a token_uri of its own a router would post signed
    assertions anywhere. Only Google's endpoint and universe are accepted, and neither is kept.

    Raises:
        InvalidArgument: not a JSON object, a repeated key, another type, endpoint or universe, a missing or
            malformed field. Its message has no part of the text.
    """
    document = _load_object(text)
    if document is None:
        raise _no_key_file(field, "must be the JSON file of a service account key, as Google issued it")
    if document.get("type") != "service_account":
        raise _no_key_file(field, 'must have "type": "service_account"')
    if document.get("token_uri") != GCP_TOKEN_URI:
        raise _no_key_file(field, f'must have "token_uri": "{GCP_TOKEN_URI}"')
    if document.get("universe_domain", GCP_UNIVERSE) != GCP_UNIVERSE:
        raise _no_key_file(field, f'must have "universe_domain": "{GCP_UNIVERSE}" or leave it out')
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
    """Return what lists may show of a credential, so that people can distinguish two of them.

    That is the vendor's literal prefix and at most four more characters, and nothing of a key under 20
    characters; or eight characters of an ID that is not secret: AWS access key, Google private key, Azure
    client.
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
    literal = next((prefix for prefix in KINDS[kind].key_prefixes if key.startswith(prefix)), "")
    hidden = len(key) - len(literal)
    if literal == _PRESIGNED_PREFIX or hidden < _MIN_HIDDEN_CHARACTERS:
        return literal
    return key[: len(literal) + _EXTRA_CHARACTERS]


def _check_texts(credential_type: CredentialType, given: Mapping[str, str], field: str) -> None:
    known = {one.name for one in CREDENTIAL_FIELDS[credential_type]}
    for name, value in given.items():
        if name not in known:
            description = f"must not have {name}: {credential_type.word} has {', '.join(sorted(known))}"
            raise invalid_field(field, description, rule="credential.field")
        if not _VISIBLE.fullmatch(value):
            description = "must not contain spaces or line breaks: was a line break pasted along?"
            raise invalid_field(f"{field}.{name}", description, rule="credential.printable")
    role = given.get("assume_role_arn")
    if role and not _ROLE_ARN.fullmatch(role):
        description = "must be the ARN of an IAM role, for example arn:aws:iam::123456789012:role/gateway"
        raise invalid_field(f"{field}.assume_role_arn", description, rule="credential.role_arn")


def _plain_bytes(fields: Mapping[str, str]) -> int:
    """Return the length of the envelope's plaintext before padding; each text takes 4 bytes more."""
    texts = ["codevector/fields/1", *fields.keys(), *fields.values()]
    return sum(4 + len(text.encode()) for text in texts) + 1


def _load_object(text: str) -> dict[str, Any] | None:
    """Return the object, or None. The decoder's own errors hold the whole text, so they stop here."""
    try:
        document = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key is repeated")
    return dict(pairs)


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _no_key_file(field: str, description: str) -> InvalidArgument:
    return invalid_field(field, description, rule="credential.service_account")
