"""The settings: read from the environment once, checked, frozen. No secret is among them, only its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from runtime.secret_files import read_secret_file
from runtime.settings import (
    GRPC_PORT,
    HOME,
    INSECURE_DEBUG,
    LOG_FILE,
    LOG_FILE_MIB,
    LOG_LEVEL,
    LOG_LEVELS,
    REGISTRY_SOCKET,
    Setting,
    SettingsError,
    Values,
    path,
    read,
    refuse_trace,
    switch,
    whole_number,
)


def _masked(url: str) -> str:
    # Not above: a health check reads settings too, and must not pay for SQLAlchemy.
    from service.store import masked_url

    return masked_url(url)


MIN_CONNECTIONS = 4
"""One for reads, one for writes, one for the routing table and one for what replicas tell each other."""


def _connections(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not MIN_CONNECTIONS <= int(text) <= 1000:
        raise ValueError(f"must be a number from {MIN_CONNECTIONS} to 1000, e.g. 26")
    return int(text)


MAX_DRAIN = 60


def _drain_seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > MAX_DRAIN:
        raise ValueError(f"must be a number of seconds from 0 to {MAX_DRAIN}, e.g. 5")
    return int(text)


DATABASE_URL = Setting(
    "CODEVECTOR_DATABASE_URL",
    "a SQLAlchemy URL, e.g. `postgresql+psycopg://user@host/registry`",
    str,
    "sqlite:///$CODEVECTOR_HOME/registry.db",
    show=_masked,
    spell_home=quote,
)
DATABASE_URL_FILE = Setting(
    "CODEVECTOR_DATABASE_URL_FILE", "a file with the URL, instead; only this account may read it", path
)
DATABASE_PASSWORD_FILE = Setting(
    "CODEVECTOR_DATABASE_PASSWORD_FILE",
    "a file with PostgreSQL's password, read for each new connection; only this account may read it",
    path,
)
DATABASE_CONNECTIONS = Setting(
    "CODEVECTOR_DATABASE_CONNECTIONS",
    f"how many connections to the database at most, {MIN_CONNECTIONS} or more",
    _connections,
    "26",
)
DATABASE_PGBOUNCER = switch(
    "CODEVECTOR_DATABASE_PGBOUNCER", "`1` where the URL leads to PgBouncer in transaction mode"
)
REGISTRY_SECRET_FILE = Setting(
    "CODEVECTOR_REGISTRY_SECRET_FILE",
    "32 bytes that sign page tokens and the like, one file for all replicas",
    path,
    "$CODEVECTOR_HOME/registry.secret",
)
DRAIN_SECONDS = Setting(
    "CODEVECTOR_DRAIN_SECONDS",
    "for how many seconds a stopping registry serves on while its health says that it does not: longer than "
    f"the checks of a balancer are apart, at most {MAX_DRAIN}",
    _drain_seconds,
    "0",
)
ALLOW_LOOPBACK_HTTP = switch(
    "CODEVECTOR_ALLOW_LOOPBACK_HTTP", "`1` allows upstreams such as `http://127.0.0.1:8099`"
)
ALLOW_PRIVATE_UPSTREAMS = switch(
    "CODEVECTOR_ALLOW_PRIVATE_UPSTREAMS", "`1` allows upstreams in private networks"
)
CHANGE_LOG_MIB = Setting(
    "CODEVECTOR_CHANGE_LOG_MIB",
    "how many MiB of changes are kept for routers that resume; one that was away longer gets a snapshot",
    whole_number(1, 1 << 20),
    "256",
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
    DATABASE_URL_FILE,
    DATABASE_PASSWORD_FILE,
    DATABASE_CONNECTIONS,
    DATABASE_PGBOUNCER,
    REGISTRY_SOCKET,
    REGISTRY_SECRET_FILE,
    DRAIN_SECONDS,
    ALLOW_LOOPBACK_HTTP,
    ALLOW_PRIVATE_UPSTREAMS,
    CHANGE_LOG_MIB,
    LOG_LEVEL,
    LOG_FILE,
    LOG_FILE_MIB,
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
    database_password: Path | None
    """The file with the password, where one is named."""
    database_connections: int
    database_pgbouncer: bool
    kms_socket: Path
    registry_secret: Path
    drain_seconds: int
    allow_loopback_http: bool
    allow_private_upstreams: bool
    change_log_bytes: int
    log_level: str
    log_file: Path | None
    log_file_bytes: int
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
    values = read(_with_url(environment), TABLE)
    refuse_trace(environment, values)
    return Settings(
        values=values,
        home=values[HOME],
        grpc_port=values[GRPC_PORT],
        database_url=values[DATABASE_URL],
        database_password=values.get(DATABASE_PASSWORD_FILE),
        database_connections=values[DATABASE_CONNECTIONS],
        database_pgbouncer=values[DATABASE_PGBOUNCER],
        kms_socket=values[REGISTRY_SOCKET],
        registry_secret=values[REGISTRY_SECRET_FILE],
        drain_seconds=values[DRAIN_SECONDS],
        allow_loopback_http=values[ALLOW_LOOPBACK_HTTP],
        allow_private_upstreams=values[ALLOW_PRIVATE_UPSTREAMS],
        change_log_bytes=values[CHANGE_LOG_MIB] << 20,
        log_level=values[LOG_LEVEL],
        log_file=values.get(LOG_FILE),
        log_file_bytes=values[LOG_FILE_MIB] << 20,
        build=values[BUILD],
    )


def _with_url(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with the database's URL in it, also where a file has it.

    Raises:
        SettingsError: there are two URLs, or the file may not be used.
    """
    place = environment.get(DATABASE_URL_FILE.name)
    if not place:
        return environment
    if environment.get(DATABASE_URL.name):
        raise SettingsError(f"{DATABASE_URL.name} and {DATABASE_URL_FILE.name} are both set: unset one")
    try:
        url = read_secret_file(path(place))
    except ValueError as error:
        raise SettingsError(f"{DATABASE_URL_FILE.name} {error}") from None
    return {**environment, DATABASE_URL.name: url}
