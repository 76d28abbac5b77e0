"""The settings: read from the environment once, checked, frozen. No secret is among them, only its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runtime.settings import (
    GRPC_PORT,
    HOME,
    INSECURE_DEBUG,
    LOG_LEVEL,
    LOG_LEVELS,
    REGISTRY_SOCKET,
    Setting,
    Values,
    path,
    read,
    refuse_trace,
    switch,
)


def _masked(url: str) -> str:
    # Not above: a health check reads settings too, and must not pay for SQLAlchemy.
    from service.store import masked_url

    return masked_url(url)


DATABASE_URL = Setting(
    "CODEVECTOR_DATABASE_URL",
    "a SQLAlchemy URL, e.g. `postgresql+psycopg://user@host/registry`",
    str,
    "sqlite:///$CODEVECTOR_HOME/registry.db",
    show=_masked,
)
REGISTRY_SECRET_FILE = Setting(
    "CODEVECTOR_REGISTRY_SECRET_FILE",
    "32 bytes that sign page tokens and the like, one file for all replicas",
    path,
    "$CODEVECTOR_HOME/registry.secret",
)
ALLOW_LOOPBACK_HTTP = switch(
    "CODEVECTOR_ALLOW_LOOPBACK_HTTP", "`1` allows upstreams such as `http://127.0.0.1:8099`"
)
ALLOW_PRIVATE_UPSTREAMS = switch(
    "CODEVECTOR_ALLOW_PRIVATE_UPSTREAMS", "`1` allows upstreams in private networks"
)
BUILD = Setting(
    "CODEVECTOR_BUILD",
    "the build that `GetSystemInfo` reports, e.g. a commit; set where an image is built",
    str,
    "",
)
TABLE = (
    HOME,
    GRPC_PORT,
    DATABASE_URL,
    REGISTRY_SOCKET,
    REGISTRY_SECRET_FILE,
    ALLOW_LOOPBACK_HTTP,
    ALLOW_PRIVATE_UPSTREAMS,
    LOG_LEVEL,
    INSECURE_DEBUG,
    BUILD,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All paths are absolute. ``database_url`` may hold a password: print ``lines()``, never the settings."""

    values: Values = field(compare=False)
    home: Path
    grpc_port: int
    database_url: str
    kms_socket: Path
    registry_secret: Path
    allow_loopback_http: bool
    allow_private_upstreams: bool
    log_level: str
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
        return LOG_LEVELS[self.log_level]

    def lines(self) -> list[str]:
        """Return the effective settings, one ``NAME=value`` each, in a fixed order, passwords masked."""
        return self.values.lines()


def load(environment: Mapping[str, str]) -> Settings:
    """Return the settings of ``environment``; an empty variable counts as unset.

    Raises:
        SettingsError: a value cannot be used.
    """
    values = read(environment, TABLE)
    refuse_trace(environment, values)
    return Settings(
        values=values,
        home=values[HOME],
        grpc_port=values[GRPC_PORT],
        database_url=values[DATABASE_URL],
        kms_socket=values[REGISTRY_SOCKET],
        registry_secret=values[REGISTRY_SECRET_FILE],
        allow_loopback_http=values[ALLOW_LOOPBACK_HTTP],
        allow_private_upstreams=values[ALLOW_PRIVATE_UPSTREAMS],
        log_level=values[LOG_LEVEL],
        build=values[BUILD],
    )
