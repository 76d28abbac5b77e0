"""What the sidecar knows of its Transit key: last metadata, rights, whether the server could be used."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from kms.keyring import KeyringUnavailable
from kms.vault.key import TransitKey
from kms.vault.rights import Rights, asked_paths, judge
from kms.vault.transit import Transit

_READ_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Known:
    """What the server last reported: the key's metadata and what the identity may do."""

    key: TransitKey
    rights: Rights

    @property
    def faults(self) -> str:
        """Why nothing is wrapped here; empty if all is well."""
        found = [f"the Transit key {self.key.address} {fault}" for fault in self.key.faults]
        found += [f"the sidecar's identity has too much: {excess}" for excess in self.rights.excess]
        found += [f"the sidecar's identity lacks {lack}" for lack in self.rights.lack]
        return "; ".join(found)


class VaultView:
    """What is known, replaced as a whole, so that threads read it without a lock."""

    def __init__(self, transit: Transit, *, monotonic: Callable[[], float], probe: str) -> None:
        """``probe`` is the name of a key that does not exist."""
        self.transit = transit
        self.probe = probe
        self._monotonic = monotonic
        self._known: Known | None = None
        self._writing = threading.Lock()
        self._trouble = ""
        self._read_at = -math.inf

    @property
    def trouble(self) -> str:
        """Why the server could not be used last time; empty if it could."""
        return self._trouble

    @property
    def known_or_none(self) -> Known | None:
        """None before the server was reached for the first time."""
        return self._known

    @property
    def known(self) -> Known:
        """Raise KeyringUnavailable before the server was reached for the first time."""
        if self._known is None:
            raise KeyringUnavailable(self._trouble)
        return self._known

    @property
    def key(self) -> TransitKey:
        """The metadata as of the last read; raises as ``known`` does."""
        return self.known.key

    def may_wrap(self) -> Known:
        """Return what is known. Raises KeyringUnavailable if the key or the identity may not wrap."""
        known = self.known
        if known.faults or not known.rights.wrap:
            raise KeyringUnavailable(known.faults or "the sidecar's identity may not wrap")
        return known

    @contextmanager
    def watched(self, asking: bool = True) -> Iterator[None]:
        """Remember whether the server could be used, unless no request was made."""
        try:
            yield
        except KeyringUnavailable as error:
            self._trouble = error.message
            raise
        if asking:
            self._trouble = ""

    def refresh(self) -> None:
        """Read metadata and rights. Raises KeyringUnavailable."""
        with self.watched():
            address = self.transit.address
            capabilities = self.transit.capabilities(asked_paths(address, self.probe))
            self._read_at = self._monotonic()
            known = Known(self.transit.key(), judge(address, self.probe, capabilities))
            with self._writing:
                self._known = known

    def read(self) -> TransitKey:
        """Read the metadata. Raises KeyringUnavailable."""
        self._read_at = self._monotonic()
        return self.take(self.transit.key())

    def read_again(self) -> None:
        """Read the metadata unless that was just done: callers must not be able to cause endless requests.

        Raises:
            KeyringUnavailable: see ``read``.
        """
        if self._monotonic() >= self._read_at + _READ_AGAIN_SECONDS:
            with self.watched():
                self.read()

    def take(self, key: TransitKey) -> TransitKey:
        """Take over metadata that came with another response."""
        # Without the lock, rights just read by another thread could be overwritten by older ones.
        with self._writing:
            self._known = replace(self.known, key=key)
        return key
