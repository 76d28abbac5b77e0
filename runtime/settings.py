"""Settings as a table: each with its name, meaning, parser and default, and whether it is a secret.

A process lists its settings once. What it reads, what ``--check-config`` prints and what the documentation
says come from that list. Settings that several processes read are here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

SOCKET_PATH_LIMIT = 107
"""Bytes that fit ``sockaddr_un`` beside the closing zero. Source: unix(7)."""

MASK = "********"
LOG_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class SettingsError(Exception):
    """A setting has no usable value; the message is one sentence that names it."""


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """One variable of the environment.

    ``parse`` raises ValueError with what is right: "must be 0 or 1". ``default`` is text to parse, in which
    ``$CODEVECTOR_HOME`` stands for the data directory as ``spell_home`` writes it; None leaves the setting
    unset, and ``default_note`` may say what happens then. ``show`` is how ``--check-config`` prints a value
    that is not a secret.
    """

    name: str
    about: str
    parse: Callable[[str], T]
    default: str | None = None
    default_note: str = ""
    secret: bool = False
    show: Callable[[T], str] = str
    spell_home: Callable[[str], str] = str


class Values:
    """The effective settings. Secrets are masked in ``lines`` and in the repr."""

    def __init__(self, settings: Sequence[Setting[Any]], parsed: Mapping[str, object]) -> None:
        self._settings = tuple(settings)
        self._parsed = parsed

    def __getitem__(self, setting: Setting[T]) -> T:
        """Return the value. Raises KeyError where it is unset and has no default."""
        return cast(T, self._parsed[setting.name])

    def get(self, setting: Setting[T]) -> T | None:
        """Return the value, None where it is unset and has no default."""
        return self[setting] if setting.name in self._parsed else None

    def __repr__(self) -> str:
        return f"Values({', '.join(self.lines())})"

    def lines(self) -> list[str]:
        """Return one ``NAME=value`` each, in the order of the table."""
        return [f"{setting.name}={self._shown(setting)}" for setting in self._settings]

    def _shown(self, setting: Setting[Any]) -> str:
        if setting.name not in self._parsed:
            return ""
        return MASK if setting.secret else setting.show(self[setting])


def read(environment: Mapping[str, str], settings: Sequence[Setting[Any]]) -> Values:
    """Return the effective settings; an empty variable counts as unset. ``HOME`` comes first in the table.

    Raises:
        SettingsError: a value cannot be used.
    """
    return Values(settings, dict(_parsed(environment, settings)))


def _parsed(environment: Mapping[str, str], settings: Sequence[Setting[Any]]) -> Iterator[tuple[str, object]]:
    home = ""
    for setting in settings:
        text = environment.get(setting.name)
        if not text and setting.default is None:
            continue
        try:
            default = (setting.default or "").replace("$CODEVECTOR_HOME", setting.spell_home(home))
            value = setting.parse(text or default)
        except ValueError as error:
            raise SettingsError(f"{setting.name} {error}") from None
        if setting.name == HOME.name:
            home = str(value)
        yield setting.name, value


def refuse_trace(environment: Mapping[str, str], values: Values) -> None:
    """Refuse to start with gRPC's tracing on, which prints messages.

    Raises:
        SettingsError: GRPC_TRACE is set, and the switch that allows it is not.
    """
    if environment.get("GRPC_TRACE") and not values[INSECURE_DEBUG]:
        raise SettingsError(
            f"GRPC_TRACE prints credentials and keys to the log: unset it, or set {INSECURE_DEBUG.name}=1"
        )


def path(text: str) -> Path:
    """Parse a path: absolute, with links left as they are."""
    return Path(os.path.abspath(os.path.expanduser(text)))


def port(text: str) -> int:
    """Parse a TCP port."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ValueError("must be a port from 1 to 65535, e.g. 50051")
    return int(text)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from ``least`` to ``most``."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least:,} to {most:,}")
        return int(text)

    return parse


def switch(name: str, about: str) -> Setting[bool]:
    """Return a setting that is off unless it is 1."""
    return Setting(name, about, _switch, "0", show=lambda on: str(int(on)))


def _switch(text: str) -> bool:
    if text.lower() not in ("0", "1", "false", "true"):
        raise ValueError("must be 0 or 1")
    return text.lower() in ("1", "true")


def _level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _home(text: str) -> Path:
    parsed = path(text)
    if "," in str(parsed):
        raise ValueError("must not have a comma in its path: gRPC takes what follows one for another address")
    return parsed


def _socket_path(text: str) -> Path:
    parsed = path(text)
    length = len(os.fsencode(parsed))
    if length > SOCKET_PATH_LIMIT:
        raise ValueError(
            f"is {length} bytes long, and a socket's path may have {SOCKET_PATH_LIMIT}: "
            "set it or CODEVECTOR_HOME to a shorter path"
        )
    if "," in str(parsed):
        raise ValueError("must not have a comma in its path: gRPC takes what follows one for another address")
    return parsed


def _socket(role: str, who: str) -> Setting[Path]:
    return Setting(
        f"CODEVECTOR_KMS_{role.upper()}_SOCKET",
        f"the key sidecar's socket for {who}; at most {SOCKET_PATH_LIMIT} bytes",
        _socket_path,
        f"$CODEVECTOR_HOME/kms/{role}.sock",
    )


HOME = Setting("CODEVECTOR_HOME", "the data directory: database, keys, sockets, logs", _home, "./var")
GRPC_PORT = Setting("CODEVECTOR_GRPC_PORT", "where the registry serves gRPC, on 127.0.0.1", port, "50051")
REGISTRY_SOCKET = _socket("registry", "the registry, which wraps data keys")
ROUTER_SOCKET = _socket("router", "routers, which unwrap data keys")
ADMIN_SOCKET = _socket("admin", "`providerctl key`, which manages key versions")
LOG_LEVEL = Setting("CODEVECTOR_LOG_LEVEL", "`debug`, `info`, `warning` or `error`", _level, "info")
LOG_FILE = Setting(
    "CODEVECTOR_LOG_FILE",
    "a file for the log and the rest of stderr; when it is full, it is moved to `….1`, and so on to `….4`",
    path,
    default_note="stderr; `make run` sets it for each process",
)
LOG_FILE_MIB = Setting(
    "CODEVECTOR_LOG_FILE_MIB", "how many MiB fill a log file", whole_number(1, 1 << 20), "32"
)
INSECURE_DEBUG = switch(
    "CODEVECTOR_INSECURE_DEBUG",
    "`1` allows `GRPC_TRACE`, which writes credentials and keys to the log: never where real ones are in use",
)
