"""The settings: read from the environment once, checked, frozen. No secret is among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtime.settings import (
    GRPC_PORT,
    LOG_FILE,
    LOG_FILE_MIB,
    LOG_LEVEL,
    LOG_LEVELS,
    Setting,
    Values,
    port,
    read,
)

CONSOLE_PORT = Setting(
    "CODEVECTOR_CONSOLE_PORT", "where the console serves its pages, on 127.0.0.1", port, "8080"
)
TABLE = (CONSOLE_PORT, GRPC_PORT, LOG_LEVEL, LOG_FILE, LOG_FILE_MIB)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the console serves and where the registry is: both on this machine's loopback."""

    values: Values = field(compare=False)
    port: int
    grpc_port: int
    log_level: str
    log_file: Path | None
    log_file_bytes: int

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
        return LOG_LEVELS[self.log_level]

    def lines(self) -> list[str]:
        """Return the effective settings, one ``NAME=value`` each, in a fixed order."""
        return self.values.lines()


def load(environment: Mapping[str, str]) -> Settings:
    """Return the settings of ``environment``; an empty variable counts as unset.

    Raises:
        SettingsError: a value cannot be used.
    """
    values = read(environment, TABLE)
    return Settings(
        values=values,
        port=values[CONSOLE_PORT],
        grpc_port=values[GRPC_PORT],
        log_level=values[LOG_LEVEL],
        log_file=values.get(LOG_FILE),
        log_file_bytes=values[LOG_FILE_MIB] << 20,
    )
