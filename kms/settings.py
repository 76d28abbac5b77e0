"""The settings: read from the environment once, checked, frozen. Secrets are places, or print as nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kms.backends import LOCAL, VAULT_TRANSIT, KeyringUri
from kms.installation import parse_deployment_id
from kms.local.unlock import SYSTEMD_CREDENTIAL_NAME, UnlockKind, UnlockSource
from kms.rpc.roles import Role
from kms.vault.access import AppRole, VaultAccess, VaultSecret
from runtime.settings import (
    ADMIN_SOCKET,
    HOME,
    INSECURE_DEBUG,
    LOG_FILE,
    LOG_FILE_MIB,
    LOG_LEVEL,
    LOG_LEVELS,
    REGISTRY_SOCKET,
    ROUTER_SOCKET,
    Setting,
    SettingsError,
    Values,
    path,
    read,
    refuse_trace,
)

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SOCKETS = {Role.REGISTRY: REGISTRY_SOCKET, Role.ROUTER: ROUTER_SOCKET, Role.ADMIN: ADMIN_SOCKET}


def _keyrings(text: str) -> tuple[KeyringUri, ...]:
    try:
        keyrings = tuple(KeyringUri.parse(each) for each in text.split(","))
    except ValueError as error:
        raise ValueError(f"cannot be used: {error}") from None
    if len(set(keyrings)) < len(keyrings):
        raise ValueError("names the same keyring twice")
    # The registry remembers one sequence number: with two files, one could fall back unnoticed.
    if sum(uri.scheme == LOCAL for uri in keyrings) > 1:
        raise ValueError("names two keyring files: only one can be in use")
    return keyrings


def _deployment_id(text: str) -> bytes:
    try:
        return parse_deployment_id(text)
    except ValueError:
        raise ValueError("must be 32 hex digits") from None


def _vault_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise ValueError("must be the server's URL, like https://vault.example.com:8200")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("must begin with https://: data keys pass through it")
    return text.rstrip("/")


KEYRING = Setting(
    "CODEVECTOR_KEYRING",
    "where the keys are: `local:PATH` or `vault-transit:MOUNT/KEY`; of several, separated by commas, "
    "the first wraps and the others only unwrap",
    _keyrings,
    f"{LOCAL}:$CODEVECTOR_HOME/kms/keyring.json",
    show=lambda keyrings: ",".join(map(str, keyrings)),
)
UNLOCK_FILE = Setting(
    "CODEVECTOR_KEYRING_UNLOCK_FILE",
    "32 bytes that open a local keyring",
    path,
    default_note="`$CODEVECTOR_HOME/kms/unlock.key`",
)
PASSPHRASE_FILE = Setting(
    "CODEVECTOR_KEYRING_PASSPHRASE_FILE", "a passphrase that opens a local keyring, instead", path
)
CREDENTIALS_DIRECTORY = Setting(
    "CREDENTIALS_DIRECTORY",
    f"set by systemd; its credential `{SYSTEMD_CREDENTIAL_NAME}` opens a local keyring, instead",
    path,
)
DEPLOYMENT_ID = Setting(
    "CODEVECTOR_DEPLOYMENT_ID",
    "32 hex digits that sealed credentials are bound to",
    _deployment_id,
    default_note="made once, in the data directory",
    show=bytes.hex,
)
VAULT_ADDR = Setting(
    "VAULT_ADDR",
    "with keys in Vault Transit: the server, e.g. `https://vault.example.com:8200`",
    _vault_address,
    "",
)
VAULT_TOKEN = Setting("VAULT_TOKEN", "the identity in Vault that wraps and unwraps", VaultSecret, secret=True)
VAULT_ROLE_ID = Setting("VAULT_ROLE_ID", "an AppRole instead of the token", str)
VAULT_SECRET_ID = Setting("VAULT_SECRET_ID", "the AppRole's secret", VaultSecret, secret=True)
VAULT_CACERT = Setting("VAULT_CACERT", "a file with the certificates that Vault's is checked against", path)
VAULT_NAMESPACE = Setting("VAULT_NAMESPACE", "the namespace in Vault Enterprise", str)
ADMIN_VAULT_TOKEN_FILE = Setting(
    "CODEVECTOR_KMS_ADMIN_VAULT_TOKEN_FILE",
    "a file with the token that manages key versions in Vault; without it `providerctl key` cannot",
    path,
)

VAULT_TABLE = (
    VAULT_ADDR,
    VAULT_TOKEN,
    VAULT_ROLE_ID,
    VAULT_SECRET_ID,
    VAULT_CACERT,
    VAULT_NAMESPACE,
    ADMIN_VAULT_TOKEN_FILE,
)
"""Read only where a keyring is in Vault."""

TABLE = (
    HOME,
    KEYRING,
    REGISTRY_SOCKET,
    ROUTER_SOCKET,
    ADMIN_SOCKET,
    DEPLOYMENT_ID,
    UNLOCK_FILE,
    PASSPHRASE_FILE,
    CREDENTIALS_DIRECTORY,
    LOG_LEVEL,
    LOG_FILE,
    LOG_FILE_MIB,
    INSECURE_DEBUG,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All paths are absolute. ``deployment_id`` is what the environment declares, None where it is silent.

    ``keyrings`` is not empty: the first wraps, the others only unwrap. ``vault`` is set where one of them is
    in Vault.
    """

    values: tuple[Values, ...] = field(compare=False)
    home: Path
    keyrings: tuple[KeyringUri, ...]
    vault: VaultAccess | None
    sockets: Mapping[Role, Path]
    deployment_id_file: Path
    deployment_id: bytes | None
    unlock: UnlockSource
    log_level: str
    log_file: Path | None
    log_file_bytes: int

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
        return LOG_LEVELS[self.log_level]

    def lines(self) -> list[str]:
        """Return the effective settings, one ``NAME=value`` each, then comments, in a fixed order."""
        return [
            *(line for values in self.values for line in values.lines()),
            f"# the keyring opens with the {self.unlock}",
            f"# the deployment id is in {self.deployment_id_file}",
        ]


def load(environment: Mapping[str, str], *, exists: Callable[[Path], bool] = os.path.lexists) -> Settings:
    """Return the settings of ``environment``; an empty variable counts as unset.

    Raises:
        SettingsError: a value cannot be used, or two contradict each other.
    """
    values = read(environment, TABLE)
    refuse_trace(environment, values)
    in_vault = any(uri.scheme == VAULT_TRANSIT for uri in values[KEYRING])
    vault = read(environment, VAULT_TABLE) if in_vault else None
    own = values[HOME] / "kms"
    return Settings(
        values=(values, vault) if vault else (values,),
        home=values[HOME],
        keyrings=values[KEYRING],
        vault=_vault(vault) if vault else None,
        sockets=_sockets(values),
        deployment_id_file=own / "deployment-id",
        deployment_id=values.get(DEPLOYMENT_ID),
        unlock=_unlock(values, own, exists),
        log_level=values[LOG_LEVEL],
        log_file=values.get(LOG_FILE),
        log_file_bytes=values[LOG_FILE_MIB] << 20,
    )


def _vault(values: Values) -> VaultAccess:
    return VaultAccess(
        address=values[VAULT_ADDR],
        identity=_vault_identity(values),
        admin_token_file=values.get(ADMIN_VAULT_TOKEN_FILE),
        ca_file=values.get(VAULT_CACERT),
        namespace=values.get(VAULT_NAMESPACE),
    )


def _vault_identity(values: Values) -> AppRole | VaultSecret:
    token, role_id, secret_id = (
        values.get(VAULT_TOKEN),
        values.get(VAULT_ROLE_ID),
        values.get(VAULT_SECRET_ID),
    )
    if token and not role_id and not secret_id:
        return token
    if role_id and secret_id and not token:
        return AppRole(role_id, secret_id)
    raise SettingsError("a keyring in Vault needs VAULT_ROLE_ID and VAULT_SECRET_ID, or VAULT_TOKEN alone")


def _sockets(values: Values) -> dict[Role, Path]:
    sockets: dict[Role, Path] = {}
    for role, setting in _SOCKETS.items():
        if values[setting] in sockets.values():
            raise SettingsError(f"{setting.name} names the socket of another role")
        sockets[role] = values[setting]
    return sockets


def _unlock(values: Values, own: Path, exists: Callable[[Path], bool]) -> UnlockSource:
    """Return the one source that is named; the key file in the data directory where none is."""
    named: dict[str, UnlockSource] = {}
    if directory := values.get(CREDENTIALS_DIRECTORY):
        credential = directory / SYSTEMD_CREDENTIAL_NAME
        if exists(credential):
            named[CREDENTIALS_DIRECTORY.name] = UnlockSource(UnlockKind.SYSTEMD_CREDENTIAL, credential)
    for setting, kind in (
        (UNLOCK_FILE, UnlockKind.KEY_FILE),
        (PASSPHRASE_FILE, UnlockKind.PASSPHRASE_FILE),
    ):
        if file := values.get(setting):
            named[setting.name] = UnlockSource(kind, file)
    if len(named) > 1:
        raise SettingsError(f"{' and '.join(named)} both name the unlock secret: keep one")
    return next(iter(named.values()), UnlockSource(UnlockKind.KEY_FILE, own / "unlock.key"))
