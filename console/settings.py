"""The settings: read from the environment once, checked, frozen. No secret is among them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

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
    """Where the console serves and where the registry is: both on this machine's loopback."""

    port: int
    grpc_port: int
    log_level: str

    @property
    def registry(self) -> str:
        """The address of the registry."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def url(self) -> str:
        """The page to open."""
        return f"http://127.0.0.1:{self.port}/admin/providers"

    @property
    def hosts(self) -> frozenset[str]:
        """What a browser on this machine may call the console in a Host header, in lower case."""
        return frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]"))

    @property
    def logging_level(self) -> int:
        """The level as the standard library numbers it."""
        return _LOG_LEVELS[self.log_level]

    def lines(self) -> list[str]:
        """The effective settings, one ``NAME=value`` each, in a fixed order."""
        return [
            f"CODEVECTOR_CONSOLE_PORT={self.port}",
            f"CODEVECTOR_GRPC_PORT={self.grpc_port}",
            f"CODEVECTOR_LOG_LEVEL={self.log_level}",
        ]


def load(environment: Mapping[str, str]) -> Settings:
    """Return the settings of ``environment``; an empty variable counts as unset.

    Raises:
        SettingsError: a value cannot be used.
    """
    given = {name: value for name, value in environment.items() if value}
    log_level = given.get("CODEVECTOR_LOG_LEVEL", "info").lower()
    if log_level not in _LOG_LEVELS:
        raise SettingsError(f"CODEVECTOR_LOG_LEVEL must be one of {', '.join(_LOG_LEVELS)}")
    return Settings(
        port=_port(given, "CODEVECTOR_CONSOLE_PORT", 8080),
        grpc_port=_port(given, "CODEVECTOR_GRPC_PORT", 50051),
        log_level=log_level,
    )


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise SettingsError(f"{name} must be a port from 1 to 65535, e.g. {default}")
    return int(text)
