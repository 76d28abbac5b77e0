"""The real parts of an installation, with a say before each of their steps: where a power cut can be put."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from kms.files.disk import Disk
from kms.keyring import (
    DataKey,
    Keyring,
    KeyringStatus,
    KeyVersionNotPrimary,
    WrapItem,
)
from kms.keyring import WrappedDataKey as KmsWrapped
from service.domain.model import StoredWrapper
from service.sealing.kms_client import DataKey as ClientDataKey
from service.sealing.kms_client import KmsStatus, NotPrimary, WrappedDataKey
from service.sealing.kms_failures import ItemFailure
from service.store import Store
from service.store.engines import create, parse_url

Moment = str
"""wrap, wrapped, rewrap, rewrapped, commit, committed; and open, write, sync, rename, unlink of a keyring."""


class PowerCut(BaseException):
    """Nothing goes on from here. No code that is tested may catch it."""


@dataclass
class InProcessKms:
    """What the registry's client does, without the wire between."""

    keyring: Keyring
    at: Callable[[Moment], None]

    def status(self, *, timeout_seconds: float | None = None, request_id: str = "") -> KmsStatus:
        status = self.keyring.status()
        return KmsStatus(
            version="test",
            primary_key_version=status.primary,
            accepted_key_versions=status.accepted,
            wrap_healthy=status.wrap_healthy,
            unwrap_healthy=status.unwrap_healthy,
            message=status.message,
            deployment_id=status.deployment_id,
            keyring_seq=status.seq,
            server_time=datetime(2026, 11, 23, tzinfo=UTC),
            audit_seq=0,
            audit_head=b"",
            audit_public_key=b"",
        )

    def wrap(
        self, keys: Sequence[ClientDataKey], *, timeout_seconds: float | None = None, request_id: str = ""
    ) -> tuple[WrappedDataKey, ...]:
        self.at("wrap")
        results = self.keyring.wrap([WrapItem(key.context, DataKey(bytes(key.dek))) for key in keys])
        self.at("wrapped")
        wrapped = []
        for result in results:
            assert isinstance(result, KmsWrapped), result
            wrapped.append(WrappedDataKey(result.wrapped, result.key_version))
        return tuple(wrapped)

    def rewrap(
        self,
        items: Sequence[StoredWrapper],
        target: str,
        *,
        timeout_seconds: float | None = None,
        request_id: str = "",
    ) -> list[WrappedDataKey | ItemFailure]:
        self.at("rewrap")
        try:
            results = self.keyring.rewrap([_wrapped(item) for item in items], target)
        except KeyVersionNotPrimary:
            raise NotPrimary from None
        self.at("rewrapped")
        return [
            WrappedDataKey(result.wrapped, result.key_version)
            if isinstance(result, KmsWrapped)
            else ItemFailure(result.reason)
            for result in results
        ]

    def verify(
        self, items: Sequence[StoredWrapper], *, timeout_seconds: float | None = None, request_id: str = ""
    ) -> list[ItemFailure | None]:
        results = self.keyring.verify([_wrapped(item) for item in items])
        return [None if result is None else ItemFailure(result.reason) for result in results]


def _wrapped(item: StoredWrapper) -> KmsWrapped:
    return KmsWrapped(item.wrapped, item.key_version, item.commitment, item.context)


class WatchedDisk(Disk):
    """The real disk, with a say before each call that changes it."""

    def __init__(self, at: Callable[[Moment], None]) -> None:
        self._at = at

    def open(self, name: str, flags: int, *, directory: int) -> int:
        self._at("open")
        return super().open(name, flags, directory=directory)

    def write(self, descriptor: int, octets: bytes | memoryview) -> int:
        self._at("write")
        # Half of it first: a write may be cut in the middle too.
        return super().write(descriptor, octets[: max(1, len(octets) // 2)])

    def sync(self, descriptor: int) -> None:
        self._at("sync")
        super().sync(descriptor)

    def rename(self, source: str, target: str, *, directory: int) -> None:
        self._at("rename")
        super().rename(source, target, directory=directory)

    def unlink(self, name: str, *, directory: int) -> None:
        self._at("unlink")
        super().unlink(name, directory=directory)


class WatchedStore(Store):
    """The real store, with a say before and after each COMMIT."""

    at: Callable[[Moment], None] = staticmethod(lambda _: None)

    def _commit(self, session: Session) -> None:
        self.at("commit")
        super()._commit(session)
        self.at("committed")


class WithoutSequence:
    """A keyring as one in Vault is seen: it has no file, and so no sequence that could go back."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def status(self) -> KeyringStatus:
        return replace(self._keyring.status(), seq=0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keyring, name)


class MovableDatabase:
    """An engine for a file that is another one after each power cut.

    Nothing of a database is in it but statements as compiled, which take most of the time otherwise.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.engine = create(parse_url(f"sqlite:///{path}"))
        event.listen(self.engine, "do_connect", self._redirect)

    def move(self, path: Path) -> None:
        """Forget all connections; the next are to another file."""
        self.engine.dispose()
        self._path = path

    def _redirect(self, _dialect: object, _record: object, arguments: list[str], _options: object) -> None:
        arguments[0] = str(self._path)
