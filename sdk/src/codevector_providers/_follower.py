"""Keep a routing table current: one thread that watches, and resumes a broken watch.

The table in use is replaced by one assignment and never changed, so that readers need no lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import grpc
from codevector.providers.v1 import routing_service_pb2 as pb

from codevector_providers import _wire
from codevector_providers._registry import Registry
from codevector_providers._reports import Reports
from codevector_providers._stored_table import StoredTableRefused, TableFile
from codevector_providers._stream import Stream
from codevector_providers.errors import ProvidersError, RegistryUnavailable, from_rpc_error
from codevector_providers.table import RoutingTable

MISSED_BOOKMARKS = 3
STORE_SECONDS = 60.0
_FIRST_BACKOFF_SECONDS = 0.1
_RESETS_KEPT = 64

_LOG = logging.getLogger("codevector_providers")


class ResetReason(Enum):
    """Why a table was replaced by a snapshot instead of being changed."""

    UNSPECIFIED = 0
    INITIAL = 1
    COMPACTED = 2
    STORE_CHANGED = 3
    SLOW_CONSUMER = 4
    REVISION_AHEAD = 5

    @classmethod
    def _missing_(cls, value: object) -> ResetReason:
        return cls.UNSPECIFIED


_OTHER_HISTORY = frozenset({ResetReason.STORE_CHANGED, ResetReason.REVISION_AHEAD})


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between bookmarks, until the first message of a watch, and at most until the next attempt."""

    bookmark: float
    first_message: float
    reconnect: float

    @property
    def silence(self) -> float:
        """How long a watch may be silent before it counts as dead."""
        return MISSED_BOOKMARKS * self.bookmark


class _Broken(Exception):
    """The watch must be closed; ``error`` says why, None if the registry announced its end."""

    def __init__(self, error: ProvidersError | None = None) -> None:
        super().__init__()
        self.error = error


class Follower:
    """The thread and its state.

    ``on_table`` is called in that thread with the table in use: after each message, before each attempt to
    connect. ``on_other_history`` is called before a table replaces one with another history: versions of
    credentials then do not compare.
    """

    def __init__(
        self,
        registry: Registry,
        reports: Reports,
        *,
        watcher_id: str,
        session: bytes,
        pace: Pace,
        file: TableFile | None,
        on_table: Callable[[RoutingTable], None],
        on_other_history: Callable[[], None],
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._reports = reports
        self._watcher_id = watcher_id
        self._session = session
        self._pace = pace
        self._file = file
        self._on_table = on_table
        self._on_other_history = on_other_history
        self._clock = clock
        self._random = random
        self._thread = threading.Thread(target=self._run, name="codevector-router", daemon=True)
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._stream: Stream | None = None
        self._reader: _wire.TableReader | None = None
        self._reset_reason = ResetReason.UNSPECIFIED
        self._resumable = False
        self._load_tried = False
        self._store_due = 0.0
        self._stored: RoutingTable | None = None
        self.table: RoutingTable | None = None
        self.message_time: float | None = None
        """When the registry last sent a message; the lifetime of credentials depends on it."""
        self.current_time: float | None = None
        """When the table in use was last known to be current, possibly in an earlier process."""
        self.resets: deque[ResetReason] = deque(maxlen=_RESETS_KEPT)
        self.breaks = 0
        self.last_error: ProvidersError | None = None

    @property
    def connected(self) -> bool:
        """Whether a watch is open and had a message within three bookmark intervals."""
        last = self.message_time
        return self._stream is not None and last is not None and self._clock() - last < self._pace.silence

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stop.is_set()

    def start(self) -> None:
        """Start following."""
        self._thread.start()

    def wait(self, holds: Callable[[RoutingTable | None], bool], seconds: float) -> bool:
        """Wait until a condition holds for the table in use; return whether it does."""
        with self._changed:
            return self._changed.wait_for(
                lambda: holds(self.table) or self._stop.is_set(), seconds
            ) and holds(self.table)

    def stop(self) -> None:
        """End the watch and the thread, and store the table."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
            stream = self._stream
        if stream is not None:
            stream.cancel()
        self._thread.join()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            began = self._clock()
            error = self._follow()
            self._reader = None
            if error is not None:
                self.last_error = error
            if self._stop.is_set():
                break
            self.breaks += 1
            if self.table is None:
                self._take_stored()
            lived = self._clock() - began > self._pace.reconnect
            failures = 1 if lived else failures + 1
            longest = self._pace.reconnect
            if error is not None:
                longest = min(longest, _FIRST_BACKOFF_SECONDS * 2 ** min(failures, 16))
                _LOG.warning("the watch ended: %s: %s", error.reason, error.message)
            self._tend()
            self._stop.wait(longest * self._random())
        self._store(at_once=True)

    def _follow(self) -> ProvidersError | None:
        """Watch until the watch ends; return its error, None if the registry announced the end."""
        try:
            self._read(self._open())
        except _Broken as broken:
            return broken.error
        except EOFError:
            return RegistryUnavailable("The registry ended the watch.")
        except grpc.RpcError as error:
            return from_rpc_error(error, away=RegistryUnavailable)
        except Exception as error:
            # An unreadable message must not end the thread: the table stays in use, and a snapshot follows.
            self._resumable = False
            _LOG.exception("the watch cannot be read")
            return ProvidersError(f"The watch cannot be read: {type(error).__name__}.")
        finally:
            with self._changed:
                stream, self._stream = self._stream, None
            if stream is not None:
                stream.close()
        return None

    def _open(self) -> Stream:
        request = pb.WatchRoutingRequest(watcher_id=self._watcher_id, session=self._session)
        request.bookmark_interval.FromMilliseconds(round(self._pace.bookmark * 1000))
        if self._resumable and self.table is not None:
            request.resume_token = self.table.token
        stream = Stream(self._registry.watch(request))
        with self._changed:
            self._stream = stream
            if self._stop.is_set():
                stream.cancel()
        self._reports.forget()
        return stream

    def _read(self, stream: Stream) -> None:
        last, patience = self._clock(), self._pace.first_message
        while not self._stop.is_set():
            wake = min(last + patience, self._reports.due)
            message = stream.read(wake - self._clock())
            now = self._clock()
            if message is not None:
                last, patience = now, self._pace.silence
                self._take(message, now)
            elif now >= last + patience:
                raise _Broken(RegistryUnavailable(f"The registry has been silent for {patience:.0f} s."))
            if now >= self._reports.due:
                self._reports.send()

    def _take(self, message: pb.WatchRoutingResponse, now: float) -> None:
        """Apply one message."""
        self.message_time = now
        draining = False
        match message.WhichOneof("event"):
            case "snapshot_chunk":
                self._take_chunk(message)
            case "change_set":
                self._take_changes(message)
            case "bookmark":
                draining = message.bookmark.draining
                self._take_bookmark(message)
            case _:
                pass  # from a newer registry: a sign of life
        if self._reader is None and self._resumable:
            self.current_time = now
            if self.table is not None:
                self._reports.notice(self.table.token)
        self._tend()
        if draining:
            raise _Broken

    def _take_chunk(self, message: pb.WatchRoutingResponse) -> None:
        chunk = message.snapshot_chunk
        if chunk.first:
            self._reader, self._reset_reason = _wire.TableReader(), ResetReason(chunk.reason)
        if self._reader is None:
            raise ValueError("a snapshot without its first chunk")
        self._reader.add(chunk)
        if not chunk.last:
            return
        table = self._reader.table(store_id=message.store_id, revision=message.revision, token=message.token)
        self._reader = None
        self._resumable = True
        self.resets.append(self._reset_reason)
        if self._reset_reason in _OTHER_HISTORY:
            _LOG.error(
                "the registry has another history: its database was restored or failed over; store %s is at "
                "revision %d",
                table.store_id,
                table.revision,
            )
            self._on_other_history()
        self._use(table)

    def _take_changes(self, message: pb.WatchRoutingResponse) -> None:
        table = self._following(message)
        if message.revision > table.revision:
            self._use(table.changed(message.revision, message.token, _wire.table_changes(message.change_set)))

    def _take_bookmark(self, message: pb.WatchRoutingResponse) -> None:
        if self._reader is not None or (message.bookmark.draining and not self._resumable):
            return
        table = self._following(message)
        if message.revision > table.revision:
            self._use(table.at(message.revision, message.token))

    def _following(self, message: pb.WatchRoutingResponse) -> RoutingTable:
        """Return the table that a message continues: never a stored or an incomplete one."""
        table = self.table if self._resumable and self._reader is None else None
        if table is None or table.store_id != message.store_id:
            raise ValueError("a message that continues another table")
        return table

    def _use(self, table: RoutingTable) -> None:
        self.table = table
        with self._changed:
            self._changed.notify_all()

    def _tend(self) -> None:
        """Do what is due from time to time: drop credentials, store the table."""
        if self.table is not None:
            self._on_table(self.table)
            self._store()

    def _take_stored(self) -> None:
        """Use the table of an earlier process until the registry responds."""
        if self._file is None or self._load_tried:
            return
        self._load_tried = True
        try:
            stored = self._file.load()
        except StoredTableRefused as refused:
            _LOG.warning("no stored routing table: %s", refused)
            return
        self.current_time = self._clock() - max(0.0, time.time() - stored.current_time)
        self._stored = stored.table
        self._use(stored.table)

    def _store(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if self._file is None or self.table is None or self.table is self._stored:
            return
        if not at_once and now < self._store_due:
            return
        self._store_due = now + STORE_SECONDS
        self._stored = self.table
        age = now - (self.current_time if self.current_time is not None else now)
        try:
            self._file.save(self.table, current_time=time.time() - age)
        except OSError as error:
            _LOG.warning("the routing table could not be stored: %s", error)
