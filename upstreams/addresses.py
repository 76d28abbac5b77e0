"""How far away a host is, by its spelling and by the addresses that its name resolves to.

A name is judged twice: before it is resolved, and by every address that it resolves to. Whoever owns a name
decides what it resolves to, and may decide otherwise next time.

Source: the IANA special-purpose address registries (RFC 6890, RFC 8190), RFC 6761 (localhost), RFC 6052
(NAT64), RFC 3056 (6to4); addresses and names of metadata services as their vendors document them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_METADATA_NAMES = ("metadata", "instance-data", "metadata.goog", "metadata.tencentyun.com")
_METADATA_LABELS = frozenset({"metadata", "instance-data"})
"""Labels that belong to a cloud's metadata service under .internal."""
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

_LOOPBACK_V4 = IPv4Network("127.0.0.0/8")
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
_LOOPBACK_V6 = IPv6Address("::1")
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


class Reach(Enum):
    """How far away a host or an address is."""

    PUBLIC = "public"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    FORBIDDEN = "forbidden"


class Refusal(Enum):
    """Why a URL may not be called."""

    RESERVED = "reserved"
    PRIVATE = "private"
    LOOPBACK = "loopback"
    PLAIN_HTTP = "plain_http"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What an installation allows beyond public https. Each needs an explicit setting."""

    allow_loopback_http: bool = False
    allow_private: bool = False

    def refusal(self, scheme: str, host: str) -> Refusal | None:
        """Return why a URL may not be called, as far as its spelling shows; None where it may."""
        reach = host_reach(host)
        if reach is Reach.FORBIDDEN:
            return Refusal.RESERVED
        if reach is Reach.PRIVATE and not self.allow_private:
            return Refusal.PRIVATE
        if reach is Reach.LOOPBACK and not (self.allow_private or self.allow_loopback_http):
            return Refusal.LOOPBACK
        if scheme == "https" or (scheme == "http" and reach is Reach.LOOPBACK and self.allow_loopback_http):
            return None
        return Refusal.PLAIN_HTTP

    def admits_address(self, host: str, address: str) -> bool:
        """Return whether the admitted ``host`` may resolve to ``address``.

        A name of this machine may only resolve to this machine. Any other name may resolve to something
        private, this machine included, only where private upstreams are allowed.
        """
        parsed = parse_address(address)
        reach = Reach.FORBIDDEN if parsed is None else address_reach(parsed)
        if host_reach(host) is Reach.LOOPBACK:
            return reach is Reach.LOOPBACK
        return reach is Reach.PUBLIC or (self.allow_private and reach is not Reach.FORBIDDEN)


def parse_address(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that ``host`` spells, with or without brackets; None for a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def host_reach(host: str) -> Reach:
    """Return how far away a host is by its spelling alone; an IPv6 address may have brackets."""
    address = parse_address(host)
    if address is not None:
        return address_reach(address)
    labels = host.lower().rstrip(".").split(".")
    name = ".".join(labels)
    if _is_within(name, _METADATA_NAMES) or (
        labels[-1] == "internal" and _METADATA_LABELS.intersection(labels)
    ):
        return Reach.FORBIDDEN
    if labels[-1] == "localhost":
        return Reach.LOOPBACK
    if len(labels) == 1 or _is_within(name, _PRIVATE_SUFFIXES):
        return Reach.PRIVATE
    return Reach.PUBLIC


def address_reach(address: IPv4Address | IPv6Address) -> Reach:
    """Return how far away an address is.

    IPv4-mapped, NAT64 and unassigned IPv6 addresses lie outside 2000::/3 and are forbidden.
    """
    if isinstance(address, IPv4Address):
        return _reach_v4(address)
    if address == _LOOPBACK_V6:
        return Reach.LOOPBACK
    if address.scope_id or any(address in network for network in _FORBIDDEN_V6):
        return Reach.FORBIDDEN
    if address in _PRIVATE_V6:
        return Reach.PRIVATE
    return Reach.PUBLIC if address in _GLOBAL_V6 else Reach.FORBIDDEN


def _reach_v4(address: IPv4Address) -> Reach:
    if address in _LOOPBACK_V4:
        return Reach.LOOPBACK
    if any(address in network for network in _FORBIDDEN_V4):
        return Reach.FORBIDDEN
    return Reach.PRIVATE if any(address in network for network in _PRIVATE_V4) else Reach.PUBLIC


def _is_within(name: str, domains: tuple[str, ...]) -> bool:
    return name in domains or name.endswith(tuple(f".{domain}" for domain in domains))
