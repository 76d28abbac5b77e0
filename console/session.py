"""Who the user is, and what their calls carry: the one place that identities will change.

Until there are identities the console runs on loopback and every caller of the registry is an administrator.
The session is then a random cookie that nothing but the form token depends on.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

COOKIE = "codevector_console"
"""Browsers take ``__Host-`` names over TLS alone, and this is plain HTTP on loopback."""

_SECRET_CHARACTERS = 43
"""32 random bytes in URL-safe base64 without padding."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser's session. ``fresh`` says that the browser does not have the cookie yet."""

    secret: str = field(repr=False)
    fresh: bool
    user: str = "local administrator"

    @property
    def form_token(self) -> str:
        """What every form sends back, so that another site cannot send one in the user's name."""
        return self.seal("form")

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call to the registry carries of the user."""
        return ()

    def seal(self, text: str) -> str:
        """Return a code that only this session can make for ``text``."""
        digest = hmac.digest(self.secret.encode(), text.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def owns(self, text: str, code: str) -> bool:
        """Return whether ``code`` is this session's for ``text``."""
        return hmac.compare_digest(self.seal(text).encode(), code.encode())


_CURRENT: ContextVar[Session] = ContextVar("session")


def enter(session: Session) -> None:
    """Make this the session of the request that the calling task serves."""
    _CURRENT.set(session)


def metadata() -> tuple[tuple[str, str], ...]:
    """Return what a call made for the present request carries of its user."""
    return _CURRENT.get().metadata


def of_cookies(cookies: Mapping[str, str]) -> Session:
    """Return the session of a request, a new one where the request brings none that could be ours."""
    secret = cookies.get(COOKIE, "")
    if len(secret) == _SECRET_CHARACTERS and secret.isascii():
        return Session(secret, fresh=False)
    return Session(secrets.token_urlsafe(32), fresh=True)


def set_cookie(session: Session) -> str:
    """Return the value of the Set-Cookie header. Lax, so that a link from elsewhere keeps the session."""
    return f"{COOKIE}={session.secret}; Path=/; HttpOnly; SameSite=Lax"
