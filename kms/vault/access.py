"""How the sidecar reaches Vault, and as whom. Secrets do not print."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn


class VaultSecret:
    """A token or a secret id: never printed, never pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself, for the one request that carries it."""
        return self._text

    def __repr__(self) -> str:
        return "VaultSecret(<redacted>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Vault secret cannot be serialised")


@dataclass(frozen=True, slots=True)
class AppRole:
    """An identity that logs in, and again when its token has expired."""

    role_id: str
    secret_id: VaultSecret


@dataclass(frozen=True, slots=True)
class VaultAccess:
    """A server and an identity: an AppRole, or a token that is renewed as long as Vault allows.

    ``admin_token_file`` holds the token of the second identity. It is read for each administrative call, so
    it can be replaced at any time; without it those calls are refused.
    """

    address: str
    identity: AppRole | VaultSecret
    admin_token_file: Path | None = None
    ca_file: Path | None = None
    namespace: str | None = None
