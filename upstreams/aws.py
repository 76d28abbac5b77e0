"""Requests signed for AWS (Signature Version 4), and the role that a key can assume.

May see: a secret access key, which signs and is never sent, and a session token, which is. Must never: let
botocore log what it signs; its own `add_auth` writes the session token into the debug log, so the steps of
signing are called one by one.

Import it where it is needed: botocore takes a third of a second.

Source: AWS General Reference, Signature Version 4; AWS STS API Reference, AssumeRole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest

from upstreams.exchange import Answer, Call, form

BEDROCK_SIGNING_NAME: Final = "bedrock"
"""For the runtime's host, too."""
_SESSION_NAME: Final = "codevector-provider-test"
_SESSION_SECONDS: Final = 900
"""The shortest that STS allows."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """Credentials under the names that botocore's signer reads."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


def sign(call: Call, key: AccessKey, *, service: str, region: str, now: datetime) -> Call:
    """Return the call with its date, session token and signature. Nothing may be added afterwards."""
    timestamp = now.strftime(SIGV4_TIMESTAMP)
    headers = dict(call.headers) | {"X-Amz-Date": timestamp}
    if key.token:
        headers["X-Amz-Security-Token"] = key.token
    request = AWSRequest(method=call.method, url=call.url, headers=headers, data=call.body)
    request.context["timestamp"] = timestamp
    signer = SigV4Auth(key, service, region)
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    signed_headers = signer.signed_headers(signer.headers_to_sign(request))
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
        f"SignedHeaders={signed_headers}, Signature={signature}"
    )
    return Call(call.method, call.url, headers, call.body)


def assume_role_call(token_origin: str, key: AccessKey, role_arn: str, *, region: str, now: datetime) -> Call:
    """Return the call that asks STS for a role's temporary key."""
    body = form(
        {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": role_arn,
            "RoleSessionName": _SESSION_NAME,
            "DurationSeconds": str(_SESSION_SECONDS),
        }
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Accept": "text/xml"}
    call = Call("POST", f"{token_origin}/", headers, body)
    return sign(call, key, service="sts", region=region, now=now)


def assumed_key(answer: Answer) -> AccessKey | None:
    """Return the temporary key in STS's response; None where the response is something else.

    Three elements of plain text are all that is wanted: no parser of XML, with its entities, is needed.
    """
    text = answer.body.decode("utf-8", "replace")
    values = []
    for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"):
        found = re.search(rf"<{name}>\s*([\x21-\x25\x27-\x3b\x3d\x3f-\x7e]{{1,8192}})\s*</{name}>", text)
        if found is None:
            return None
        values.append(found[1])
    return AccessKey(*values)
