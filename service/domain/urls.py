"""Base URLs: the one spelling that is accepted, and the hosts that a credential may never be sent to.

A base URL decides where a credential goes, so two parsers must never read it differently. Only a strict ASCII
form passes: ``https://host[:port][/path]``, the host in lower case (a DNS name, a dotted quad, or a bracketed
IPv6 address in its canonical spelling), and a path without ``%``, ``\\``, ``;``, ``//``, ``.`` or ``..``.

No name is resolved here: what a name stands for is checked where the connection is made. Messages never
repeat the URL, since a key pasted into the wrong field would be in it.

Source: the IANA special-purpose address registries (RFC 6890, RFC 8190), RFC 6761 (localhost), RFC 6052
(NAT64), RFC 3056 (6to4); addresses and names of metadata services as their vendors document them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from service.domain.errors import InvalidArgument, invalid_field

MAX_URL_LENGTH = 2048

_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>\[[^\]/]*\]|[^:/\[\]]*)(?::(?P<port>[^/]*))?(?P<path>/.*)?", re.DOTALL
)
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ENDS_IN_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DEFAULT_PORTS = {"https": 443, "http": 80}

_METADATA_NAMES = ("metadata", "instance-data", "metadata.goog", "metadata.tencentyun.com")
_METADATA_LABELS = frozenset({"metadata", "instance-data"})
"""Labels that, under .internal, belong to a cloud's metadata service."""
_PRIVATE_SUFFIXES = (
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "svc",
    "home.arpa",
)

_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_FORBIDDEN_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "100.64.0.0/10",  # carrier-grade NAT; metadata service of one cloud
        "168.63.129.16/32",  # Azure's host agent
        "169.254.0.0/16",  # link-local: the metadata services
        "192.0.0.0/24",  # protocol assignments; metadata service of one cloud
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_PRIVATE_V4 = tuple(IPv4Network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_GLOBAL_V6 = IPv6Network("2000::/3")
_FORBIDDEN_V6 = tuple(
    IPv6Network(network)
    for network in (
        "fd00:ec2::254/128",  # metadata services inside the private range
        "fd20:ce::254/128",
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",  # documentation
    )
)
_PRIVATE_V6 = IPv6Network("fc00::/7")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPolicy:
    """What an installation allows beyond public https: both only by an explicit setting."""

    allow_loopback_http: bool = False
    allow_private: bool = False


class Reach(Enum):
    """How far away a host is, as far as its spelling tells."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """An accepted base URL. ``port`` is None where it is the scheme's default; no slash ends ``path``."""

    scheme: str
    host: str
    port: int | None
    path: str

    @property
    def origin(self) -> str:
        """``scheme://host[:port]``, the default port left out."""
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def url(self) -> str:
        """The origin and the path: the form that is stored and bound."""
        return self.origin + self.path


def parse_base_url(text: str, policy: UrlPolicy, *, field: str) -> BaseUrl:
    """The parts of a base URL that ``policy`` lets a credential be sent to. One trailing slash is dropped.

    Raises:
        InvalidArgument: naming ``field``, with a sentence that says what to write instead.
    """
    base_url = _parse(text, field)
    reach = host_reach(base_url.host)
    if reach is Reach.FORBIDDEN:
        raise _refused(field, "host", "must not be a metadata, link-local or otherwise reserved address")
    if reach is Reach.PRIVATE and not policy.allow_private:
        raise _refused(
            field, "private", "must be a public host: private ones need CODEVECTOR_ALLOW_PRIVATE_UPSTREAMS"
        )
    if reach is Reach.LOOPBACK and not (policy.allow_private or policy.allow_loopback_http):
        raise _refused(
            field, "loopback", "must not be this machine: that needs CODEVECTOR_ALLOW_LOOPBACK_HTTP"
        )
    if base_url.scheme == "http" and not (reach is Reach.LOOPBACK and policy.allow_loopback_http):
        raise _refused(
            field,
            "https",
            "must begin with https:// (http is for this machine, with CODEVECTOR_ALLOW_LOOPBACK_HTTP)",
        )
    return base_url


def host_reach(host: str) -> Reach:
    """How far away a well-formed host is. An IPv6 address is in brackets."""
    if host.startswith("["):
        return _reach_v6(IPv6Address(host[1:-1]))
    if _ENDS_IN_NUMBER.fullmatch(host.rpartition(".")[2]):
        return _reach_v4(IPv4Address(host))
    labels = host.split(".")
    if _is_within(host, _METADATA_NAMES) or (
        labels[-1] == "internal" and _METADATA_LABELS.intersection(labels)
    ):
        return Reach.FORBIDDEN
    if labels[-1] == "localhost":
        return Reach.LOOPBACK
    if len(labels) == 1 or _is_within(host, _PRIVATE_SUFFIXES):
        return Reach.PRIVATE
    return Reach.PUBLIC


def _is_within(host: str, domains: tuple[str, ...]) -> bool:
    return host in domains or host.endswith(tuple(f".{domain}" for domain in domains))


def _reach_v4(address: IPv4Address) -> Reach:
    if address in _LOOPBACK[0]:
        return Reach.LOOPBACK
    if any(address in network for network in _FORBIDDEN_V4):
        return Reach.FORBIDDEN
    return Reach.PRIVATE if any(address in network for network in _PRIVATE_V4) else Reach.PUBLIC


def _reach_v6(address: IPv6Address) -> Reach:
    """IPv4-mapped, NAT64 and unassigned addresses lie outside of 2000::/3, and so are forbidden."""
    if address in _LOOPBACK[1]:
        return Reach.LOOPBACK
    if any(address in network for network in _FORBIDDEN_V6):
        return Reach.FORBIDDEN
    if address in _PRIVATE_V6:
        return Reach.PRIVATE
    return Reach.PUBLIC if address in _GLOBAL_V6 else Reach.FORBIDDEN


def _parse(text: str, field: str) -> BaseUrl:
    if not text or len(text) > MAX_URL_LENGTH:
        raise _refused(field, "length", f"must be a URL of 1 to {MAX_URL_LENGTH} characters")
    if not all("\x21" <= character <= "\x7e" for character in text):
        description = "must be printable ASCII without blanks (international host names in their xn-- form)"
        raise _refused(field, "ascii", description)
    if "?" in text or "#" in text:
        raise _refused(field, "query", "must not have a query or a fragment")
    match = _URL.fullmatch(text)
    if match is None or match["scheme"] not in _DEFAULT_PORTS:
        _refuse_userinfo(text, field)
        raise _refused(
            field, "form", "must have the form https://host[:port][/path], in lower case up to the path"
        )
    scheme, host, port, path = match["scheme"], match["host"], match["port"], match["path"] or ""
    _refuse_userinfo(text, field)
    _check_host(host, field)
    _check_path(path, field)
    return BaseUrl(scheme, host, _port(scheme, port, field), path.removesuffix("/"))


def _refuse_userinfo(text: str, field: str) -> None:
    authority = text.partition("://")[2].partition("/")[0]
    if "@" in authority:
        raise _refused(
            field, "userinfo", "must not have a user name or password: a secret belongs into the credential"
        )


def _port(scheme: str, port: str | None, field: str) -> int | None:
    if port is None:
        return None
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise _refused(field, "port", "must have a port from 1 to 65535 after the colon, or no colon")
    number = int(port)
    return None if number == _DEFAULT_PORTS[scheme] else number


def _check_path(path: str, field: str) -> None:
    kept = path.removesuffix("/")
    if not _PATH.fullmatch(kept) or any(segment in (".", "..") for segment in kept.split("/")):
        raise _refused(field, "path", "must have a plain path: no % \\ ; // nor . and .. between slashes")


def _check_host(host: str, field: str) -> None:
    if host.startswith("["):
        _check_ipv6(host, field)
    elif _ENDS_IN_NUMBER.fullmatch(host.rpartition(".")[2]):
        _check_ipv4(host, field)
    elif host.endswith("."):
        raise _refused(field, "trailing_dot", "must have a host without a dot at its end")
    elif len(host) > 253 or not all(_is_label(label) for label in host.split(".")):
        description = (
            "must have a host of lower-case letters, digits, dashes and dots (xn-- form if international)"
        )
        raise _refused(field, "host", description)


def _check_ipv6(host: str, field: str) -> None:
    try:
        canonical = f"[{IPv6Address(host[1:-1]).compressed}]"
    except ValueError:
        canonical = ""
    if host != canonical or "%" in host:
        raise _refused(
            field, "ipv6", "must have an IPv6 address in its shortest lower-case spelling, without a zone"
        )


def _check_ipv4(host: str, field: str) -> None:
    try:
        canonical = str(IPv4Address(host))
    except ValueError:
        canonical = ""
    if host != canonical:
        raise _refused(field, "ipv4", "must have an IPv4 address as four plain decimal numbers")


def _is_label(label: str) -> bool:
    """Letters, digits and inner dashes; dashes in third and fourth place only in a real A-label."""
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
