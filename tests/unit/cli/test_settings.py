from __future__ import annotations

from pathlib import Path

import pytest

from cli.failures import UsageFailure
from cli.settings import Flags, load


def test_defaults_are_those_of_the_processes() -> None:
    settings = load({}, Flags())
    assert settings.registry == "127.0.0.1:50051"
    assert settings.home == Path("var").absolute()
    assert settings.admin_socket == settings.home / "kms" / "admin.sock"


def test_the_environment_then_flags() -> None:
    environment = {
        "CODEVECTOR_HOME": "/h",
        "CODEVECTOR_GRPC_PORT": "7",
        "CODEVECTOR_KMS_ADMIN_SOCKET": "/s/admin",
        "CODEVECTOR_KMS_REGISTRY_SOCKET": "",
    }
    settings = load(environment, Flags())
    assert (settings.registry, settings.admin_socket) == ("127.0.0.1:7", Path("/s/admin"))
    assert settings.registry_socket == Path("/h/kms/registry.sock")
    flags = Flags(server="localhost:8", home=Path("/g"), admin_socket=Path("/a"), router_socket=Path("/r"))
    settings = load(environment, flags)
    assert (settings.registry, settings.admin_socket) == ("localhost:8", Path("/a"))
    assert (settings.receipts, settings.router_socket) == (Path("/g/receipts"), Path("/r"))


@pytest.mark.parametrize("port", ["0", "65536", "x", "٣"])
def test_ports_that_are_none(port: str) -> None:
    with pytest.raises(UsageFailure):
        load({"CODEVECTOR_GRPC_PORT": port}, Flags())


@pytest.mark.parametrize(
    "server",
    ["127.0.0.1", "localhost:0", "localhost:99999", "http://localhost:1", "10.0.0.1:1", "example.com:1"],
)
def test_servers_that_are_none_or_elsewhere(server: str) -> None:
    with pytest.raises(UsageFailure):
        load({}, Flags(server=server))


@pytest.mark.parametrize("server", ["127.0.0.1:1", "127.9.9.9:65535", "[::1]:1", "localhost:50051"])
def test_servers_on_this_machine(server: str) -> None:
    assert load({}, Flags(server=server)).registry == server
