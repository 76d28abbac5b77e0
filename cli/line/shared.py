"""The options of every command."""

from __future__ import annotations

from cli.line.command import Completes, Option, Takes

OUTPUTS = ("table", "wide", "json", "jsonl", "yaml", "name")

HELP = Option("help", "Show this and exit.", Takes.NOTHING, short="h")
VERSION = Option("version", "Print the version and exit.", Takes.NOTHING)

COMMON: tuple[Option, ...] = (
    Option("output", "How data is printed.", value="FORMAT", short="o", default="table", choices=OUTPUTS),
    Option("quiet", "Print data and errors only.", Takes.NOTHING, short="q"),
    Option("verbose", "Print errors with all their details.", Takes.NOTHING, short="v"),
    HELP,
)
CONNECTION: tuple[Option, ...] = (
    Option("server", "The registry. Default: 127.0.0.1 and CODEVECTOR_GRPC_PORT.", value="HOST:PORT"),
    Option(
        "home", "The data directory. Default: CODEVECTOR_HOME, else ./var.", Takes.PATH, "DIR",
        completes=Completes.FILES,
    ),
    *(
        Option(
            f"{role}-socket", f"Default: CODEVECTOR_KMS_{role.upper()}_SOCKET, else in the home.", Takes.PATH,
            "PATH", completes=Completes.FILES,
        )
        for role in ("admin", "registry", "router")
    ),
)  # fmt: skip
EVERYWHERE = (*COMMON, *CONNECTION)
