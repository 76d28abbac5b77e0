"""What each kind of provider takes: settings, credentials, and headers.

The shape of a value (a region, a project id) is judged at the edge; here is what it means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from service.domain.credential_hints import looks_like_key
from service.domain.errors import FieldViolation, InvalidArgument, Reason, invalid_field
from service.domain.model import CredentialType, ProviderConfig, ProviderKind
from service.domain.urls import UrlPolicy, parse_base_url

_API_KEY = (CredentialType.API_KEY,)
_GOOGLE_CLOUD = (CredentialType.GCP_SERVICE_ACCOUNT_KEY, CredentialType.AMBIENT)


@dataclass(frozen=True, slots=True)
class KindRules:
    """The settings of one kind by their field names, and the types of credential it takes.

    ``urls`` are those fields that say where requests go; ``default_base_url`` is "" where there is none.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    default_base_url: str = ""
    takes_headers: bool = False
    credential_types: tuple[CredentialType, ...] = _API_KEY


def _with_base_url(default_base_url: str, *others: str) -> KindRules:
    return KindRules(optional=("base_url", *others), urls=("base_url",), default_base_url=default_base_url)


KIND_RULES: Mapping[ProviderKind, KindRules] = MappingProxyType(
    {
        ProviderKind.OPENAI: _with_base_url("https://api.openai.com/v1", "organization", "project"),
        ProviderKind.ANTHROPIC: _with_base_url("https://api.anthropic.com", "api_version"),
        ProviderKind.AZURE: KindRules(
            required=("endpoint",),
            optional=("api_version",),
            urls=("endpoint",),
            credential_types=(
                CredentialType.API_KEY,
                CredentialType.AZURE_CLIENT_SECRET,
                CredentialType.AMBIENT,
            ),
        ),
        ProviderKind.BEDROCK: KindRules(
            required=("region",),
            optional=("endpoint_url",),
            urls=("endpoint_url",),
            credential_types=(CredentialType.API_KEY, CredentialType.AWS_ACCESS_KEY, CredentialType.AMBIENT),
        ),
        ProviderKind.GOOGLE: _with_base_url("https://generativelanguage.googleapis.com"),
        ProviderKind.VERTEX: KindRules(required=("project_id", "location"), credential_types=_GOOGLE_CLOUD),
        ProviderKind.VERTEX_ANTHROPIC: KindRules(
            required=("project_id", "location"), credential_types=_GOOGLE_CLOUD
        ),
        ProviderKind.GROQ: _with_base_url("https://api.groq.com/openai/v1"),
        ProviderKind.COHERE: _with_base_url("https://api.cohere.com"),
        ProviderKind.DEEPSEEK: _with_base_url("https://api.deepseek.com"),
        ProviderKind.MOONSHOT: _with_base_url("https://api.moonshot.ai/v1"),
        ProviderKind.OPENAI_COMPATIBLE: KindRules(
            required=("base_url",), urls=("base_url",), takes_headers=True
        ),
    }
)

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+(?:[\t\x20]+[\x21-\x7e]+)*|")
_PARAMETER = re.compile(r"[A-Za-z0-9._-]+")
"""Settings that are sent as a header or in a query, so that none can add another one."""

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
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
    }
)
_TRANSPORT_PREFIXES = ("x-forwarded-", "proxy-")
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
"""Looked for in a name without its dashes."""
_AUTHENTICATION_SCHEMES = ("bearer ", "basic ")


def config_member(kind: ProviderKind) -> str:
    """The name of the kind's member in a provider's config."""
    return kind.name.lower()


def validate_config(
    kind: ProviderKind, config: ProviderConfig, policy: UrlPolicy, *, field: str
) -> ProviderConfig:
    """The settings as they are stored: URLs canonical, empty ones left out. ``field`` is the config's path.

    Raises:
        InvalidArgument: a required setting is missing, a URL or a header is refused, or the kind has no such
            setting (CONFIG_KIND_MISMATCH).
    """
    rules, path = KIND_RULES[kind], f"{field}.{config_member(kind)}"
    given = {name: value for name, value in config.values.items() if value}
    foreign = set(given) - {*rules.required, *rules.optional}
    if foreign or (config.headers and not rules.takes_headers):
        raise invalid_field(
            path, "has a setting of another kind", rule="config.kind", reason=Reason.CONFIG_KIND_MISMATCH
        )
    for name in rules.required:
        if name not in given:
            raise invalid_field(f"{path}.{name}", "is required", rule="config.required")
    for name, value in given.items():
        if name in rules.urls:
            given[name] = parse_base_url(value, policy, field=f"{path}.{name}").url
        elif not _PARAMETER.fullmatch(value):
            description = "must be letters, digits, dots, dashes and underscores"
            raise invalid_field(f"{path}.{name}", description, rule="config.parameter")
    _check_headers(config.headers, f"{path}.headers")
    return ProviderConfig(
        MappingProxyType(dict(sorted(given.items()))), MappingProxyType(dict(sorted(config.headers.items())))
    )


def details(kind: ProviderKind, config: ProviderConfig) -> str:
    """One line that tells providers of a kind apart in lists: where requests go, and as which project."""
    values = config.values
    match kind:
        case ProviderKind.AZURE:
            return values["endpoint"]
        case ProviderKind.BEDROCK:
            endpoint_url = values.get("endpoint_url")
            return f"{values['region']} ({endpoint_url})" if endpoint_url else values["region"]
        case ProviderKind.VERTEX | ProviderKind.VERTEX_ANTHROPIC:
            return f"{values['project_id']} ({values['location']})"
        case _:
            return values.get("base_url") or KIND_RULES[kind].default_base_url


def check_credential_type(kind: ProviderKind, credential_type: CredentialType, *, field: str) -> None:
    """Raises InvalidArgument (CREDENTIAL_TYPE_MISMATCH) where the kind does not take this type."""
    accepted = KIND_RULES[kind].credential_types
    if credential_type not in accepted:
        names = " or ".join(sorted(one.name.lower() for one in accepted))
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
        raise invalid_field(field, "must not have a name twice, in whatever case", rule="headers.unique")
    for name, value in headers.items():
        problem = _name_problem(name) or _value_problem(value)
        if problem:
            raise invalid_field(field, problem, rule="headers.allowed")


def _name_problem(name: str) -> str | None:
    lower = name.lower()
    if not _HEADER_NAME.fullmatch(name):
        return "must have names of letters, digits and dashes"
    if lower in _TRANSPORT_HEADERS or lower.startswith(_TRANSPORT_PREFIXES):
        return "must not have names that steer the connection, such as Host, Forwarded or Proxy-Connection"
    words = re.split(r"[^a-z0-9]+", lower)
    if _SECRET_WORDS.intersection(words) or any(name in "".join(words) for name in _SECRET_KEYS):
        return "must not have names of secrets, such as Authorization or X-Api-Key: use the credential"
    return None


def _value_problem(value: str) -> str | None:
    if not _HEADER_VALUE.fullmatch(value):
        return "must have values of printable ASCII, without line breaks or blanks around them"
    if value.lower().startswith(_AUTHENTICATION_SCHEMES) or looks_like_key(value):
        return "must not have values that look like a secret: use the credential"
    return None
