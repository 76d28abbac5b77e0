"""Transit keyrings over a real server, as the sidecar builds them, with the parts that tests replace."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from kms.clocks import Clocks
from kms.files.generations import KeyringFile
from kms.keyring import OpenKeyring
from kms.vault.access import AppRole, VaultAccess, VaultSecret
from kms.vault.key import TransitAddress
from kms.vault.keyring import VaultKeyring
from kms.vault.ledger import LEDGER_LIMIT, Ledger
from kms.vault.session import AdminSession, VaultLink, VaultSession
from kms.vault.transit import Session, Transit
from kms.vault.versions import VaultVersions
from kms.vault.view import VaultView
from runtime.circuit import Circuit
from tests.support.servers.openbao import OpenBao


def now() -> datetime:
    return datetime.now(UTC)


PATIENCE_SECONDS = 60
"""For an answer that must come. A write waits for a disk that other tests use meanwhile."""


def vault_link(
    stack: ExitStack,
    address: str,
    monotonic: Callable[[], float] = time.monotonic,
    *,
    timeout_seconds: int = PATIENCE_SECONDS,
) -> VaultLink:
    """A link whose circuit closes at once, so that tests need not wait."""
    access = VaultAccess(address, VaultSecret(""))
    circuit = Circuit(monotonic=monotonic, uniform=lambda low, _: low)
    return stack.enter_context(closing(VaultLink(access, circuit, timeout_seconds=timeout_seconds)))


def vault_keyring(
    stack: ExitStack,
    server: OpenBao,
    *,
    deployment_id: bytes,
    address: TransitAddress | None = None,
    identity: AppRole | VaultSecret | None = None,
    policy: str = "sidecar",
    admin: bool = True,
    admin_token: VaultSecret | None = None,
    ledger: Path | None = None,
    through: Callable[[Session], Session] = lambda session: session,
    admin_through: Callable[[Session], Session] = lambda session: session,
    clock: Callable[[], datetime] = now,
    monotonic: Callable[[], float] = time.monotonic,
    clocks: Clocks | None = None,
    timeout_seconds: int = PATIENCE_SECONDS,
) -> OpenKeyring:
    """A keyring on its own key, under the repository's policies by default.

    ``through`` may stand between it and the server, ``ledger`` is a file that outlives it,
    ``clocks`` what its versions are retired by.
    """
    address = address or server.transit_key()
    identity = identity or server.app_role(server.policy(policy, address))
    link = vault_link(stack, server.address, monotonic, timeout_seconds=timeout_seconds)
    session = VaultSession(link, identity, monotonic=monotonic)
    directory = Path(stack.enter_context(TemporaryDirectory(prefix="vault-")))
    token_file = directory / "admin-token"
    if admin:
        admin_token = admin_token or server.token(server.policy("admin", address))
        token_file.touch(mode=0o600)
        token_file.write_text(admin_token.reveal() + "\n")

    file = KeyringFile(ledger or directory / "ledger.json", limit=LEDGER_LIMIT)
    stack.enter_context(closing(file))

    def administration() -> Transit:
        return Transit(admin_through(AdminSession(link, token_file)), address)

    view = VaultView(Transit(through(session), address), monotonic=monotonic, probe="codevector-probe")
    keyring = VaultKeyring(view, complaint=lambda: session.complaint, deployment_id=deployment_id)
    versions = VaultVersions(
        view,
        Ledger(address, file if admin else None),
        admin=administration if admin else None,
        clocks=clocks or Clocks(clock, monotonic),
    )
    return OpenKeyring(
        keyring, versions, prefix=f"transit-{address.keyring_id}-", refreshes=(keyring.refresh,)
    )
