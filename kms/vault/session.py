"""HTTP to Vault or OpenBao: one session, a token kept alive, every failure in our own words.

Sees DEKs in bodies. Must never let any part of a request or response reach an exception, its context, or a
log: hvac's exceptions quote bodies and those of ``requests`` carry the request, so hvac is set not to raise,
and what ``requests`` raises is dropped before anything else is raised.

hvac serves as the HTTP adapter alone: URLs, namespaces, the token header. Its Transit methods do not know
``reference`` and ``partial_failure_response_code``, so ``transit`` builds and reads the bodies itself.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hvac
import requests
from hvac.adapters import RawAdapter
from requests.adapters import HTTPAdapter

from kms.files.private import FileError, read_private
from kms.keyring import KeyAdminUnavailable, KeyringUnavailable
from kms.vault.access import AppRole, VaultAccess, VaultSecret
from runtime.circuit import Circuit

TIMEOUT_SECONDS = 2

_CONNECTIONS = 32  # 8 threads for each of three roles, and the refresher
_RENEW_AT = 2 / 3
_RETRY_SECONDS = 30.0
_FRESH_SECONDS = 10.0
_TOKEN_LIMIT = 8192
_OK = 200
_FORBIDDEN = 403
_THROTTLED = 429
_SEALED = 503
# Standby nodes that do not forward requests.
_STANDBY = frozenset({472, 473})


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A response: HTTP status and decoded body. Prints as its status, since bodies hold DEKs."""

    status: int
    body: Mapping[str, Any]

    @property
    def data(self) -> Mapping[str, Any]:
        """The ``data`` member; empty if there is none."""
        data = self.body.get("data")
        return data if isinstance(data, dict) else {}

    def complains_of(self, words: str) -> bool:
        """Return whether one of the server's error texts contains ``words``."""
        errors = self.body.get("errors")
        return isinstance(errors, list) and any(words in str(error) for error in errors)

    def __repr__(self) -> str:
        return f"Answer({self.status})"


class VaultForbidden(KeyringUnavailable):
    """The server refuses this identity, even after a new login."""

    def __init__(self) -> None:
        super().__init__("Vault refuses the sidecar: its identity has expired, or its policy is too narrow")


class VaultLink:
    """Requests to one server, without an identity of its own. Safe for threads."""

    def __init__(
        self, access: VaultAccess, circuit: Circuit, *, timeout_seconds: int = TIMEOUT_SECONDS
    ) -> None:
        self._timeout_seconds = timeout_seconds
        session = requests.Session()
        # Keys must not pass through the environment's proxies, nor use its .netrc.
        session.trust_env = False
        session.verify = str(access.ca_file) if access.ca_file else True
        pool = HTTPAdapter(pool_maxsize=_CONNECTIONS)
        session.mount("http://", pool)
        session.mount("https://", pool)
        self._session = session
        # A redirect would carry the token to whatever host it names, so none is followed.
        self._adapter = hvac.Client(
            url=access.address,
            token="",
            verify=session.verify,
            timeout=timeout_seconds,
            allow_redirects=False,
            session=session,
            adapter=RawAdapter,
            namespace=access.namespace,
        ).adapter
        self._circuit = circuit

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def request(
        self, method: str, path: str, body: Mapping[str, object] | None, token: VaultSecret | None
    ) -> Answer:
        """Send one request to ``/v1/{path}`` and return the response.

        Raises:
            KeyringUnavailable: the server is unreachable, hung, sealed, throttling, a standby, or not Vault.
        """
        if self._circuit.admit() is not None:
            raise KeyringUnavailable("Vault did not answer a moment ago")
        response: requests.Response | None = None
        failure = ""
        try:
            response = self._adapter.request(
                method,
                f"/v1/{path}",
                headers={"X-Vault-Token": token.reveal()} if token else None,
                json=body,
                raise_exception=False,
            )
        except requests.Timeout:
            failure = f"Vault did not answer within {self._timeout_seconds} s"
        except requests.RequestException:
            failure = "Vault cannot be reached"
        # Raised here, outside the handler: there it would keep the library's exception as its context.
        if response is None:
            self._circuit.failed()
            raise KeyringUnavailable(failure)
        self._circuit.succeeded()
        return _answer(response)


class VaultSession:
    """A link with the sidecar's identity: renews a token at two thirds of its life, logs in after its end."""

    def __init__(
        self, link: VaultLink, identity: AppRole | VaultSecret, *, monotonic: Callable[[], float]
    ) -> None:
        self._link = link
        self._identity = identity
        self._monotonic = monotonic
        self._changing = threading.Lock()
        self._token: _Token | None = None
        self._complaint = ""

    @property
    def complaint(self) -> str:
        """Why the current token will be the last one; empty while all is well."""
        return self._complaint

    def request(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """Send a request with a live token; replace a revoked token once.

        Raises:
            VaultForbidden: the identity, or a new token of it, may not do this.
            KeyringUnavailable: see ``VaultLink.request``.
        """
        token = self._alive()
        answer = self._link.request(method, path, body, token.secret)
        if answer.status == _FORBIDDEN and self._may_have_been_revoked(token):
            answer = self._link.request(method, path, body, self._replaced(token).secret)
        if answer.status == _FORBIDDEN:
            raise VaultForbidden
        return answer

    def _alive(self) -> _Token:
        """Return the token, renewed or replaced when due.

        One thread renews while the others use the old token, which has a third of its life left.
        """
        token = self._token
        if token is not None and self._monotonic() < token.renew_at:
            return token
        if not self._changing.acquire(blocking=token is None):
            assert token is not None  # noqa: S101 - a blocking acquire does not fail
            return token
        try:
            if self._token is None:
                self._token = self._logged_in()
            elif self._monotonic() >= self._token.renew_at:
                self._token = self._renewed(self._token)
            return self._token
        finally:
            self._changing.release()

    def _may_have_been_revoked(self, token: _Token) -> bool:
        """Return False for a token fresh from a login: its successor could do no more."""
        return isinstance(self._identity, AppRole) and self._monotonic() >= token.born_at + _FRESH_SECONDS

    def _replaced(self, refused: _Token) -> _Token:
        """Return another token than the refused one; another thread may have fetched it already."""
        with self._changing:
            if self._token is None or self._token.secret is refused.secret:
                self._token = self._logged_in()
            return self._token

    def _renewed(self, token: _Token) -> _Token:
        """Return the token renewed, or a new token; if neither can be had, the same one, to retry."""
        successor = self._renewal(token) if token.renewable else None
        # Near its final end (token_max_ttl) each renewal is shorter: log in before that.
        ending = successor is None or successor.life_seconds < token.first_life_seconds / 2
        if ending and isinstance(self._identity, AppRole):
            successor = self._login(self._identity) or successor
        if successor is None:
            self._complaint = "Vault no longer renews the sidecar's token: it will expire"
            return replace(token, renew_at=self._monotonic() + _RETRY_SECONDS)
        self._complaint = ""
        return successor

    def _logged_in(self) -> _Token:
        if isinstance(self._identity, AppRole):
            token = self._login(self._identity)
        else:
            token = self._look_up(self._identity)
        if token is None:
            raise VaultForbidden
        self._complaint = ""
        return token

    def _login(self, role: AppRole) -> _Token | None:
        """Return a new token, None if the role or its secret id is refused."""
        now = self._monotonic()
        body = {"role_id": role.role_id, "secret_id": role.secret_id.reveal()}
        auth = _auth(self._link.request("post", "auth/approle/login", body, None))
        if auth is None:
            return None
        life = float(auth["lease_duration"]) or math.inf
        return _Token(
            VaultSecret(auth["client_token"]), bool(auth["renewable"]), now, life, life, _due(now, life)
        )

    def _renewal(self, token: _Token) -> _Token | None:
        """Return the token with its new life, None if it is not renewed."""
        now = self._monotonic()
        auth = _auth(self._link.request("post", "auth/token/renew-self", {}, token.secret))
        if auth is None:
            return None
        life = float(auth["lease_duration"]) or math.inf
        return replace(token, life_seconds=life, renew_at=_due(now, life))

    def _look_up(self, secret: VaultSecret) -> _Token | None:
        """Return the configured token with the rest of its life, None if the server does not know it."""
        now = self._monotonic()
        answer = self._link.request("get", "auth/token/lookup-self", None, secret)
        if answer.status != _OK:
            return None
        left = float(answer.data["ttl"]) or math.inf
        first = float(answer.data["creation_ttl"]) or left
        return _Token(secret, bool(answer.data.get("renewable")), now, left, first, _due(now, left))


class AdminSession:
    """A link with the second identity, whose token is read from its file for each session.

    Raises:
        KeyAdminUnavailable: the file cannot be used, or (by ``request``) the server refuses its token.
    """

    def __init__(self, link: VaultLink, token_file: Path) -> None:
        self._link = link
        self._token = _read_token(token_file)

    def request(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """Send a request, as ``VaultLink.request`` does."""
        answer = self._link.request(method, path, body, self._token)
        if answer.status == _FORBIDDEN:
            raise KeyAdminUnavailable("Vault refuses the token of CODEVECTOR_KMS_ADMIN_VAULT_TOKEN_FILE")
        return answer


def _read_token(file: Path) -> VaultSecret:
    try:
        text = read_private(file, limit=_TOKEN_LIMIT).decode("ascii").strip()
    except (FileNotFoundError, FileError, UnicodeDecodeError):
        text = ""
    if not text:
        raise KeyAdminUnavailable(f"the token file {file} is missing, empty or not private")
    return VaultSecret(text)


@dataclass(frozen=True, slots=True)
class _Token:
    """A token and its life in seconds, infinite if it does not expire; times are monotonic."""

    secret: VaultSecret
    renewable: bool
    born_at: float
    life_seconds: float
    first_life_seconds: float
    renew_at: float


def _due(now: float, life_seconds: float) -> float:
    """Return when to renew: at most once a second, however short the remaining life."""
    return now + max(life_seconds * _RENEW_AT, 1.0)


def _auth(answer: Answer) -> Mapping[str, Any] | None:
    auth = answer.body.get("auth")
    return auth if answer.status == _OK and isinstance(auth, dict) else None


def _answer(response: requests.Response) -> Answer:
    """Parse a response. Raises KeyringUnavailable if it says that the server cannot serve now."""
    status = response.status_code
    if status == _THROTTLED:
        raise KeyringUnavailable("Vault limits the rate of requests")
    if status in _STANDBY or 300 <= status < 400:
        raise KeyringUnavailable("this Vault node is a standby that does not forward requests")
    body: object = None
    if response.content:
        try:
            body = response.json()
        except ValueError:
            status = 0  # raised outside the handler: see the module's docstring
    answer = Answer(status, body if isinstance(body, dict) else {})
    if status == _SEALED and answer.complains_of("sealed"):
        raise KeyringUnavailable("Vault is sealed")
    if status == 0 or status >= 500:
        raise KeyringUnavailable("Vault returned a server error")
    return answer
