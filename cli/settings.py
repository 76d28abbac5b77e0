"""Where registry and sidecar are: from flags, else from the environment that they read themselves."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.failures import UsageFailure

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; None where it says nothing."""

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
        """The folder of receipts and case files."""
        return self.home / "receipts"


def load(environment: Mapping[str, str], flags: Flags) -> Settings:
    """The settings; an empty variable counts as unset.

    Raises:
        UsageFailure: a value cannot be used.
    """
    given = {name: value for name, value in environment.items() if value}
    home = (flags.home or Path(given.get("CODEVECTOR_HOME", "./var"))).expanduser().absolute()

    def socket(role: str, flag: Path | None) -> Path:
        told = given.get(f"CODEVECTOR_KMS_{role.upper()}_SOCKET")
        return (flag or Path(told or home / "kms" / f"{role}.sock")).expanduser().absolute()

    return Settings(
        home=home,
        registry=_address(flags.server, given.get("CODEVECTOR_GRPC_PORT", "50051")),
        registry_socket=socket("registry", flags.registry_socket),
        router_socket=socket("router", flags.router_socket),
        admin_socket=socket("admin", flags.admin_socket),
    )


def _address(flag: str | None, port: str) -> str:
    if flag is None:
        if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
            raise UsageFailure("CODEVECTOR_GRPC_PORT must be a port from 1 to 65535")
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
