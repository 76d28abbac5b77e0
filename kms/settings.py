"""The settings: read from the environment once, checked, frozen. Secrets are places, or print as nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kms.backends import LOCAL, VAULT_TRANSIT, KeyringUri
from kms.errors import StartError
from kms.installation import parse_deployment_id
from kms.local.unlock import SYSTEMD_CREDENTIAL_NAME, UnlockKind, UnlockSource
from kms.rpc.roles import Role
from kms.rpc.sockets import PATH_LIMIT
from kms.vault.access import AppRole, VaultAccess, VaultSecret

_VAULT_IDENTITIES = ("VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LOG_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class SettingsError(StartError):
    """A setting has no usable value; the sentence names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All paths are absolute. `deployment_id` is what the environment declares, None where it is silent.

    `keyrings` is not empty: the first wraps, the others only open. `vault` is set where one of them is there.
    """

    home: Path
    keyrings: tuple[KeyringUri, ...]
    vault: VaultAccess | None
    sockets: Mapping[Role, Path]
    deployment_id_file: Path
    deployment_id: bytes | None
    unlock: UnlockSource
    log_level: str
    insecure_debug: bool

    @property
    def directory(self) -> Path:
        """The sidecar's own directory."""
        return self.home / "kms"

    @property
    def audit_directory(self) -> Path:
        """Where the audit's files are."""
        return self.directory / "audit"

    @property
    def keyring_file(self) -> Path | None:
        """Of the first keyring, where it is a local one."""
        first = self.keyrings[0]
        return Path(first.place) if first.scheme == LOCAL else None

    @property
    def logging_level(self) -> int:
        """The level as the standard library numbers it."""
        return _LOG_LEVELS[self.log_level]

    def lines(self) -> list[str]:
        """The effective settings, one `NAME=value` each, in a fixed order."""
        sockets = [f"{_socket_name(role)}={path}" for role, path in self.sockets.items()]
        return [
            f"CODEVECTOR_HOME={self.home}",
            f"CODEVECTOR_KEYRING={','.join(map(str, self.keyrings))}",
            *(_vault_lines(self.vault) if self.vault else ()),
            *sockets,
            f"CODEVECTOR_DEPLOYMENT_ID={self.deployment_id.hex() if self.deployment_id else ''}",
            f"deployment id file={self.deployment_id_file}",
            f"unlock secret=******** from {self.unlock}",
            f"CODEVECTOR_LOG_LEVEL={self.log_level}",
            f"CODEVECTOR_INSECURE_DEBUG={int(self.insecure_debug)}",
        ]


def load(environment: Mapping[str, str], *, exists: Callable[[Path], bool] = os.path.lexists) -> Settings:
    """The settings of `environment`; an empty variable counts as unset.

    Raises:
        SettingsError: a value cannot be used, or two contradict each other.
    """
    given = {name: value for name, value in environment.items() if value}
    insecure_debug = _switch(given, "CODEVECTOR_INSECURE_DEBUG")
    if "GRPC_TRACE" in given and not insecure_debug:
        raise SettingsError("GRPC_TRACE prints keys to the log: unset it, or set CODEVECTOR_INSECURE_DEBUG=1")
    home = _path(given.get("CODEVECTOR_HOME", "./var"))
    own = home / "kms"
    keyrings = _keyrings(given.get("CODEVECTOR_KEYRING", f"{LOCAL}:{own / 'keyring.json'}"))
    log_level = given.get("CODEVECTOR_LOG_LEVEL", "info").lower()
    if log_level not in _LOG_LEVELS:
        raise SettingsError(f"CODEVECTOR_LOG_LEVEL must be one of {', '.join(_LOG_LEVELS)}")
    return Settings(
        home=home,
        keyrings=keyrings,
        vault=_vault(given) if any(uri.scheme == VAULT_TRANSIT for uri in keyrings) else None,
        sockets=_sockets(given, own),
        deployment_id_file=own / "deployment-id",
        deployment_id=_deployment_id(given.get("CODEVECTOR_DEPLOYMENT_ID")),
        unlock=_unlock(given, own, exists),
        log_level=log_level,
        insecure_debug=insecure_debug,
    )


def _keyrings(text: str) -> tuple[KeyringUri, ...]:
    try:
        keyrings = tuple(KeyringUri.parse(each) for each in text.split(","))
    except ValueError as error:
        raise SettingsError(f"CODEVECTOR_KEYRING cannot be used: {error}") from None
    if len(set(keyrings)) < len(keyrings):
        raise SettingsError("CODEVECTOR_KEYRING names the same keyring twice")
    # The registry remembers one sequence: of two files one could go back behind the other's.
    if sum(uri.scheme == LOCAL for uri in keyrings) > 1:
        raise SettingsError("CODEVECTOR_KEYRING names two keyring files: only one can be in use")
    return keyrings


def _vault(given: Mapping[str, str]) -> VaultAccess:
    admin_token_file = given.get("CODEVECTOR_KMS_ADMIN_VAULT_TOKEN_FILE")
    return VaultAccess(
        address=_vault_address(given.get("VAULT_ADDR", "")),
        identity=_vault_identity(given),
        admin_token_file=_path(admin_token_file) if admin_token_file else None,
        ca_file=_path(given["VAULT_CACERT"]) if "VAULT_CACERT" in given else None,
        namespace=given.get("VAULT_NAMESPACE"),
    )


def _vault_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise SettingsError("VAULT_ADDR must be the server's URL, like https://vault.example.com:8200")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise SettingsError("VAULT_ADDR must begin with https://: data keys pass through it")
    return text.rstrip("/")


def _vault_identity(given: Mapping[str, str]) -> AppRole | VaultSecret:
    token, role_id, secret_id = (given.get(name) for name in _VAULT_IDENTITIES)
    if token and not role_id and not secret_id:
        return VaultSecret(token)
    if role_id and secret_id and not token:
        return AppRole(role_id, VaultSecret(secret_id))
    raise SettingsError("a keyring in Vault needs VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_TOKEN alone")


def _vault_lines(vault: VaultAccess) -> list[str]:
    identity = "token" if isinstance(vault.identity, VaultSecret) else f"AppRole {vault.identity.role_id}"
    return [
        f"VAULT_ADDR={vault.address}",
        f"VAULT_NAMESPACE={vault.namespace or ''}",
        f"VAULT_CACERT={vault.ca_file or ''}",
        f"Vault identity=******** of {identity}",
        f"CODEVECTOR_KMS_ADMIN_VAULT_TOKEN_FILE={vault.admin_token_file or ''}",
    ]


def _sockets(given: Mapping[str, str], own: Path) -> dict[Role, Path]:
    sockets: dict[Role, Path] = {}
    for role in Role:
        name = _socket_name(role)
        path = _path(given.get(name, str(own / f"{role.value}.sock")))
        if len(os.fsencode(path)) > PATH_LIMIT:
            remedy = f"set {name} or a shorter CODEVECTOR_HOME"
            raise SettingsError(f"the socket path {path} is longer than {PATH_LIMIT} bytes: {remedy}")
        if path in sockets.values():
            raise SettingsError(f"{name} names the socket of another role")
        sockets[role] = path
    return sockets


def _socket_name(role: Role) -> str:
    return f"CODEVECTOR_KMS_{role.name}_SOCKET"


def _deployment_id(text: str | None) -> bytes | None:
    try:
        return None if text is None else parse_deployment_id(text)
    except ValueError:
        raise SettingsError("CODEVECTOR_DEPLOYMENT_ID must be 32 hex digits") from None


def _unlock(given: Mapping[str, str], own: Path, exists: Callable[[Path], bool]) -> UnlockSource:
    """The one source that is named; the key file in the home where none is."""
    named: dict[str, UnlockSource] = {}
    if directory := given.get("CREDENTIALS_DIRECTORY"):
        credential = _path(directory) / SYSTEMD_CREDENTIAL_NAME
        if exists(credential):
            named["CREDENTIALS_DIRECTORY"] = UnlockSource(UnlockKind.SYSTEMD_CREDENTIAL, credential)
    for name, kind in (
        ("CODEVECTOR_KEYRING_UNLOCK_FILE", UnlockKind.KEY_FILE),
        ("CODEVECTOR_KEYRING_PASSPHRASE_FILE", UnlockKind.PASSPHRASE_FILE),
    ):
        if name in given:
            named[name] = UnlockSource(kind, _path(given[name]))
    if len(named) > 1:
        raise SettingsError(f"{' and '.join(named)} both name the unlock secret: keep one")
    return next(iter(named.values()), UnlockSource(UnlockKind.KEY_FILE, own / "unlock.key"))


def _switch(given: Mapping[str, str], name: str) -> bool:
    value = given.get(name, "0")
    if value not in ("0", "1"):
        raise SettingsError(f"{name} must be 0 or 1")
    return value == "1"


def _path(text: str) -> Path:
    """Absolute, links left as they are: the last component is checked when it is opened."""
    return Path(os.path.abspath(text))
