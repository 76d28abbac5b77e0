"""Where keys may be kept: one row per scheme of CODEVECTOR_KEYRING, and how to open it.

A further backend is a room with a ``Keyring`` and ``KeyVersions``, and a row here (CONTRIBUTING.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType

from kms.combined import combine
from kms.errors import StartError
from kms.files.generations import KeyringFile
from kms.keyring import OpenKeyring
from kms.local.document import DOCUMENT_LIMIT
from kms.local.opening import open_local
from kms.local.unlock import UnlockSource, unlock
from kms.vault.access import VaultAccess
from kms.vault.key import TransitAddress

LOCAL = "local"
VAULT_TRANSIT = "vault-transit"
EXAMPLE = "local:/srv/codevector/kms/keyring.json"


@dataclass(frozen=True, slots=True)
class KeyringUri:
    """``scheme:place``. The place of a local keyring is an absolute path."""

    scheme: str
    place: str

    @classmethod
    def parse(cls, text: str) -> KeyringUri:
        """Parse a URI. Raises ValueError, whose text gives the form."""
        scheme, _, place = text.strip().partition(":")
        if scheme not in BACKENDS:
            raise ValueError(
                f"a keyring must begin with {' or '.join(f'{name}:' for name in BACKENDS)}, such as {EXAMPLE}"
            )
        return cls(scheme, BACKENDS[scheme].normalise(place))

    def __str__(self) -> str:
        return f"{self.scheme}:{self.place}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What keyrings are opened with. ``directory`` is the sidecar's own; ``vault`` may be None."""

    directory: Path
    deployment_id: bytes
    unlock: UnlockSource
    vault: VaultAccess | None
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    random: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class BackendKind:
    """``normalise`` checks a place and raises ValueError; the stack closes what ``open`` opens."""

    normalise: Callable[[str], str]
    open: Callable[[str, Surroundings, ExitStack], OpenKeyring]


def open_keyrings(uris: Sequence[KeyringUri], around: Surroundings, stack: ExitStack) -> OpenKeyring:
    """Return one keyring over all ``uris``: the first wraps, the others only open.

    Raises:
        StartError: one of them cannot be used.
    """
    opened = [BACKENDS[uri.scheme].open(uri.place, around, stack) for uri in uris]
    if len(opened) == 1:
        return opened[0]
    if len({each.prefix for each in opened}) < len(opened):
        raise StartError("CODEVECTOR_KEYRING names the same keyring twice")
    return combine(opened)


def _local_place(place: str) -> str:
    if not place:
        raise ValueError(f"a local keyring must be local:PATH, such as {EXAMPLE}")
    # Absolute, links left as they are: the last component is checked when it is opened.
    return os.path.abspath(place)


def _open_local(place: str, around: Surroundings, stack: ExitStack) -> OpenKeyring:
    if not os.path.lexists(place):
        raise StartError(f"the keyring {place} is missing: run `python -m kms init`")
    file = stack.enter_context(closing(KeyringFile(Path(place), limit=DOCUMENT_LIMIT)))
    return open_local(
        file,
        unlock=partial(unlock, around.unlock),
        deployment_id=around.deployment_id,
        clock=around.clock,
        monotonic=around.monotonic,
        random=around.random,
    )


def _transit_place(place: str) -> str:
    return str(TransitAddress.parse(place))


def _open_transit(place: str, around: Surroundings, stack: ExitStack) -> OpenKeyring:
    if around.vault is None:
        raise StartError("a keyring in Vault needs VAULT_ADDR and an identity")
    try:
        # Imported here, so that a sidecar with a local keyring does not wait for hvac.
        from kms.vault.opening import open_transit
    except ModuleNotFoundError as error:
        raise StartError(f"a keyring in Vault needs the extra `vault`: {error.name} is missing") from None
    return open_transit(
        TransitAddress.parse(place),
        around.vault,
        stack,
        directory=around.directory,
        deployment_id=around.deployment_id,
        clock=around.clock,
        monotonic=around.monotonic,
        random=around.random,
    )


BACKENDS: Mapping[str, BackendKind] = MappingProxyType(
    {
        LOCAL: BackendKind(_local_place, _open_local),
        VAULT_TRANSIT: BackendKind(_transit_place, _open_transit),
    }
)
