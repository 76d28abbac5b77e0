"""A Google service account's assertion, which Google's token endpoint exchanges for an access token.

May see: a private key, which signs and is never sent. The endpoint is fixed: one of a key file's own choice
would be handed assertions that open the account.

Source: RFC 7523; Google's "Using OAuth 2.0 for Server to Server Applications".
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from google.auth import crypt, jwt

from upstreams.exchange import Call, form
from upstreams.kinds import GOOGLE_TOKEN_ORIGIN

TOKEN_URL: Final = f"{GOOGLE_TOKEN_ORIGIN}/token"
SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SECONDS: Final = 3600


class _Signer(Protocol):
    def sign(self, message: bytes) -> bytes: ...


def assertion_call(*, client_email: str, private_key: str, private_key_id: str, now: datetime) -> Call | None:
    """Return the call that asks for an access token; None where the private key cannot sign RS256."""
    signer = _signer(private_key, private_key_id)
    if signer is None:
        return None
    issued = int(now.timestamp())
    claims = {
        "iss": client_email,
        "scope": SCOPE,
        "aud": TOKEN_URL,
        "iat": issued,
        "exp": issued + _SECONDS,
    }
    try:
        assertion: bytes = jwt.encode(signer, claims)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError):
        return None  # a key of another algorithm, or too short for the digest
    body = form({"grant_type": _GRANT, "assertion": assertion.decode("ascii")})
    return Call("POST", TOKEN_URL, {"Content-Type": "application/x-www-form-urlencoded"}, body)


def _signer(private_key: str, private_key_id: str) -> _Signer | None:
    try:
        signer: _Signer = crypt.RSASigner.from_string(private_key, private_key_id)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None  # not PEM, encrypted, or of an unknown type
    return signer
