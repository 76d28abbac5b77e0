"""Runs a command that was parsed: makes its session, imports its function and calls it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import cast

from cli.line.command import Command, Group
from cli.line.parsing import Line
from cli.line.shared import EVERYWHERE
from cli.peers import failure_of
from cli.session import Session, World
from cli.settings import Flags, load
from cli.terminal.output import OutputFormat, Terminal
from runtime.calls import CallRefused


def run(line: Line, world: World) -> None:
    """Run the command.

    Raises:
        Failure: it did not do what it was asked to.
    """
    command, values = line.target, dict(line.values)
    if isinstance(command, Group):
        raise TypeError(f"{command.name} is a group")
    shared = {option.key: values.pop(option.key, None) for option in EVERYWHERE}
    session = session_of(shared, world)
    try:
        function(command)(session, **values)
    except CallRefused as refused:
        raise failure_of(refused, verbose=bool(shared["verbose"])) from None
    finally:
        session.close()


def function(command: Command) -> Callable[..., None]:
    """Import and return the command's function."""
    module, _, name = command.work.partition(":")
    return cast(Callable[..., None], getattr(import_module(module), name))


def session_of(shared: Mapping[str, object], world: World) -> Session:
    """Return the session that the options of every command describe."""

    def path(key: str) -> Path | None:
        return cast("Path | None", shared[key])

    flags = Flags(
        cast(str, shared["server"]) or None,
        path("home"),
        registry_socket=path("registry_socket"),
        router_socket=path("router_socket"),
        admin_socket=path("admin_socket"),
    )
    output = OutputFormat(cast(str, shared["output"]))
    terminal = Terminal(
        world.stdout, world.stderr, world.environment, output=output, quiet=bool(shared["quiet"])
    )
    return Session(world, load(world.environment, flags), terminal)
