"""Data keys: which have to be moved, which are faulty, and what a rotation must leave alone.

The table is the work list of a sweep: what is not under the primary version is still to be done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from typing import cast as as_type
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    LargeBinary,
    Select,
    Table,
    and_,
    case,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.domain.model import StoredWrapper
from service.store.columns import INT32_MAX
from service.store.rows import (
    Base,
    CredentialRow,
    DataKeyRow,
    ProviderModelRow,
    ProviderRow,
    RegistryInfoRow,
    RevisionCounterRow,
)
from service.store.sql import Lossy, Printable, ProviderIdShaped
from service.store.unsound import any_text

QUARANTINE_AFTER = 3
"""After this many failures a sweep skips the data key."""
HEADER_BYTES = 56
"""The part of an envelope that is not ciphertext. Source: docs/formats/envelope.md."""

# Ids stay the text they are stored as: a sweep turns a million of them over and looks into none.
_DEK_ID: ColumnElement[str] = literal_column("data_keys.dek_id")
# Untyped too, so that a corrupt row is reported instead of failing the whole read.
_PROVIDER_UID: ColumnElement[str] = literal_column("providers.uid")
_CREDENTIAL_VERSION: ColumnElement[int] = literal_column("credentials.version")


def _octets(column: ColumnElement[bytes] | InstrumentedAttribute[bytes]) -> ColumnElement[bytes]:
    """Return the column as bytes, whatever is stored in it: SQLite also keeps text in a column of bytes.

    One row that cannot be read must not keep a sweep from all the others.
    """
    return cast(column, LargeBinary)


_WRAPPER = (
    _DEK_ID,
    _octets(DataKeyRow.wrapped),
    Lossy(DataKeyRow.key_version),
    _octets(DataKeyRow.context),
    _octets(DataKeyRow.commitment),
)

_FAULTS = (
    select(
        _DEK_ID,
        CredentialRow.provider_id,
        Lossy(DataKeyRow.key_version),
        cast(DataKeyRow.failed_count, BigInteger),
        Lossy(DataKeyRow.fault),
    )
    .select_from(DataKeyRow)
    .outerjoin(
        CredentialRow,
        and_(CredentialRow.dek_id == DataKeyRow.dek_id, ProviderIdShaped(CredentialRow.provider_id)),
    )
    .where(Printable(_DEK_ID))
    .order_by(_DEK_ID)
)
"""What a `DataKeyFault` is made of, in key order."""


_AFTER_EVERY_KEY = "~"
"""Sorts after every character of a key."""


@dataclass(frozen=True, slots=True)
class DataKeyFault:
    """A data key that could not be moved. ``provider_id`` is None where no credential refers to it."""

    dek_id: str
    provider_id: str | None
    key_version: str
    failed_count: int
    fault: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """Data keys by the version in their column. ``stale`` counts the quarantined too."""

    usage: dict[str, int]
    stale: int
    quarantined: int

    @property
    def total(self) -> int:
        """All data keys."""
        return sum(self.usage.values())

    @property
    def remaining(self) -> int:
        """What a sweep still has to move."""
        return self.stale - self.quarantined


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """What the wrapper and the envelope of a credential must agree with; ``header`` begins the envelope.

    ``provider_uid`` and ``version`` are None where a hand has put something else into their columns.
    """

    provider_id: str
    provider_uid: UUID | None
    version: int | None
    header: bytes


@dataclass(frozen=True, slots=True)
class DataKeyPair:
    """A data key with the credential it belongs to, or None where none refers to it."""

    data_key: StoredWrapper
    credential: CredentialFacts | None


@dataclass(frozen=True, slots=True)
class SweepLease:
    """Who sweeps, and until when unless renewed; ``holder`` is empty while no replica does."""

    holder: str
    expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class ProvidersDigest:
    """SHA-256 over every column of the rows that a rotation leaves alone, and how many they are."""

    sha256: bytes
    providers: int
    credentials: int
    provider_models: int
    revision: int
    store_id: UUID


class DataKeyReads:
    """Data keys: how they are wrapped, and which ones a sweep has to move."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def backlog(self, primary: str) -> Backlog:
        """Count the data keys by version, and those that are not under ``primary``."""
        faulty = func.sum(case((DataKeyRow.failed_count >= QUARANTINE_AFTER, 1), else_=0))
        rows = self._session.execute(
            select(Lossy(DataKeyRow.key_version), func.count(), faulty)
            .group_by(DataKeyRow.key_version)
            .order_by(DataKeyRow.key_version)
        ).all()
        others = [(count, int(quarantined)) for version, count, quarantined in rows if version != primary]
        return Backlog(
            usage={version: count for version, count, _ in rows},
            stale=sum(count for count, _ in others),
            quarantined=sum(quarantined for _, quarantined in others),
        )

    def stale(
        self, primary: str, *, after: str, limit: int, until: str = _AFTER_EVERY_KEY
    ) -> list[StoredWrapper]:
        """Return at most ``limit`` wrappers from ``after`` up to ``until`` that are not under ``primary``.

        In key order; the quarantined are left out.
        """
        rows = self._session.execute(
            select(*_WRAPPER)
            .where(
                after < _DEK_ID,
                until >= _DEK_ID,
                Printable(_DEK_ID),
                DataKeyRow.key_version != primary,
                DataKeyRow.failed_count < QUARANTINE_AFTER,
            )
            .order_by(_DEK_ID)
            .limit(limit)
        )
        return [StoredWrapper(*row) for row in rows]

    def quarantined(self, primary: str, *, limit: int) -> list[DataKeyFault]:
        """Return at most ``limit`` of the data keys that sweeps skip, in key order."""
        rows = self._session.execute(
            _FAULTS.where(
                DataKeyRow.key_version != primary, DataKeyRow.failed_count >= QUARANTINE_AFTER
            ).limit(limit)
        )
        return [_fault(*row) for row in rows]

    def faults(self, dek_ids: Sequence[str]) -> list[DataKeyFault]:
        """Return the faults of those of these data keys that exist, in key order."""
        rows = self._session.execute(_FAULTS.where(_DEK_ID.in_(dek_ids)))
        return [_fault(*row) for row in rows]

    def pairs(self, *, after: str, limit: int) -> list[DataKeyPair]:
        """Return at most ``limit`` data keys after ``after``, each with what it must agree with."""
        rows = self._session.execute(
            select(
                *_WRAPPER,
                CredentialRow.provider_id,
                ProviderRow.provider_id,
                Lossy(_PROVIDER_UID),
                Lossy(_CREDENTIAL_VERSION),
                func.substr(_octets(CredentialRow.envelope), 1, HEADER_BYTES),
            )
            .select_from(DataKeyRow)
            .outerjoin(
                CredentialRow,
                and_(CredentialRow.dek_id == DataKeyRow.dek_id, ProviderIdShaped(CredentialRow.provider_id)),
            )
            .outerjoin(ProviderRow, ProviderRow.provider_id == CredentialRow.provider_id)
            .where(after < _DEK_ID, Printable(_DEK_ID))
            .order_by(_DEK_ID)
            .limit(limit)
        )
        return [
            DataKeyPair(
                StoredWrapper(*row[:5]),
                None
                if row[5] is None or row[6] is None
                else CredentialFacts(row[5], _uuid(row[7]), _version(row[8]), row[9] or b""),
            )
            for row in rows
        ]

    def orphaned_credentials(self) -> list[str]:
        """Return the providers whose credential has no data key, which only a write past the store causes."""
        return list(
            self._session.scalars(
                select(CredentialRow.provider_id)
                .outerjoin(DataKeyRow, DataKeyRow.dek_id == CredentialRow.dek_id)
                .where(DataKeyRow.dek_id.is_(None), ProviderIdShaped(CredentialRow.provider_id))
                .order_by(CredentialRow.provider_id)
            )
        )

    def sweep_lease(self) -> SweepLease:
        """Return who sweeps, and until when."""
        row = self._session.execute(
            select(RegistryInfoRow.sweep_holder, RegistryInfoRow.sweep_expire_time)
        ).one()
        return SweepLease(*row)

    def providers_digest(self) -> ProvidersDigest:
        """Return the digest of all providers, credentials and provider models, of one moment.

        Rows are hashed in key order as the database holds them: a change made past this program shows too.
        """
        digest = hashlib.sha256(b"codevector/providers-digest/1")
        providers = self._digest(digest, ProviderRow, "provider_id")
        credentials = self._digest(digest, CredentialRow, "provider_id")
        models = self._digest(digest, ProviderModelRow, "provider_id", "model_id")
        head = self._session.execute(select(RevisionCounterRow.revision, RevisionCounterRow.store_id)).one()
        return ProvidersDigest(digest.digest(), providers, credentials, models, *head)

    def _digest(self, digest: Any, row_type: type[Base], *order: str) -> int:
        """Hash all rows of a table, columns in the order of their names. Returns how many rows."""
        table = as_type(Table, row_type.__table__)
        names = sorted(column.name for column in table.columns)
        # Untyped columns: types would turn what is stored into something else.
        statement: Select[*tuple[Any, ...]] = (
            select(*(literal_column(name) for name in names))
            .select_from(table)
            .order_by(*(table.c[name] for name in order))
        )
        digest.update(_field(table.name.encode()) + _field(",".join(names).encode()))
        count = 0
        with any_text(self._session):
            for row in self._session.execute(statement, execution_options={"yield_per": 1000}):
                digest.update(b"".join(_encoded(row)))
                count += 1
        return count


def _fault(dek_id: str, provider_id: str | None, key_version: str, failed: int, fault: str) -> DataKeyFault:
    return DataKeyFault(dek_id, provider_id, key_version, min(max(failed, 0), INT32_MAX), fault)


def _version(stored: str | None) -> int | None:
    return int(stored) if stored is not None and stored.isascii() and stored.isdigit() else None


def _uuid(stored: object) -> UUID | None:
    try:
        return UUID(stored) if isinstance(stored, str) else None
    except ValueError:
        return None


def _encoded(row: Sequence[object]) -> Iterator[bytes]:
    """Each value with its type and length, so that no two rows read the same."""
    for value in row:
        if value is None:
            yield b"n" + _field(b"")
        elif isinstance(value, str):
            yield b"s" + _field(value.encode(errors="surrogateescape"))
        elif isinstance(value, int):  # bool too: SQLite stores it as a number
            yield b"i" + _field(b"%d" % value)
        elif isinstance(value, bytes):
            yield b"b" + _field(value)
        elif isinstance(value, float):  # in SQLite, where a hand put one
            yield b"f" + _field(repr(value).encode())
        else:
            raise TypeError(f"a column holds {type(value).__name__}")


def _field(octets: bytes) -> bytes:
    return len(octets).to_bytes(4, "big") + octets
