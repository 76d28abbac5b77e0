"""Where registry and sidecar are: from options, else from the variables that they read themselves."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.failures import UsageFailure
from runtime.settings import (
    ADMIN_SOCKET,
    GRPC_PORT,
    HOME,
    REGISTRY_SOCKET,
    ROUTER_SOCKET,
    SettingsError,
    read,
)

TABLE = (HOME, GRPC_PORT, REGISTRY_SOCKET, ROUTER_SOCKET, ADMIN_SOCKET)

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; None where an option is not given."""

    server: str | None = None
    home: Path | None = None
    registry_socket: Path | None = None
    router_socket: Path | None = None
    admin_socket: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All paths are absolute; ``registry`` is host:port."""

    home: Path
    registry: str
    registry_socket: Path
    router_socket: Path
    admin_socket: Path

    @property
    def receipts(self) -> Path:
        """Return the folder of receipts and case files."""
        return self.home / "receipts"


def load(environment: Mapping[str, str], flags: Flags) -> Settings:
    """Return the settings: a flag counts before its variable, and an empty variable counts as unset.

    Raises:
        UsageFailure: a value cannot be used.
    """
    flagged = {
        HOME: flags.home,
        REGISTRY_SOCKET: flags.registry_socket,
        ROUTER_SOCKET: flags.router_socket,
        ADMIN_SOCKET: flags.admin_socket,
    }
    given = {setting.name: str(flag) for setting, flag in flagged.items() if flag is not None}
    try:
        values = read({**environment, **given}, TABLE)
    except SettingsError as refusal:
        raise UsageFailure(str(refusal)) from None
    return Settings(
        home=values[HOME],
        registry=_address(flags.server, values[GRPC_PORT]),
        registry_socket=values[REGISTRY_SOCKET],
        router_socket=values[ROUTER_SOCKET],
        admin_socket=values[ADMIN_SOCKET],
    )


def _address(flag: str | None, port: int) -> str:
    if flag is None:
        return f"127.0.0.1:{port}"
    match = _ADDRESS.fullmatch(flag)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise UsageFailure("--server must be HOST:PORT, e.g. 127.0.0.1:50051")
    if not _is_loopback(match["host"].strip("[]")):
        # Nothing on this connection is encrypted or identified.
        raise UsageFailure("--server must be on this machine; reach another one through a tunnel to it")
    return flag


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
