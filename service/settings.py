"""The settings: read from the environment once, checked, frozen. No secret is among them, only its place."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.store import masked_url

SOCKET_PATH_LIMIT = 107
"""Bytes that fit `sockaddr_un` beside the closing zero. Source: unix(7)."""

_LOG_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class SettingsError(Exception):
    """A setting has no usable value; the message is one sentence that names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All paths are absolute. ``database_url`` may hold a password: print ``lines()``, never the settings."""

    home: Path
    grpc_port: int
    database_url: str
    kms_socket: Path
    registry_secret: Path
    allow_loopback_http: bool
    allow_private_upstreams: bool
    log_level: str
    insecure_debug: bool
    build: str

    def __repr__(self) -> str:
        return f"Settings({', '.join(self.lines())})"

    @property
    def address(self) -> str:
        """Where gRPC is served: on loopback, since every caller is an administrator."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def logging_level(self) -> int:
        """The level as the standard library numbers it."""
        return _LOG_LEVELS[self.log_level]

    def lines(self) -> list[str]:
        """The effective settings, one ``NAME=value`` each, in a fixed order, passwords masked."""
        return [
            f"CODEVECTOR_HOME={self.home}",
            f"CODEVECTOR_GRPC_PORT={self.grpc_port}",
            f"CODEVECTOR_DATABASE_URL={masked_url(self.database_url)}",
            f"CODEVECTOR_KMS_REGISTRY_SOCKET={self.kms_socket}",
            f"CODEVECTOR_REGISTRY_SECRET_FILE={self.registry_secret}",
            f"CODEVECTOR_ALLOW_LOOPBACK_HTTP={int(self.allow_loopback_http)}",
            f"CODEVECTOR_ALLOW_PRIVATE_UPSTREAMS={int(self.allow_private_upstreams)}",
            f"CODEVECTOR_LOG_LEVEL={self.log_level}",
            f"CODEVECTOR_INSECURE_DEBUG={int(self.insecure_debug)}",
            f"CODEVECTOR_BUILD={self.build}",
        ]


def load(environment: Mapping[str, str]) -> Settings:
    """The settings of ``environment``; an empty variable counts as unset.

    Raises:
        SettingsError: a value cannot be used.
    """
    given = {name: value for name, value in environment.items() if value}
    insecure_debug = _switch(given, "CODEVECTOR_INSECURE_DEBUG")
    if "GRPC_TRACE" in given and not insecure_debug:
        raise SettingsError(
            "GRPC_TRACE prints credentials to the log: unset it, or set CODEVECTOR_INSECURE_DEBUG=1"
        )
    log_level = given.get("CODEVECTOR_LOG_LEVEL", "info").lower()
    if log_level not in _LOG_LEVELS:
        raise SettingsError(f"CODEVECTOR_LOG_LEVEL must be one of {', '.join(_LOG_LEVELS)}")
    home = _path(given.get("CODEVECTOR_HOME", "./var"))
    return Settings(
        home=home,
        grpc_port=_port(given, "CODEVECTOR_GRPC_PORT", 50051),
        database_url=given.get("CODEVECTOR_DATABASE_URL", f"sqlite:///{home / 'registry.db'}"),
        kms_socket=_socket(given, home),
        registry_secret=_path(given.get("CODEVECTOR_REGISTRY_SECRET_FILE", str(home / "registry.secret"))),
        allow_loopback_http=_switch(given, "CODEVECTOR_ALLOW_LOOPBACK_HTTP"),
        allow_private_upstreams=_switch(given, "CODEVECTOR_ALLOW_PRIVATE_UPSTREAMS"),
        log_level=log_level,
        insecure_debug=insecure_debug,
        build=given.get("CODEVECTOR_BUILD", ""),
    )


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _socket(given: Mapping[str, str], home: Path) -> Path:
    name = "CODEVECTOR_KMS_REGISTRY_SOCKET"
    path = _path(given.get(name, str(home / "kms" / "registry.sock")))
    if len(bytes(path)) > SOCKET_PATH_LIMIT:
        raise SettingsError(
            f"the socket path {path} is longer than {SOCKET_PATH_LIMIT} bytes: "
            f"set {name} to a shorter one, or CODEVECTOR_HOME to a shorter directory"
        )
    return path


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"{name} must be a port from 1 to 65535")
    return int(text)


def _switch(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "0").lower()
    if text not in ("0", "1", "false", "true"):
        raise SettingsError(f"{name} must be 0 or 1")
    return text in ("1", "true")
