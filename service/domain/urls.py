"""Base URLs: the one spelling that is accepted, and the hosts that a credential may never be sent to.

A base URL decides where a credential goes, so two parsers must never read it differently. Only a strict ASCII
form passes: ``https://host[:port][/path]``, the host in lower case (a DNS name, a dotted quad, or a bracketed
IPv6 address in its canonical spelling), and a path without ``%``, ``\\``, ``;``, ``//``, ``.`` or ``..``.

No name is resolved here: what it resolves to is checked where the connection is made. Messages never repeat
the URL, because it may hold a key that was pasted into the wrong field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from service.domain.errors import InvalidArgument, invalid_field
from upstreams.addresses import AddressPolicy, Refusal

MAX_URL_LENGTH = 2048
_EXAMPLE = "for example https://llm.example.com/v1"

_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>\[[^\]/]*\]|[^:/\[\]]*)(?::(?P<port>[^/]*))?(?P<path>/.*)?", re.DOTALL
)
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ENDS_IN_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DEFAULT_PORTS = {"https": 443, "http": 80}

_REFUSALS: Mapping[Refusal, tuple[str, str]] = {
    Refusal.RESERVED: ("host", "must not be a cloud metadata, link-local or otherwise reserved address"),
    Refusal.PRIVATE: (
        "private",
        "must be a public host, for example api.openai.com: "
        "private hosts need CODEVECTOR_ALLOW_PRIVATE_UPSTREAMS=1",
    ),
    Refusal.LOOPBACK: ("loopback", "must not be this machine: that needs CODEVECTOR_ALLOW_LOOPBACK_HTTP=1"),
    Refusal.PLAIN_HTTP: (
        "https",
        "must start with https:// (http:// only for this machine, with CODEVECTOR_ALLOW_LOOPBACK_HTTP=1)",
    ),
}
"""The rule that is broken, and its message."""


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """An accepted base URL. ``port`` is None for the default port; ``path`` ends without a slash."""

    scheme: str
    host: str
    port: int | None
    path: str

    @property
    def origin(self) -> str:
        """``scheme://host[:port]`` without the default port."""
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def url(self) -> str:
        """The origin and the path: the form that is stored and bound."""
        return self.origin + self.path


def parse_base_url(text: str, policy: AddressPolicy, *, field: str) -> BaseUrl:
    """Return the parts of a base URL that ``policy`` admits, without one trailing slash.

    Raises:
        InvalidArgument: names ``field`` and says what to write instead.
    """
    base_url = _parse(text, field)
    refusal = policy.refusal(base_url.scheme, base_url.host)
    if refusal is not None:
        rule, description = _REFUSALS[refusal]
        raise _refused(field, rule, description)
    return base_url


def _parse(text: str, field: str) -> BaseUrl:
    if not text or len(text) > MAX_URL_LENGTH:
        raise _refused(field, "length", f"must be a URL of 1 to {MAX_URL_LENGTH} characters, {_EXAMPLE}")
    if not all("\x21" <= character <= "\x7e" for character in text):
        description = (
            "must not contain spaces, line breaks or characters beyond ASCII: was a line break pasted along? "
            "(international host names in their xn-- form)"
        )
        raise _refused(field, "ascii", description)
    if "?" in text or "#" in text:
        raise _refused(field, "query", f"must not have a query or a fragment, {_EXAMPLE}")
    match = _URL.fullmatch(text)
    if match is None or match["scheme"] not in _DEFAULT_PORTS:
        _refuse_userinfo(text, field)
        raise _refused(field, "form", f"must be a URL in lower case up to the path, {_EXAMPLE}")
    scheme, host, port, path = match["scheme"], match["host"], match["port"], match["path"] or ""
    _refuse_userinfo(text, field)
    _check_host(host, field)
    _check_path(path, field)
    return BaseUrl(scheme, host, _port(scheme, port, field), path.removesuffix("/"))


def _refuse_userinfo(text: str, field: str) -> None:
    authority = text.partition("://")[2].partition("/")[0]
    if "@" in authority:
        raise _refused(
            field, "userinfo", "must not have a user name or password: a secret belongs in the credential"
        )


def _port(scheme: str, port: str | None, field: str) -> int | None:
    if port is None:
        return None
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise _refused(
            field, "port", "must have a port from 1 to 65535, for example https://llm.example.com:8443/v1"
        )
    number = int(port)
    return None if number == _DEFAULT_PORTS[scheme] else number


def _check_path(path: str, field: str) -> None:
    kept = path.removesuffix("/")
    if not _PATH.fullmatch(kept) or any(segment in (".", "..") for segment in kept.split("/")):
        raise _refused(field, "path", "must have a plain path such as /v1, without % \\ ; // . or ..")


def _check_host(host: str, field: str) -> None:
    if host.startswith("["):
        _check_ipv6(host, field)
    elif _ENDS_IN_NUMBER.fullmatch(host.rpartition(".")[2]):
        _check_ipv4(host, field)
    elif host.endswith("."):
        raise _refused(
            field, "trailing_dot", "must not have a dot at the end of the host: write llm.example.com"
        )
    elif len(host) > 253 or not all(_is_label(label) for label in host.split(".")):
        description = (
            "must have a host of lower-case letters, digits, dashes and dots, for example llm.example.com "
            "(international names in their xn-- form)"
        )
        raise _refused(field, "host", description)


def _check_ipv6(host: str, field: str) -> None:
    try:
        canonical = f"[{IPv6Address(host[1:-1]).compressed}]"
    except ValueError:
        canonical = ""
    if host != canonical or "%" in host:
        raise _refused(
            field,
            "ipv6",
            "must have an IPv6 address in its shortest form, lower case and without a zone, "
            "for example https://[2606:4700::1111]/v1",
        )


def _check_ipv4(host: str, field: str) -> None:
    try:
        canonical = str(IPv4Address(host))
    except ValueError:
        canonical = ""
    if host != canonical:
        raise _refused(
            field, "ipv4", "must have an IPv4 address of four decimal numbers, for example 192.168.1.10"
        )


def _is_label(label: str) -> bool:
    """Return whether it has letters, digits and inner dashes; ``xn--`` only begins a real A-label."""
    if not _LABEL.fullmatch(label):
        return False
    if label[2:4] != "--":
        return True
    if not label.startswith("xn--"):
        return False
    try:
        decoded = label[4:].encode().decode("punycode")
        return not decoded.isascii() and decoded.encode("punycode").decode() == label[4:]
    except UnicodeError:
        return False


def _refused(field: str, rule: str, description: str) -> InvalidArgument:
    return invalid_field(field, description, rule=f"base_url.{rule}")
