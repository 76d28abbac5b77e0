"""What will be started, decided from the environment alone: paths, ports, and which process gets what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from console.settings import CONSOLE_PORT
from runtime.settings import (
    ADMIN_SOCKET,
    GRPC_PORT,
    HOME,
    LOG_FILE,
    REGISTRY_SOCKET,
    ROUTER_SOCKET,
    SettingsError,
    read,
)
from tools.steps import ROOT

SETTINGS = (HOME, GRPC_PORT, CONSOLE_PORT, REGISTRY_SOCKET, ROUTER_SOCKET, ADMIN_SOCKET)
DEPLOYMENT_ID = "deployment-id"
AUDIT_KEY = "audit.key"

QUIET_GRPC = {
    # glibc's arena per thread retains memory after the short-lived buffers of calls are freed.
    "MALLOC_ARENA_MAX": "2",
    # No process here forks once it has loaded grpc, and the fork handlers cost threads and descriptors.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}

KMS_ONLY = ("VAULT_", "CODEVECTOR_KMS_ADMIN_VAULT_", "CODEVECTOR_KEYRING")
"""Prefixes of what the registry must not see: Vault's token and the unlock secret can unwrap."""

SERVICE_ONLY = ("CODEVECTOR_DATABASE_URL", "CODEVECTOR_REGISTRY_SECRET_FILE", "PGPASS")
"""Prefixes of what the key sidecar must not see: it has no database."""


class RunRefused(Exception):
    """Nothing runs: it was not started, or is stopped again. The text is one sentence that names the fix."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All paths are absolute.

    `made_by_init` is what shows that `python -m kms init` was run: the keyring or, with keys in Vault, the
    deployment id or, where that is given too, the key of the audit. `database_file` is None where the
    database is elsewhere.
    """

    home: Path
    port: int
    console_port: int
    sockets: Mapping[str, Path]
    made_by_init: Path
    database_file: Path | None
    kms_environment: Mapping[str, str]
    service_environment: Mapping[str, str]
    console_environment: Mapping[str, str]

    @property
    def console_url(self) -> str:
        """Return the address of the page to open."""
        return f"http://127.0.0.1:{self.console_port}/admin/providers"

    @property
    def lock_file(self) -> Path:
        return self.home / "run.lock"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    def existing_data(self) -> Path | None:
        """Return a file that needs the keyring it was made with.

        A database elsewhere cannot be seen from here; the registry's own secret shows that the home was used.
        """
        candidate = self.database_file or self.home / "registry.secret"
        return candidate if candidate.exists() else None

    def needs_init(self) -> bool:
        """Return whether to make keys: only if nothing exists yet that other keys would be needed for.

        Raises:
            RunRefused: the keyring is gone and what it sealed is not.
        """
        if os.path.lexists(self.made_by_init):
            return False
        # The audit's key opens nothing, so existing data does not need it.
        data = self.existing_data() if self.made_by_init.name != AUDIT_KEY else None
        if data is not None:
            what = "deployment id" if self.made_by_init.name == DEPLOYMENT_ID else "keyring"
            raise RunRefused(
                f"the {what} {self.made_by_init} is missing, but data exists ({data}): restore it from a "
                "backup, or set CODEVECTOR_HOME to a new directory to start empty"
            )
        return True


def plan_of(environment: Mapping[str, str]) -> Plan:
    """Return the plan that an environment asks for; an empty variable counts as unset.

    Raises:
        RunRefused: a setting has no usable value.
    """
    given = {name: value for name, value in environment.items() if value}
    try:
        values = read({HOME.name: str(ROOT / "var"), **given}, SETTINGS)
    except SettingsError as refusal:
        raise RunRefused(str(refusal)) from None
    home = values[HOME]
    shared = {**given, **QUIET_GRPC, "CODEVECTOR_HOME": str(home)}
    return Plan(
        home=home,
        port=values[GRPC_PORT],
        console_port=values[CONSOLE_PORT],
        sockets={
            "registry": values[REGISTRY_SOCKET],
            "router": values[ROUTER_SOCKET],
            "admin": values[ADMIN_SOCKET],
        },
        made_by_init=_made_by_init(given, home),
        database_file=_database_file(given.get("CODEVECTOR_DATABASE_URL"), home),
        kms_environment=_logging(home, "kms", _without(shared, SERVICE_ONLY)),
        service_environment=_logging(home, "service", _without(shared, KMS_ONLY)),
        console_environment=_logging(home, "console", _without(shared, (*KMS_ONLY, *SERVICE_ONLY))),
    )


def _without(environment: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(prefixes)}


def _logging(home: Path, name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that writes its own log; stderr is that file from the beginning."""
    return {**environment, LOG_FILE.name: str(log_file(home, name))}


def log_file(home: Path, name: str) -> Path:
    """Return the log of a process."""
    return home / "logs" / f"{name}.log"


def _made_by_init(given: Mapping[str, str], home: Path) -> Path:
    """Return what is made for the first keyring, which wraps; later ones only unwrap what exists."""
    first = given.get("CODEVECTOR_KEYRING", f"local:{home}/kms/keyring.json").split(",")[0]
    scheme, _, path = first.partition(":")
    if scheme == "local":
        return Path(os.path.abspath(path))
    return home / "kms" / (AUDIT_KEY if "CODEVECTOR_DEPLOYMENT_ID" in given else DEPLOYMENT_ID)


def _database_file(url: str | None, home: Path) -> Path | None:
    if url is None:
        return home / "registry.db"
    parts = urlsplit(url)
    if parts.scheme.partition("+")[0] != "sqlite" or len(parts.path) < 2:
        return None
    return Path(os.path.abspath(ROOT / parts.path.removeprefix("/")))
