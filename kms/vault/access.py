"""How the sidecar reaches Vault and as whom: values from the settings, secrets that print as nothing."""

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
        """The secret itself, for the one request that carries it."""
        return self._text

    def __repr__(self) -> str:
        return "VaultSecret(<redacted>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Vault secret is not serialised")


@dataclass(frozen=True, slots=True)
class AppRole:
    """An identity that logs in, again whenever its token has ended."""

    role_id: str
    secret_id: VaultSecret


@dataclass(frozen=True, slots=True)
class VaultAccess:
    """A server and an identity: an AppRole, or a token that is renewed for as long as Vault allows.

    `admin_token_file` holds the token of the second identity, read for each administrative call, so that
    whoever issues it can replace it; without it those calls are refused.
    """

    address: str
    identity: AppRole | VaultSecret
    admin_token_file: Path | None = None
    ca_file: Path | None = None
    namespace: str | None = None
