"""Who a router is: certificates and tokens on the channel to the registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import codevector_providers as sdk
import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.doubles import kms_double, registry_double
from tests.support.doubles.kms_double import KmsDouble
from tests.support.doubles.registry_double import RegistryDouble
from tests.support.values.wire_values import KEY, NAME, entry, sealed, snapshot


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its certificate, self-signed, both PEM."""

    key: bytes
    certificate: bytes


def pair(name: str) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        certificate.public_bytes(Encoding.PEM),
    )


@pytest.fixture
def registry() -> RegistryDouble:
    return RegistryDouble(snapshot=snapshot(entry()), sealed={NAME: sealed()})


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[Path]:
    with kms_double.serving(KmsDouble(), tmp_path / "router.sock") as socket:
        yield socket


class TestMutualTls:
    def test_a_router_with_its_certificate_is_served(self, registry: RegistryDouble, socket: Path) -> None:
        server, router = pair("registry"), pair("router")
        asks = grpc.ssl_server_credentials(
            [(server.key, server.certificate)], router.certificate, require_client_auth=True
        )
        shows = grpc.ssl_channel_credentials(server.certificate, router.key, router.certificate)
        with registry_double.serving(registry, credentials=asks) as address:
            with sdk.Router(
                address, kms_socket=socket, channel_credentials=shows, token=lambda: "t"
            ) as found:
                assert found.credential(NAME).reveal("api_key") == KEY
            with sdk.connect(address, kms_socket=socket, channel_credentials=shows) as client:
                assert client.provider(NAME).name == NAME
        assert {metadata.get("authorization") for metadata in registry.metadata_seen} == {"Bearer t", None}

    def test_one_without_is_not(self, registry: RegistryDouble, socket: Path) -> None:
        server, router = pair("registry"), pair("router")
        asks = grpc.ssl_server_credentials(
            [(server.key, server.certificate)], router.certificate, require_client_auth=True
        )
        with registry_double.serving(registry, credentials=asks) as address:
            for shows in (grpc.ssl_channel_credentials(server.certificate), None):
                with (
                    sdk.connect(address, kms_socket=socket, channel_credentials=shows) as client,
                    pytest.raises(sdk.RegistryUnavailable),
                ):
                    client.snapshot()
        assert registry.metadata_seen == []


class TestTokens:
    def test_one_goes_with_every_call(self, registry: RegistryDouble, socket: Path) -> None:
        tokens = iter(f"t{number}" for number in range(1000))
        with (
            registry_double.serving(registry) as address,
            sdk.Router(address, kms_socket=socket, token=lambda: next(tokens)) as router,
        ):
            assert router.credential(NAME)
        seen = [metadata.get("authorization", "") for metadata in registry.metadata_seen]
        assert len(seen) >= 3
        assert all(token.startswith("Bearer t") for token in seen)
        assert len(set(seen)) == len(seen)

    def test_one_that_fails_is_asked_for_again(self, registry: RegistryDouble, socket: Path) -> None:
        failures = iter([OSError("no file"), OSError("no file")])

        def token() -> str:
            for failure in failures:
                raise failure
            return "t"

        with (
            registry_double.serving(registry) as address,
            sdk.Router(address, kms_socket=socket, token=token, max_reconnect_seconds=0.05) as router,
        ):
            assert router.provider(NAME)

    @pytest.mark.parametrize("target", ["registry.example:50051", "10.0.0.1:50051", "dns:///registry:1"])
    def test_none_goes_over_a_network_in_plaintext(self, target: str) -> None:
        with pytest.raises(ValueError, match="TLS"):
            sdk.Router(target, kms_socket="x.sock", token=lambda: "t")
        with pytest.raises(ValueError, match="TLS"):
            sdk.connect(target, kms_socket="x.sock", token=lambda: "t")

    @pytest.mark.parametrize(
        "target", ["127.0.0.1:1", "localhost:1", "[::1]:1", "unix:/tmp/x", "dns:///localhost:1"]
    )
    def test_plaintext_within_this_machine(self, target: str) -> None:
        sdk.connect(target, kms_socket="x.sock", token=lambda: "t").close()
