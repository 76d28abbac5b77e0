"""A client secret of Microsoft Entra, exchanged for an access token of Azure's cognitive services.

May see: a client secret, which goes to the cloud's own authority and nowhere else.

Source: RFC 6749 section 4.4; Microsoft identity platform, client credentials flow.
"""

from __future__ import annotations

from urllib.parse import quote

from upstreams.exchange import Call, form


def token_call(authority: str, scope: str, *, tenant_id: str, client_id: str, client_secret: str) -> Call:
    """Return the call that asks the tenant for a token."""
    body = form(
        {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": scope,
        }
    )
    url = f"{authority}/{quote(tenant_id, safe='')}/oauth2/v2.0/token"
    return Call("POST", url, {"Content-Type": "application/x-www-form-urlencoded"}, body)
