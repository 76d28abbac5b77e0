"""The sidecar's audit: every use of a key as a line in a hash chain, signed at checkpoints.

A record is written, and before a key leaves it is synced: a record that cannot be made fails the operation.
Sees identifiers and outcomes, and has checkpoints signed. Must never see a key.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from kms.audit.chain import Verification, verify
from kms.audit.exposure import Exposure, exposure
from kms.audit.key import AuditKey
from kms.audit.lines import (
    CHECKPOINT,
    CHECKPOINT_LINES,
    REPAIRED,
    RESUMED,
    START,
    STOP,
    Position,
    checkpoint_statement,
    encode,
    genesis,
    time_text,
)
from kms.audit.sink import AuditError, AuditLost, AuditSink, segments
from kms.keyring import KeyringUnavailable

CHECKPOINT_SECONDS = 50.0
"""How long lines wait for a checkpoint. With upkeep every 10 s that is a minute at most."""

_FORMAT = 1
_UNWRITABLE = "the audit cannot be written"
_UNSYNCED_LIMIT = 1 << 20  # bytes kept in memory until a sync


class AuditUnavailable(KeyringUnavailable):
    """The audit cannot be written, so nothing that belongs in it may be done."""

    def __init__(self, trouble: str) -> None:
        super().__init__(f"the key sidecar uses no key without its audit: {trouble}")


class Audit:
    """One audit that is being written. Safe for threads, which share a sync."""

    def __init__(
        self,
        sink: AuditSink,
        key: AuditKey,
        *,
        deployment_id: bytes,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """Continue where the lines in ``sink`` end, and record the start. ``close`` closes the sink too.

        Raises:
            AuditError: nothing can be written.
        """
        self._sink = sink
        self._key = key
        self._deployment_id = deployment_id
        self._clock = clock
        self._monotonic = monotonic
        # Take both in this order. A sync may run while lines are appended.
        self._syncing = threading.Lock()
        self._appending = threading.Lock()
        self._trouble = ""
        self._refused = 0
        self._last = sink.last or genesis(deployment_id)
        self._synced = self._last
        self._since_checkpoint = sink.since_checkpoint
        self._checkpointed_at = monotonic()
        try:
            self._start()
        except OSError as error:
            raise AuditError(f"the audit in {sink.path} cannot be written: {error.strerror}") from None

    @property
    def position(self) -> Position:
        """The newest line that would survive a loss of power."""
        return self._synced

    @property
    def public_key(self) -> bytes:
        """The public key of the checkpoints, 32 bytes."""
        return self._key.public_key

    @property
    def trouble(self) -> str:
        """Why the last attempt to write failed, as a clause; empty if it succeeded."""
        return self._trouble

    def record(self, event: str, fields: Mapping[str, Any], *, synced: bool) -> None:
        """Add a line. With ``synced`` it is durable on return, otherwise within a minute.

        Raises:
            AuditUnavailable: it could not be written or synced.
        """
        if self._trouble or self._sink.is_full:
            self._restore()
        with self._appending:
            self._refuse_in_trouble()
            with self._watched():
                self._append(event, fields)
            position = self._last
        if synced or self._sink.unsynced_length > _UNSYNCED_LIMIT:
            self._sync(position)

    def tick(self) -> None:
        """Look at the file, sign what has waited a minute, and retry what failed. Call it every few seconds.

        Raises:
            AuditUnavailable: the audit cannot be written.
        """
        if self._trouble:
            self._restore()
        with self._appending:
            self._refuse_in_trouble()
            with self._watched():
                self._sink.look()
        if self._since_checkpoint and self._monotonic() - self._checkpointed_at >= CHECKPOINT_SECONDS:
            with self._appending, self._watched():
                self._append_checkpoint()
                position = self._last
            self._sync(position)
            with self._watched():
                self._sink.remember(position)

    def verify(self, expected: Sequence[Position] = ()) -> Verification:
        """Read the audit back, and compare it with what is in memory too. Raises OSError."""
        known = (*expected, self._synced)
        return verify(segments(self._sink.path), public_key=self.public_key, expected=known)

    def exposure(self, since: datetime, principal: str) -> Exposure:
        """Return the credentials that a principal could have seen. Raises OSError."""
        return exposure(segments(self._sink.path), since=since, principal=principal)

    def close(self) -> None:
        """Sign and sync the end. Raises AuditUnavailable; the files are closed anyway."""
        try:
            if self._trouble:
                self._restore()
            with self._syncing, self._appending, self._watched():
                self._append(STOP, {})
                self._append_checkpoint()
                self._sync_all()
                self._sink.remember(self._last)
        finally:
            self._sink.close()

    def _start(self) -> None:
        fields = {
            "deployment_id": self._deployment_id.hex(),
            "format": _FORMAT,
            "public_key": self.public_key.hex(),
        }
        if self._sink.torn:
            torn = {**fields, "torn_bytes": len(self._sink.torn)}
            self._append(REPAIRED, torn, self._sink.replace_torn)
        elif self._sink.is_full:
            self._begin_file()
        self._append(START, fields)
        self._append_checkpoint()
        self._sync_all()
        self._sink.remember(self._last)

    def _restore(self) -> None:
        """Mend what failed, and start a new file if this one is full. Raises AuditUnavailable."""
        with self._syncing, self._appending, self._watched():
            mending = bool(self._trouble)
            if mending:
                self._sink.mend()
            if self._sink.is_full:
                self._begin_file()
            elif mending:
                self._append_checkpoint()  # it may be the first line of a file that was just begun
            if mending:
                self._append(RESUMED, {"refused": self._refused})
                self._sync_all()
                self._trouble, self._refused = "", 0

    def _begin_file(self) -> None:
        """Start a file with a checkpoint, so that it can be verified without the files before it."""
        self._sink.begin(self._last.seq + 1)
        if self._last.seq:
            self._append_checkpoint()

    def _append(
        self, event: str, fields: Mapping[str, Any], write: Callable[[bytes], None] | None = None
    ) -> None:
        if self._since_checkpoint >= CHECKPOINT_LINES - 1 and event != CHECKPOINT and write is None:
            self._append_checkpoint()
        octets, position = encode(self._last, event, self._clock(), fields)
        (write or self._sink.append)(octets)
        self._last = position
        self._since_checkpoint += 1

    def _append_checkpoint(self) -> None:
        time = self._clock()
        statement = checkpoint_statement(self._deployment_id, self._last, time_text(time))
        fields = {"deployment_id": self._deployment_id.hex(), "signature": self._key.sign(statement).hex()}
        octets, position = encode(self._last, CHECKPOINT, time, fields)
        self._sink.append(octets)
        self._last = position
        self._since_checkpoint = 0
        self._checkpointed_at = self._monotonic()

    def _sync(self, position: Position) -> None:
        """Return when ``position`` is on disk; one sync serves all callers that came before it began."""
        with self._syncing:
            if self._synced.seq >= position.seq:
                return
            # After a failed sync a second one succeeds without having written anything.
            with self._appending:
                self._refuse_in_trouble()
                reached, mark = self._last, self._sink.mark()
            with self._watched():
                self._sink.sync_disk()
            with self._appending:
                self._refuse_in_trouble()
                with self._watched():
                    self._sink.synced(mark)
                self._synced = reached

    def _sync_all(self) -> None:
        self._sink.sync()
        self._synced = self._last

    def _refuse_in_trouble(self) -> None:
        if self._trouble:
            self._refused += 1
            raise AuditUnavailable(self._trouble)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """After a failure write nothing until ``_restore`` has succeeded."""
        try:
            yield
        except OSError as error:
            self._trouble = str(error) if isinstance(error, AuditLost) else _UNWRITABLE
            self._refused += 1
            raise AuditUnavailable(self._trouble) from None
