"""Providers of all twelve kinds, and their upstreams: who tells a good credential from a bad one as they do.

For each kind there is a credential that its server knows and one that it does not. Signatures and assertions
are verified for real: by botocore's signer run again, and with the public key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from google.auth import jwt

from tests.support.doubles.upstream_servers import Answering, Asked, Reply, World, in_json
from upstreams.aws import AccessKey
from upstreams.target import Identity, Target

API_KEY = "sk-canary-4f9c1e7ab2d84c6f9e03"
WRONG_KEY = "sk-canary-wrong-71b0a9c2e5d84f13"
AWS_KEY_ID = "AKIACANARY00EXAMPLE1"
AWS_SECRET = "canarySecret/AccessKey+0123456789abcdefgh"
AWS_SESSION_TOKEN = "canarySessionToken//0123456789abcdefghijklmnop=="
ROLE_SECRET = "canaryRoleSecret/0123456789abcdefghijkl"
ROLE_TOKEN = "canaryRoleToken//0123456789abcdefghijklmnop=="
TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
CLIENT_SECRET = "canary~ClientSecret.0123456789"
MINTED_TOKEN = "canary.minted.token-0123456789"
CLIENT_EMAIL = "tester@canary-project.iam.gserviceaccount.com"
REGION = "eu-west-1"

OPENAI_BAD_KEY = in_json(
    401,
    {
        "error": {
            "message": f"Incorrect API key provided: {WRONG_KEY}. You can find your API key at your account.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
    },
)
ANTHROPIC_BAD_KEY = in_json(
    401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
)
AZURE_BAD_KEY = in_json(
    401,
    {
        "error": {
            "code": "401",
            "message": "Access denied due to invalid subscription key or wrong API endpoint.",
        }
    },
)
GOOGLE_BAD_KEY = in_json(
    400,
    {
        "error": {
            "code": 400,
            "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com",
                }
            ],
        }
    },
)
GROQ_BAD_KEY = in_json(
    401,
    {"error": {"message": "Invalid API Key", "type": "invalid_request_error", "code": "invalid_api_key"}},
)
COHERE_BAD_KEY = in_json(401, {"message": "invalid api token"})
DEEPSEEK_BAD_KEY = in_json(
    401,
    {
        "error": {
            "message": f"Authentication Fails, Your api key: ****{WRONG_KEY[-4:]} is invalid",
            "type": "authentication_error",
            "param": None,
            "code": "invalid_request_error",
        }
    },
)
MOONSHOT_BAD_KEY = in_json(
    401, {"error": {"message": "Invalid Authentication", "type": "invalid_authentication_error"}}
)
BEDROCK_BAD_API_KEY = in_json(
    403, {"Message": "Authentication failed: Please make sure your API Key is valid."}
)


def aws_error(status: int, name: str, message: str = "No.") -> Reply:
    """As REST-JSON services of AWS say it: the type in a header, with a suffix that some of them add."""
    return in_json(status, {"message": message}, x_amzn_ErrorType=f"{name}:http://internal.amazon.com/coral/")


def sts_error(status: int, code: str, message: str = "No.") -> Reply:
    body = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>x</RequestId></ErrorResponse>"
    )
    return Reply(status, body.encode(), {"Content-Type": "text/xml"})


def google_error(status: int, name: str, *, reason: str = "", message: str = "No.") -> Reply:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return in_json(
        status, {"error": {"code": status, "message": message, "status": name, "details": details}}
    )


@dataclass(frozen=True)
class Account:
    """A provider with a credential that works, and one that its server does not know."""

    target: Target
    host: str
    path: str
    good: Identity
    wrong: Identity
    listing: Any


def _keyed(kind: str, host: str, path: str, listing: Any, **config: str) -> Account:
    good, wrong = (Identity("api_key", {"api_key": key}) for key in (API_KEY, WRONG_KEY))
    return Account(Target(kind=kind, config=config), host, path, good, wrong, listing)


_ONE = {"object": "list", "data": [{"id": "model-1", "object": "model"}]}

KEYED: Mapping[str, Account] = {
    "openai": _keyed("openai", "api.openai.com", "/v1/models", _ONE),
    "anthropic": _keyed(
        "anthropic",
        "api.anthropic.com",
        "/v1/models",
        {"data": [{"id": "claude-1"}], "has_more": False, "first_id": "claude-1", "last_id": "claude-1"},
    ),
    "azure": _keyed(
        "azure",
        "lab.openai.azure.com",
        "/openai/models",
        _ONE,
        endpoint="https://lab.openai.azure.com",
    ),
    "bedrock": _keyed(
        "bedrock",
        f"bedrock.{REGION}.amazonaws.com",
        "/foundation-models",
        {"modelSummaries": [{"modelId": "amazon.nova-pro-v1:0"}]},
        region=REGION,
    ),
    "google": _keyed(
        "google",
        "generativelanguage.googleapis.com",
        "/v1beta/models",
        {"models": [{"name": "models/gemini-1"}], "nextPageToken": "next"},
    ),
    "groq": _keyed("groq", "api.groq.com", "/openai/v1/models", _ONE),
    "cohere": _keyed("cohere", "api.cohere.com", "/v1/models", {"models": [{"name": "command"}]}),
    "deepseek": _keyed("deepseek", "api.deepseek.com", "/models", _ONE),
    "moonshot": _keyed("moonshot", "api.moonshot.ai", "/v1/models", _ONE),
    "openai_compatible": _keyed(
        "openai_compatible",
        "gateway.example",
        "/tenant/v1/models",
        _ONE,
        base_url="https://gateway.example/tenant/v1",
    ),
}
"""One account with an API key for each kind that takes one."""

KEY_HEADERS = {"anthropic": "x-api-key", "azure": "api-key", "google": "x-goog-api-key"}
BAD_KEY: Mapping[str, Reply] = {
    "openai": OPENAI_BAD_KEY,
    "anthropic": ANTHROPIC_BAD_KEY,
    "azure": AZURE_BAD_KEY,
    "bedrock": BEDROCK_BAD_API_KEY,
    "google": GOOGLE_BAD_KEY,
    "groq": GROQ_BAD_KEY,
    "cohere": COHERE_BAD_KEY,
    "deepseek": DEEPSEEK_BAD_KEY,
    "moonshot": MOONSHOT_BAD_KEY,
    "openai_compatible": in_json(401, {"detail": "Unauthorized"}),
}


def has_key(kind: str, asked: Asked) -> bool:
    """Whether the good API key came, in the one header of the kind."""
    carried = {
        name: value
        for name, value in asked.headers.items()
        if name in ("authorization", *KEY_HEADERS.values())
    }
    own = KEY_HEADERS.get(kind)
    return carried == ({own: API_KEY} if own else {"authorization": f"Bearer {API_KEY}"})


def serve_keyed(world: World, kind: str, reply: Reply | None = None) -> Account:
    """The API of a kind with API keys; ``reply`` is what it says to the good one instead of its listing."""
    account = KEYED[kind]

    def answer(asked: Asked) -> Reply:
        return (reply or in_json(200, account.listing)) if has_key(kind, asked) else BAD_KEY[kind]

    world.on(account.host, account.path, answer)
    return account


def aws_account(*, session_token: str = "", role_arn: str = "") -> Account:
    """bedrock with an access key."""
    keyed = KEYED["bedrock"]
    fields = {"access_key_id": AWS_KEY_ID, "secret_access_key": AWS_SECRET}
    if session_token:
        fields["session_token"] = session_token
    if role_arn:
        fields["assume_role_arn"] = role_arn
    good = Identity("aws_access_key", fields)
    wrong = Identity("aws_access_key", {**fields, "secret_access_key": AWS_SECRET[::-1]})
    return Account(keyed.target, keyed.host, keyed.path, good, wrong, keyed.listing)


def signed_by(asked: Asked, key: AccessKey, service: str) -> bool:
    """Whether the request carries the Signature Version 4 that botocore computes for it again."""
    scheme, _, rest = asked.headers.get("authorization", "").partition(" ")
    parts = dict(part.partition("=")[::2] for part in rest.split(", "))
    if scheme != "AWS4-HMAC-SHA256" or asked.headers.get("x-amz-security-token", "") != key.token:
        return False
    names = parts["SignedHeaders"].split(";")
    if not {"host", "x-amz-date", *(["x-amz-security-token"] if key.token else [])} <= set(names):
        return False
    request = AWSRequest(
        method=asked.method,
        url=f"https://{asked.host}{asked.target}",
        headers={name: asked.headers[name] for name in names},
        data=asked.body,
    )
    request.context["timestamp"] = asked.headers["x-amz-date"]
    signer = SigV4Auth(key, service, REGION)
    wanted = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return bool(parts["Signature"] == wanted and parts["Credential"] == signer.scope(request))


def serve_bedrock(world: World, key: AccessKey, reply: Reply | None = None) -> None:
    """Bedrock's control plane, which verifies signatures."""
    account = KEYED["bedrock"]

    def answer(asked: Asked) -> Reply:
        if f"Credential={key.access_key}/" not in asked.headers.get("authorization", ""):
            return aws_error(403, "UnrecognizedClientException", "The security token is invalid.")
        if not signed_by(asked, key, "bedrock"):
            return aws_error(403, "InvalidSignatureException", "The request signature does not match.")
        return reply or in_json(200, account.listing)

    world.on(account.host, account.path, answer)


def serve_sts(world: World, key: AccessKey, role_arn: str) -> None:
    """STS, which gives the role's own key to who signs with ``key``."""

    def answer(asked: Asked) -> Reply:
        if not signed_by(asked, key, "sts"):
            return sts_error(403, "SignatureDoesNotMatch", "The signature we calculated does not match.")
        if asked.form["Action"] != "AssumeRole" or asked.form["RoleArn"] != role_arn:
            return sts_error(403, "AccessDenied", "not authorized to perform: sts:AssumeRole")
        body = (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>'
            f"<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>{ROLE_SECRET}</SecretAccessKey>"
            f"<SessionToken>{ROLE_TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
            "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )
        return Reply(200, body.encode(), {"Content-Type": "text/xml"})

    world.on(f"sts.{REGION}.amazonaws.com", "/", answer)


def azure_account(endpoint: str = "https://lab.openai.azure.com") -> Account:
    """azure with an Entra client secret."""
    fields = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": CLIENT_SECRET}
    return Account(
        Target(kind="azure", config={"endpoint": endpoint}),
        endpoint.removeprefix("https://"),
        "/openai/models",
        Identity("azure_client_secret", fields),
        Identity("azure_client_secret", {**fields, "client_secret": CLIENT_SECRET[::-1]}),
        _ONE,
    )


def serve_entra(
    world: World, account: Account, *, authority: str = "login.microsoftonline.com", audience: str = "com"
) -> None:
    """Entra's token endpoint, and the API that takes its tokens."""

    def token(asked: Asked) -> Reply:
        wanted = {
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "client_secret": CLIENT_SECRET,
            "scope": f"https://cognitiveservices.azure.{audience}/.default",
        }
        if asked.form != wanted:
            return in_json(
                401,
                {
                    "error": "invalid_client",
                    "error_description": "AADSTS7000215: Invalid client secret provided.",
                    "error_codes": [7000215],
                },
            )
        return in_json(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": MINTED_TOKEN})

    world.on(authority, f"/{TENANT}/oauth2/v2.0/token", token)
    world.on(account.host, account.path, _takes_minted(account.listing, AZURE_BAD_KEY))


def _takes_minted(listing: Any, otherwise: Reply) -> Answering:
    def answer(asked: Asked) -> Reply:
        good = (
            asked.headers.get("authorization") == f"Bearer {MINTED_TOKEN}" and "api-key" not in asked.headers
        )
        return in_json(200, listing) if good else otherwise

    return answer


@dataclass(frozen=True)
class GoogleKeys:
    """A service account's key pair, and another private key that nobody knows."""

    private: str = field(repr=False)
    public: str
    stranger: str = field(repr=False)


def google_keys() -> GoogleKeys:
    key, stranger = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return GoogleKeys(_pem(key).decode(), public.decode(), _pem(stranger).decode())


def vertex_account(kind: str, keys: GoogleKeys, location: str = "global") -> Account:
    """vertex or vertex_anthropic with a service account."""
    hosts = {"global": "aiplatform.googleapis.com", "eu": "aiplatform.eu.rep.googleapis.com"}
    publisher = "anthropic" if kind == "vertex_anthropic" else "google"
    fields = {
        "client_email": CLIENT_EMAIL,
        "private_key": keys.private,
        "private_key_id": "key-1",
        "project_id": "canary-project",
    }
    return Account(
        Target(kind=kind, config={"project_id": "canary-project", "location": location}),
        hosts.get(location, f"{location}-aiplatform.googleapis.com"),
        f"/v1beta1/publishers/{publisher}/models",
        Identity("gcp_service_account_key", fields),
        Identity("gcp_service_account_key", {**fields, "private_key": keys.stranger}),
        {"publisherModels": [{"name": f"publishers/{publisher}/models/model-1", "versionId": "default"}]},
    )


def serve_google_token(world: World, keys: GoogleKeys) -> None:
    """Google's token endpoint, which verifies assertions with the public key."""

    def token(asked: Asked) -> Reply:
        invalid = in_json(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        if asked.form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return in_json(400, {"error": "unsupported_grant_type"})
        assertion = asked.form["assertion"]
        try:
            claims = jwt.decode(  # type: ignore[no-untyped-call]
                assertion, certs={"key-1": keys.public}, audience="https://oauth2.googleapis.com/token"
            )
        except ValueError:
            return invalid
        good = claims["iss"] == CLIENT_EMAIL and claims["scope"].endswith("/auth/cloud-platform")
        if not good or claims["exp"] - claims["iat"] > 3600:
            return invalid
        return in_json(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": MINTED_TOKEN})

    world.on("oauth2.googleapis.com", "/token", token)


def serve_vertex(world: World, account: Account, keys: GoogleKeys, reply: Reply | None = None) -> None:
    """The token endpoint, and the API that takes its tokens for the project."""
    serve_google_token(world, keys)
    refused = google_error(401, "UNAUTHENTICATED")
    takes = _takes_minted(account.listing, refused)

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("x-goog-user-project") != "canary-project":
            return google_error(403, "PERMISSION_DENIED")
        return reply if reply is not None and takes(asked) is not refused else takes(asked)

    world.on(account.host, account.path, answer)


def other_key(algorithm: str) -> str:
    """A private key that cannot make the signatures of a service account."""
    match algorithm:
        case "ec":
            return _pem(ec.generate_private_key(ec.SECP256R1())).decode()
        case _:
            return _pem(ed25519.Ed25519PrivateKey.generate()).decode()


def _pem(key: PrivateKeyTypes) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
