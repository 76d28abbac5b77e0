"""The headers that authenticate a call, for each type of credential.

May see: a credential, and the tokens it is exchanged for. Each goes only where it belongs: client secrets and
assertions to the token endpoint, minted tokens to the API, AWS secrets nowhere at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from upstreams.entra import token_call
from upstreams.exchange import Answer, Call, Exchange
from upstreams.judgement import judge_entra, judge_google_token, judge_role
from upstreams.kinds import CredentialType
from upstreams.outcome import Reason
from upstreams.target import Identity, Target

ANTHROPIC_VERSION: Final = "2023-06-01"
_KEY_HEADERS: Mapping[str, str] = {
    "anthropic": "x-api-key",
    "azure": "api-key",
    "google": "x-goog-api-key",
}
"""Of all other kinds: ``Authorization: Bearer``. Google's key never goes into a query: queries are logged."""
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")

Authorise = Callable[[Call], Call]


class Refused(Exception):
    """A call cannot be authorised. Its reason says why, and nothing else does."""

    def __init__(self, reason: Reason, http_status_code: int = 0) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.http_status_code = http_status_code


def authorisation(
    target: Target, identity: Identity | None, exchange: Exchange, now: Callable[[], datetime]
) -> Authorise:
    """Return what authorises calls to the target's API, with a token fetched where one is needed.

    Raises:
        Refused: the identity cannot be used, or the token endpoint rejects it.
        Unreached: the token endpoint did not respond.
    """
    own = _own_headers(target)
    if identity is None:
        if target.rules.credential_required:
            raise Refused(Reason.NO_CREDENTIAL)
        return lambda call: call.with_headers(own)
    _check(target, identity)
    if identity.type == CredentialType.AWS_ACCESS_KEY.word:
        return _aws(target, identity, exchange, now)
    headers = {**own, **_headers(target, identity, exchange, now)}
    return lambda call: call.with_headers(headers)


def _check(target: Target, identity: Identity) -> None:
    if identity.type not in {taken.word for taken in target.rules.credential_types}:
        raise Refused(Reason.WRONG_TYPE)
    if identity.type == CredentialType.AMBIENT.word:
        raise Refused(Reason.AMBIENT_IDENTITY)
    if not identity.well_formed:
        raise Refused(Reason.MALFORMED_KEY)


def _own_headers(target: Target) -> dict[str, str]:
    """Return the headers that the provider's settings ask for, beside the credential."""
    config = target.config
    match target.kind:
        case "openai":
            names = {"organization": "OpenAI-Organization", "project": "OpenAI-Project"}
            return {header: config[name] for name, header in names.items() if config.get(name)}
        case "anthropic":
            return {"anthropic-version": config.get("api_version") or ANTHROPIC_VERSION}
        case "vertex" | "vertex_anthropic":
            return {"x-goog-user-project": config["project_id"]}
        case "openai_compatible":
            return dict(target.headers)
        case _:
            return {}


def _headers(
    target: Target, identity: Identity, exchange: Exchange, now: Callable[[], datetime]
) -> dict[str, str]:
    if identity.type == CredentialType.API_KEY.word:
        key = identity.fields["api_key"]
        own = _KEY_HEADERS.get(target.kind)
        return {own: key} if own else {"Authorization": f"Bearer {key}"}
    if identity.type == CredentialType.GCP_SERVICE_ACCOUNT_KEY.word:
        return {"Authorization": f"Bearer {_google_token(identity, exchange, now)}"}
    return {"Authorization": f"Bearer {_entra_token(target, identity, exchange)}"}


def _google_token(identity: Identity, exchange: Exchange, now: Callable[[], datetime]) -> str:
    from upstreams.service_account import assertion_call

    names = ("client_email", "private_key", "private_key_id")
    call = assertion_call(**{name: identity.fields[name] for name in names}, now=now())
    if call is None:
        raise Refused(Reason.MALFORMED_KEY)
    answer = exchange.send(call)
    return _token(answer, judge_google_token(answer))


def _entra_token(target: Target, identity: Identity, exchange: Exchange) -> str:
    names = ("tenant_id", "client_id", "client_secret")
    fields = {name: identity.fields[name] for name in names}
    answer = exchange.send(token_call(target.token_origin, target.entra_scope, **fields))
    return _token(answer, judge_entra(answer))


def _token(answer: Answer, refused: Reason | None) -> str:
    if refused is not None:
        raise Refused(refused, answer.status)
    document = answer.document()
    token = document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise Refused(Reason.NOT_THE_API, answer.status)
    return token


def _aws(target: Target, identity: Identity, exchange: Exchange, now: Callable[[], datetime]) -> Authorise:
    from upstreams import aws

    fields, region = identity.fields, target.config["region"]
    key = aws.AccessKey(fields["access_key_id"], fields["secret_access_key"], fields.get("session_token", ""))
    role_arn = fields.get("assume_role_arn", "")
    if role_arn:
        answer = exchange.send(
            aws.assume_role_call(target.token_origin, key, role_arn, region=region, now=now())
        )
        refused = judge_role(answer)
        role_key = aws.assumed_key(answer) if refused is None else None
        if role_key is None:
            raise Refused(refused or Reason.NOT_THE_API, answer.status)
        key = role_key
    return lambda call: aws.sign(call, key, service=aws.BEDROCK_SIGNING_NAME, region=region, now=now())
