"""What one run of a command has in hand: its settings, the servers, the terminal, the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

from cli.patience import Patience
from cli.peers import Registry, Sidecar
from cli.settings import Settings
from cli.terminal.output import Terminal

AWAY_SECONDS = 60.0
"""How long a command waits for a server that is away, or for a sweep that does not move."""


@dataclass(frozen=True, slots=True)
class World:
    """What the process hands in: nothing else reaches outside but by these and the servers."""

    environment: Mapping[str, str]
    stdout: TextIO
    stderr: TextIO
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Session:
    """Connections are made by their first call, so a command needs only the servers it asks."""

    world: World
    settings: Settings
    terminal: Terminal
    registry: Registry
    admin: Sidecar
    registry_side: Sidecar
    router_side: Sidecar
    verbose: bool

    def patience(self, seconds: float = AWAY_SECONDS) -> Patience:
        """A new waiting."""
        return Patience(seconds, self.world.monotonic, self.world.sleep, self.world.random)
