"""How far away a host is, by its spelling and by what it stands for."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from upstreams.addresses import Reach, address_reach, host_reach

FORBIDDEN = [
    "0.0.0.0",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:a9fe:a9fe::1",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1%eth0",
]
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1"]
LOOPBACK = ["127.0.0.1", "127.1.2.3", "::1"]
PUBLIC = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::6810:84e5", "2a00:1450:4001::1"]


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        *((address, Reach.FORBIDDEN) for address in FORBIDDEN),
        *((address, Reach.PRIVATE) for address in PRIVATE),
        *((address, Reach.LOOPBACK) for address in LOOPBACK),
        *((address, Reach.PUBLIC) for address in PUBLIC),
    ],
)
def test_addresses(address: str, reach: Reach) -> None:
    assert address_reach(ip_address(address)) is reach
    assert host_reach(address) is reach


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("api.openai.com", Reach.PUBLIC),
        ("API.OpenAI.com.", Reach.PUBLIC),
        ("localhost", Reach.LOOPBACK),
        ("LOCALHOST", Reach.LOOPBACK),
        ("x.localhost", Reach.LOOPBACK),
        ("metadata", Reach.FORBIDDEN),
        ("metadata.google.internal", Reach.FORBIDDEN),
        ("instance-data.eu-west-1.compute.internal", Reach.FORBIDDEN),
        ("metadata.goog", Reach.FORBIDDEN),
        ("vllm", Reach.PRIVATE),
        ("vllm.models.svc", Reach.PRIVATE),
        ("vllm.internal", Reach.PRIVATE),
        ("router.home.arpa", Reach.PRIVATE),
        ("metadata.tencentyun.com", Reach.FORBIDDEN),
        ("a.internal", Reach.PRIVATE),
        ("a.local", Reach.PRIVATE),
    ],
)
def test_names(name: str, reach: Reach) -> None:
    assert host_reach(name) is reach
