"""Database URLs as libpq takes them: several hosts, and secrets among the parameters."""

from __future__ import annotations

from sqlalchemy import URL

_MASK = "***"
_SECRET_PARTS = ("password", "secret")
_PORT = "5432"


def spread_hosts(url: str) -> str:
    """Return a URL that names several hosts, ``//user@h1:5432,h2/db``, in the form that SQLAlchemy reads.

    Any other text is returned as it is.
    """
    scheme, separator, rest = url.partition("://")
    end = min((rest.find(mark) for mark in "/?" if mark in rest), default=len(rest))
    user, at, hosts = rest[:end].rpartition("@")
    if not separator or "," not in hosts:
        return url
    parts = [_host_and_port(each) for each in hosts.split(",")]
    path, _, query = rest[end:].partition("?")
    both = f"host={','.join(host for host, _ in parts)}&port={','.join(port for _, port in parts)}"
    return f"{scheme}://{user}{at}{path or '/'}?{query}{'&' if query else ''}{both}"


def mask(url: URL) -> str:
    """Return a URL with its password masked, and each parameter that holds a secret."""
    secret = {name: _MASK for name in url.query if any(part in name.lower() for part in _SECRET_PARTS)}
    shown = url.update_query_dict(secret).render_as_string(hide_password=True)
    return shown.replace("=%2A%2A%2A", f"={_MASK}")


def _host_and_port(text: str) -> tuple[str, str]:
    """Split ``host:port``; an IPv6 address stands in brackets, as in any URL."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, port.removeprefix(":") or _PORT
    host, _, port = text.partition(":")
    return host, port or _PORT
