"""Moving wrappers to the primary key version, by the sweep in the background and by RewrapDataKeys.

The table is the work list: what is not under the primary version is still to be moved, so a sweep that was
killed is simply begun anew. Old wrapper in, new wrapper out of the sidecar, then compare-and-swap; no
provider row is read or written, and no revision is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum

from service.domain.calls import Call
from service.domain.model import StoredWrapper
from service.sealing.kms_client import NotPrimary, WrappedDataKey
from service.sealing.kms_failures import KEY_VERSION_UNAVAILABLE, ItemFailure
from service.store import Backlog, DataKeyFault, Failed, RewrapUnit, Swap
from service.usecases.context import Context
from service.usecases.kms_state import refresh_kms_state

BATCH_ITEMS = 1024
"""Four messages to the sidecar and one transaction of some 20 ms, between which credentials are written."""
STEP_BATCHES = 12
CALL_ITEMS = 256
"""What RewrapDataKeys moves between two looks at its caller's deadline."""
LEASE_SECONDS = 10.0
DEFAULT_ITEMS = 500
MAX_ITEMS = 5000
SHOWN_FAILURES = 100
SPARE_SECONDS = 2.0
"""What a call keeps of its time to answer in."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch that came back from the sidecar and is not stored yet."""

    items: list[StoredWrapper]
    outcomes: list[WrappedDataKey | ItemFailure]


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one batch."""

    moved: int
    failed: tuple[str, ...]


class Sweeping(Enum):
    """What a step of the sweep found."""

    MORE = "there is more after where it stopped"
    PASSED = "it came to the end of the table"
    HELD = "another replica sweeps"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it found, how many wrappers it moved, and after which key to go on."""

    found: Sweeping
    moved: int
    after: str


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What RewrapDataKeys answers."""

    moved: int
    backlog: Backlog
    primary_key_version: str
    failures: list[DataKeyFault]


def backlog(ctx: Context) -> Backlog:
    """Count the data keys by version, against the recorded primary."""
    return ctx.store.read(lambda unit: unit.data_keys.backlog(unit.kms.get().primary_key_version))


def begin_sweep(ctx: Context, accepted: Sequence[str]) -> bool:
    """Return whether there is anything to move.

    What was quarantined for want of a key version is let go once that version is accepted again: it was the
    keyring that failed, not the wrapper.
    """
    found = backlog(ctx)
    if found.quarantined and ctx.store.rewrap(
        lambda unit: unit.release_faults(KEY_VERSION_UNAVAILABLE, accepted)
    ):
        found = backlog(ctx)
    return found.remaining > 0


def sweep_step(ctx: Context, holder: str, after: str) -> Step:
    """Move at most 12,288 wrappers after ``after``, 1,024 a transaction, unless another replica sweeps.

    While one batch is stored, the sidecar has the next one already.

    Raises:
        Unavailable: the sidecar or the database is away; what was moved stays moved.
    """
    if not ctx.store.rewrap(lambda unit: unit.take_lease(holder, seconds=LEASE_SECONDS)):
        return Step(Sweeping.HELD, 0, after)
    primary = ctx.store.read(lambda unit: unit.kms.get()).primary_key_version
    found, moved, stored_up_to = Sweeping.MORE, 0, after
    with ThreadPoolExecutor(1, thread_name_prefix="sweep") as ahead:
        waiting: Future[Answered] | None = None
        try:
            for _ in range(STEP_BATCHES):
                items = _stale(ctx, primary, after=after, limit=BATCH_ITEMS)
                coming = ahead.submit(_ask, ctx, primary, items)
                if waiting is not None:
                    moved += _store(ctx, waiting.result()).moved
                    stored_up_to = after
                waiting, after = coming, items[-1].dek_id if items else after
                if len(items) < BATCH_ITEMS:
                    found = Sweeping.PASSED
                    break
            if waiting is not None:
                moved += _store(ctx, waiting.result()).moved
                stored_up_to = after
        except NotPrimary:
            refresh_kms_state(ctx)
            return Step(Sweeping.MORE, moved, stored_up_to)
    return Step(found, moved, "" if found is Sweeping.PASSED else after)


def end_sweep(ctx: Context, holder: str) -> None:
    """Let another replica sweep."""
    ctx.store.rewrap(lambda unit: unit.give_lease(holder))


def rewrap_data_keys(ctx: Context, call: Call, *, batch_size: int, release_quarantined: bool) -> Rewrapped:
    """Move one batch at once, beside a sweep that may be at work.

    It begins at a random place in key order and goes round, so that it and the sweep seldom want the same
    rows; where they do, one of them loses and nothing else happens.

    Raises:
        Unavailable: the sidecar or the database is away; what was moved stays moved.
    """
    primary = _primary(ctx, call)
    moved, failed = 0, list[str]()
    if not call.validate_only:
        if release_quarantined:
            ctx.store.rewrap(lambda unit: unit.release_quarantined())
        moved, failed = _move_round(ctx, call, primary, min(batch_size or DEFAULT_ITEMS, MAX_ITEMS))
    failures, left = ctx.store.read(
        lambda unit: (unit.data_keys.faults(failed[:SHOWN_FAILURES]), unit.data_keys.backlog(primary))
    )
    return Rewrapped(moved, left, primary, failures)


def _move_round(ctx: Context, call: Call, primary: str, limit: int) -> tuple[int, list[str]]:
    start = str(ctx.new_uuid())
    moved, failed = 0, list[str]()
    for after, until in ((start, None), ("", start)):
        while limit > 0 and (call.seconds_left() > SPARE_SECONDS or not moved):
            size = min(limit, CALL_ITEMS)
            items = _stale(ctx, primary, after=after, until=until, limit=size)
            try:
                batch = _store(ctx, _ask(ctx, primary, items, call))
            except NotPrimary:
                primary = _primary(ctx, call)
                continue
            moved += batch.moved
            failed += batch.failed
            limit -= len(items)
            if len(items) < size:
                break
            after = items[-1].dek_id
    return moved, failed


def _primary(ctx: Context, call: Call) -> str:
    _, row = refresh_kms_state(ctx, timeout_seconds=call.seconds_left(), request_id=call.request_id)
    return row.primary_key_version


def _stale(
    ctx: Context, primary: str, *, after: str, limit: int, until: str | None = None
) -> list[StoredWrapper]:
    bounds = {} if until is None else {"until": until}
    return ctx.store.read(lambda unit: unit.data_keys.stale(primary, after=after, limit=limit, **bounds))


def _ask(ctx: Context, primary: str, items: list[StoredWrapper], call: Call | None = None) -> Answered:
    """Have the sidecar rewrap the batch. Nothing is stored.

    Raises:
        NotPrimary: the sidecar has another primary version by now.
        Unavailable: the sidecar is away.
    """
    if call is None:
        return Answered(items, ctx.kms.rewrap(items, primary))
    outcomes = ctx.kms.rewrap(items, primary, timeout_seconds=call.seconds_left(), request_id=call.request_id)
    return Answered(items, outcomes)


def _store(ctx: Context, answered: Answered) -> Moved:
    """Store what was rewrapped and note what was not, in one transaction."""
    swaps, failures = list[Swap](), list[Failed]()
    for item, outcome in zip(answered.items, answered.outcomes, strict=True):
        if isinstance(outcome, ItemFailure):
            failures.append(Failed(item.dek_id, item.key_version, outcome.reason, not outcome.transient))
        else:
            swaps.append(Swap(item.dek_id, item.key_version, outcome.wrapped, outcome.key_version))
    if not swaps and not failures:
        return Moved(0, ())

    def work(unit: RewrapUnit) -> int:
        unit.fail(failures)
        return unit.swap(swaps)

    return Moved(ctx.store.rewrap(work), tuple(one.dek_id for one in failures))
