"""``providerctl open``: the console in a browser."""

from __future__ import annotations

import webbrowser

from cli.failures import UsageFailure
from cli.resources.names import provider_name, short
from cli.session import Session

_PATH = "/admin/providers"


def open_(session: Session, *, name: str, print_: bool) -> None:
    """Open the console, or the page of a provider, and print its address."""
    port = session.world.environment.get("CODEVECTOR_CONSOLE_PORT") or "8080"
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise UsageFailure(f"CODEVECTOR_CONSOLE_PORT must be a port from 1 to 65535, not {port!r}")
    page = f"{_PATH}/{short(provider_name(name))}" if name else _PATH
    url = f"http://127.0.0.1:{port}{page}"
    session.terminal.show({"url": url}, names=[url])
    if session.terminal.output.value in ("table", "wide"):
        print(url, file=session.world.stdout, flush=True)
    if not print_ and not webbrowser.open(url):
        session.terminal.complain("no browser was found: open the address yourself")
