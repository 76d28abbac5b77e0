"""What a command works with: its settings, the servers, the terminal and the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TextIO

from cli.patience import Patience
from cli.peers import Registry, Sidecar
from cli.settings import Settings
from cli.terminal.output import Terminal

AWAY_SECONDS = 60.0
"""How long a command waits for a server that is unavailable, or for a sweep that makes no progress."""


@dataclass(frozen=True, slots=True)
class World:
    """What the process passes in: a command reaches outside only through these and the servers."""

    environment: Mapping[str, str]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]
    ask_secret: Callable[[str], str]
    """Prompts on the terminal without echo and returns what was typed."""


@dataclass(frozen=True)
class Session:
    """A server is connected to by its first use, so a command needs only the servers that it calls."""

    world: World
    settings: Settings
    terminal: Terminal

    @cached_property
    def registry(self) -> Registry:
        """The registry."""
        return Registry(self.settings.registry)

    @cached_property
    def admin(self) -> Sidecar:
        """The sidecar, to change key versions and read its audit."""
        return Sidecar("admin", self.settings.admin_socket)

    @cached_property
    def registry_side(self) -> Sidecar:
        """The sidecar as the registry sees it."""
        return Sidecar("registry", self.settings.registry_socket)

    @cached_property
    def router_side(self) -> Sidecar:
        """The sidecar as routers see it."""
        return Sidecar("router", self.settings.router_socket)

    def close(self) -> None:
        """Close the connections that were made."""
        for name in ("registry", "admin", "registry_side", "router_side"):
            if name in self.__dict__:
                self.__dict__[name].close()

    def patience(self, seconds: float = AWAY_SECONDS) -> Patience:
        """Return a new wait."""
        return Patience(seconds, self.world.monotonic, self.world.sleep, self.world.random)
