"""Puts the commands together."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from cli.commands import register
from cli.doctor import doctor
from cli.keys import commands as key_commands
from cli.providers import commands as provider_commands
from cli.routers import commands as router_commands

_HELP = "Administer CodeVector's provider registry and its key sidecar."
_EPILOG = "Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 not allowed, 5 conflict, 6 unavailable."


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"providerctl {metadata.version('codevector-provider-service')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    """Nothing of its own: every command brings its options."""


def build(*, fancy: bool) -> typer.Typer:
    """The whole command line; its context object is a `World`. ``fancy`` draws frames around help."""
    app = typer.Typer(
        name="providerctl",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if fancy else None,
        help=_HELP,
        epilog=_EPILOG,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    app.callback(help=_HELP)(_root)
    app.add_typer(key_commands.group(), name="key")
    app.add_typer(provider_commands.group(), name="provider")
    app.add_typer(router_commands.group(), name="router")
    register(app, "doctor", doctor)
    return app
