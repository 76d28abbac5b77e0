"""Gives every command the same options, and a session made from them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.peers import Registry, Sidecar
from cli.session import Session, World
from cli.settings import Flags, load
from cli.terminal.output import OutputFormat, Terminal
from runtime.calls import closing

_CONNECTION = "Connection"

OutputOption = Annotated[OutputFormat, typer.Option("--output", "-o", help="How data is printed on stdout.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Errors with all their details.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Data and errors only.")]
ServerOption = Annotated[
    str | None,
    typer.Option(
        help="The registry, HOST:PORT. Default: 127.0.0.1 and CODEVECTOR_GRPC_PORT.",
        rich_help_panel=_CONNECTION,
    ),
]
HomeOption = Annotated[
    Path | None, typer.Option(help="Default: CODEVECTOR_HOME, else ./var.", rich_help_panel=_CONNECTION)
]
AdminSocketOption = Annotated[
    Path | None,
    typer.Option(help="Default: CODEVECTOR_KMS_ADMIN_SOCKET, else in the home.", rich_help_panel=_CONNECTION),
]
RegistrySocketOption = Annotated[
    Path | None,
    typer.Option(
        help="Default: CODEVECTOR_KMS_REGISTRY_SOCKET, else in the home.", rich_help_panel=_CONNECTION
    ),
]
RouterSocketOption = Annotated[
    Path | None,
    typer.Option(
        help="Default: CODEVECTOR_KMS_ROUTER_SOCKET, else in the home.", rich_help_panel=_CONNECTION
    ),
]


def register(group: typer.Typer, name: str, work: Callable[..., None]) -> None:
    """Makes ``work(session, …)`` the command ``name`` of ``group``.

    Its parameters after the session become arguments and options, its docstring the help.
    """

    def run(
        ctx: typer.Context,
        *,
        output: OutputOption = OutputFormat.TABLE,
        quiet: QuietOption = False,
        verbose: VerboseOption = False,
        server: ServerOption = None,
        home: HomeOption = None,
        admin_socket: AdminSocketOption = None,
        registry_socket: RegistrySocketOption = None,
        router_socket: RouterSocketOption = None,
        **own: Any,
    ) -> None:
        world: World = ctx.obj
        settings = load(
            world.environment,
            Flags(
                server,
                home,
                registry_socket=registry_socket,
                router_socket=router_socket,
                admin_socket=admin_socket,
            ),
        )
        terminal = Terminal(world.stdout, world.stderr, world.environment, output=output, quiet=quiet)
        registry = Registry(settings.registry)
        admin = Sidecar("admin", settings.admin_socket)
        registry_side = Sidecar("registry", settings.registry_socket)
        router_side = Sidecar("router", settings.router_socket)
        with closing(registry, admin, registry_side, router_side):
            work(
                Session(world, settings, terminal, registry, admin, registry_side, router_side, verbose),
                **own,
            )

    # Typer reads a command's options from its signature: the command's own, then those of every command.
    own_parameters = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
    shared = list(inspect.signature(run, eval_str=True).parameters.values())
    context, shared = shared[0], shared[1:-1]
    parameters = [
        context,
        *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own_parameters, *shared)),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    group.command(name, help=inspect.getdoc(work))(run)
