"""The rules of a provider's settings, credential type and headers, by its kind.

The shape of a value (a region, a project ID) is checked at the edge; here is what it means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from service.domain.credential_hints import looks_like_key
from service.domain.errors import FieldViolation, InvalidArgument, Reason, invalid_field
from service.domain.model import CredentialType, ProviderConfig, ProviderKind
from service.domain.urls import parse_base_url
from upstreams.addresses import AddressPolicy
from upstreams.kinds import KINDS, Control

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+(?:[\t\x20]+[\x21-\x7e]+)*|")
_PARAMETER = re.compile(r"[A-Za-z0-9._-]+")
"""What is sent as a header or in a query, so that no value can add another one."""
_STORED_URL = re.compile(r"https?://[\x21-\x7e]+")

_TRANSPORT_HEADERS = frozenset(
    {
        "host",
        "forwarded",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "x-host",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    }
)
_TRANSPORT_PREFIXES = ("x-forwarded-", "x-original-", "x-rewrite-", "proxy-")
_TRANSPORT_SUFFIXES = ("-custom-host", "-target-host", "-target-url")
"""By these a gateway is told where to send a request, key included."""
_SECRET_WORDS = frozenset(
    {
        "authorization",
        "auth",
        "cookie",
        "credential",
        "credentials",
        "passwd",
        "password",
        "secret",
        "token",
    }
)
_SECRET_KEYS = ("accesskey", "apikey", "authkey", "privatekey", "secretkey", "subscriptionkey")
"""Searched for in a name without its dashes."""
_AUTHENTICATION_SCHEMES = ("bearer ", "basic ")


def validate_config(
    kind: ProviderKind, config: ProviderConfig, policy: AddressPolicy, *, field: str
) -> ProviderConfig:
    """Return the settings as they are stored: URLs canonical, empty ones left out. ``field`` is the config's
    path.

    Raises:
        InvalidArgument: a required setting is missing, a URL or a header is refused, or a setting belongs to
            another kind (CONFIG_KIND_MISMATCH).
    """
    path = f"{field}.{kind.word}"
    known = {one.name: one for one in KINDS[kind].config_fields}
    fields = {name: one for name, one in known.items() if one.control is not Control.KEY_VALUE}
    given = {name: value for name, value in config.values.items() if value}
    foreign = set(given) - fields.keys()
    if foreign or (config.headers and "headers" not in known):
        name = min(foreign, default="headers")
        description = f"must not have {name}: a provider of kind {kind.name} has {', '.join(known)}"
        raise invalid_field(path, description, rule="config.kind", reason=Reason.CONFIG_KIND_MISMATCH)
    for name, one in fields.items():
        if one.required and name not in given:
            raise invalid_field(f"{path}.{name}", "is required", rule="config.required")
    for name, value in given.items():
        if fields[name].control is Control.URI:
            given[name] = parse_base_url(value, policy, field=f"{path}.{name}").url
        elif not _PARAMETER.fullmatch(value):
            description = f"is not valid: {fields[name].validation_text}"
            raise invalid_field(f"{path}.{name}", description, rule="config.parameter")
    _check_headers(config.headers, f"{path}.headers")
    return ProviderConfig(
        MappingProxyType(dict(sorted(given.items()))), MappingProxyType(dict(sorted(config.headers.items())))
    )


def well_formed(kind: ProviderKind, config: ProviderConfig) -> bool:
    """Return whether stored settings can be used at all, whatever `validate_config` takes today.

    Its rules depend on settings and become stricter over time; what was stored under older ones stays good.
    """
    fields = {one.name: one for one in KINDS[kind].config_fields}
    if not config.values.keys() <= fields.keys() or (config.headers and "headers" not in fields):
        return False
    if any(one.required and not config.values.get(name) for name, one in fields.items()):
        return False
    return all(
        (_STORED_URL if fields[name].control is Control.URI else _PARAMETER).fullmatch(value)
        for name, value in config.values.items()
    ) and all(
        _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)
        for name, value in config.headers.items()
    )


def details(kind: ProviderKind, config: ProviderConfig) -> str:
    """Return one line that distinguishes providers of a kind: where requests go, on which account."""
    main, *rest = KINDS[kind].summary
    shown = config.values.get(main) or KINDS[kind].default_base_url
    more = "".join(config.values.get(name, "") for name in rest)
    return f"{shown} ({more})" if more else shown


def check_credential_type(kind: ProviderKind, credential_type: CredentialType, *, field: str) -> None:
    """Refuse a credential of a type that the kind does not take.

    Raises:
        InvalidArgument: CREDENTIAL_TYPE_MISMATCH.
    """
    accepted = KINDS[kind].credential_types
    if credential_type not in accepted:
        names = " or ".join(sorted(one.word for one in accepted))
        description = f"must be {names} for a provider of kind {kind.name}"
        raise InvalidArgument(
            f"{field}: {description}",
            reason=Reason.CREDENTIAL_TYPE_MISMATCH,
            violations=[FieldViolation(field, description, "credential.type")],
            metadata={"field": field, "kind": kind.name, "accepted": names},
        )


def _check_headers(headers: Mapping[str, str], field: str) -> None:
    names = [name.lower() for name in headers]
    if len(set(names)) < len(names):
        raise invalid_field(
            field, "must not have the same name twice, regardless of case", rule="headers.unique"
        )
    for name, value in headers.items():
        problem = _name_problem(name) or _value_problem(value)
        if problem:
            raise invalid_field(field, problem, rule="headers.allowed")


def _name_problem(name: str) -> str | None:
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name):
        return "must have names of letters, digits and dashes, for example X-Team"
    if (
        lower in _TRANSPORT_HEADERS
        or lower.startswith(_TRANSPORT_PREFIXES)
        or lower.endswith(_TRANSPORT_SUFFIXES)
    ):
        return "must not have headers of the connection, such as Host, Forwarded or Proxy-Connection"
    words = re.split(r"[^a-z0-9]+", lower)
    if _SECRET_WORDS.intersection(words) or any(name in "".join(words) for name in _SECRET_KEYS):
        return "must not have headers for secrets, such as Authorization or X-Api-Key: use the credential"
    return None


def _value_problem(value: str) -> str | None:
    if not _HEADER_VALUE.fullmatch(value):
        return "must have values of printable ASCII, without line breaks and without spaces at either end"
    if value.lower().startswith(_AUTHENTICATION_SCHEMES) or looks_like_key(value):
        return "must not have values that look like a secret: use the credential"
    return None
