"""Open a Transit keyring: link, session, ledger, and the second identity if there is one."""

from __future__ import annotations

import random as jitter
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime
from functools import partial
from pathlib import Path

from kms.clocks import Clocks
from kms.files.generations import KeyringFile
from kms.files.private import make_private_directory
from kms.keyring import OpenKeyring
from kms.vault.access import VaultAccess
from kms.vault.key import TransitAddress
from kms.vault.keyring import VaultKeyring
from kms.vault.ledger import LEDGER_LIMIT, Ledger
from kms.vault.session import AdminSession, VaultLink, VaultSession
from kms.vault.transit import Transit
from kms.vault.versions import VaultVersions
from kms.vault.view import VaultView
from runtime.circuit import Circuit


def open_transit(
    address: TransitAddress,
    access: VaultAccess,
    stack: ExitStack,
    *,
    directory: Path,
    deployment_id: bytes,
    clock: Callable[[], datetime],
    monotonic: Callable[[], float],
    random: Callable[[int], bytes],
) -> OpenKeyring:
    """Return a keyring whose connections and ledger the stack closes; the ledger lies in ``directory``.

    Raises:
        StartError: the key, an identity or the ledger cannot be used.
    """
    circuit = Circuit(monotonic=monotonic, uniform=jitter.uniform)
    link = stack.enter_context(closing(VaultLink(access, circuit)))
    session = VaultSession(link, access.identity, monotonic=monotonic)
    admin: Callable[[], Transit] | None = None
    ledger_file: KeyringFile | None = None
    if access.admin_token_file is not None:
        admin = partial(_administration, link, access.admin_token_file, address)
        make_private_directory(directory)
        path = directory / f"transit-{address.keyring_id}.json"
        ledger_file = stack.enter_context(closing(KeyringFile(path, limit=LEDGER_LIMIT)))
    transit = Transit(session, address)
    view = VaultView(transit, monotonic=monotonic, probe=f"codevector-probe-{random(8).hex()}")
    keyring = VaultKeyring(view, complaint=lambda: session.complaint, deployment_id=deployment_id)
    versions = VaultVersions(view, Ledger(address, ledger_file), admin=admin, clocks=Clocks(clock, monotonic))
    prefix = f"transit-{address.keyring_id}-"
    return OpenKeyring(keyring, versions, prefix=prefix, refreshes=(keyring.refresh,))


def _administration(link: VaultLink, token_file: Path, address: TransitAddress) -> Transit:
    """Read the token for each session, so that it can be replaced at any time."""
    return Transit(AdminSession(link, token_file), address)
