"""A whole rotation: a new primary version, every data key under it, the verification, the receipt.

Each step is a no-op where it is done, and the journal keeps what a step cannot find out again. So a run
after a kill finishes the rotation it finds, and never starts another beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from codevector.kms.v1.key_management_service_pb2 import KeyVersion
from codevector.providers.v1 import system_service_pb2 as pb

from cli import proofs
from cli.failures import ExitCode, Failure
from cli.keys import versions as key_versions
from cli.keys.journal import ORIGIN_NEW, ORIGIN_PENDING, ORIGIN_UNDER_WAY, Journal, JournalFile
from cli.keys.receipt import DIFFERENT, Evidence, ProviderRows, receipt_of
from cli.keys.rewrapping import failure_lines, rewrap_all
from cli.keys.verification import Verification, registry_status, verify_all
from cli.keys.versions import short_name, state_word
from cli.session import Session
from cli.times import of_message
from runtime.calls import CallRefused

_CLOCKS_APART = timedelta(seconds=5)
_VERIFY_ROUNDS = 3
_CONFLICT = "CONFLICT"
JOURNAL_NAME = "rotation-under-way.json"
_LOCK_NAME = ".rotation.lock"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for.

    ``fresh`` makes a new version even where one is pending or a rotation of somebody else is under way: after
    a compromise only a key made now will do.
    """

    journal: Path
    receipt: Path | None = None
    fresh: bool = False
    release_quarantined: bool = False


@dataclass(frozen=True, slots=True)
class Rotated:
    """A finished rotation: its receipt and where that is."""

    receipt: dict[str, Any]
    path: Path


def default_journal(session: Session) -> Path:
    """Return the journal of ``key rotate``."""
    return session.settings.receipts / JOURNAL_NAME


def rotate(session: Session, order: Order) -> Rotated:
    """Rotate, or resume an unfinished rotation.

    Raises:
        Failure: something is unmoved, quarantined, unproved, or could not be reached. The journal stays, so
            the next run goes on from there.
    """
    with proofs.only_one(session.settings.receipts / _LOCK_NAME, "rotation"):
        file = JournalFile(order.journal)
        # Nothing has begun yet, so a server that is unavailable is reported at once.
        versions = key_versions.list_versions(session.admin)
        known = registry_status(session)
        journal = _taken_up(session, file, versions, known) or _begun(session, order, versions, known)
        if order.receipt is not None:
            journal = replace(journal, receipt=str(order.receipt.absolute()))
        file.write(journal)
        journal = _with_target(session, file, journal, versions)
        _activate(session, journal)
        verification = _moved_and_proved(session, journal, order)
        receipt = _receipt(session, journal, verification)
        path = Path(journal.receipt)
        proofs.write(path, receipt)
        file.remove()
    if receipt["provider_rows"]["comparison"] == DIFFERENT:
        raise Failure(
            "all data keys are moved, but provider rows are not what they were, and the registry's revision "
            f"did not move: somebody changed the database itself (receipt: {path})"
        )
    return Rotated(receipt, path)


def digest_rows(session: Session) -> ProviderRows:
    """Return the digest over all provider rows at this moment."""
    registry = session.registry
    return ProviderRows.of(
        session.patience().insist(
            lambda: registry.call(registry.system.DigestProviders, pb.DigestProvidersRequest(), seconds=120.0)
        )
    )


def _taken_up(
    session: Session,
    file: JournalFile,
    versions: Sequence[KeyVersion],
    status: pb.GetEncryptionStatusResponse,
) -> Journal | None:
    """Return the rotation that an earlier run left unfinished."""
    journal = file.read()
    if journal is None:
        return None
    if journal.deployment_id and status.deployment_id not in ("", journal.deployment_id):
        raise Failure(
            f"{file.path} belongs to another installation's rotation: move it away", code=ExitCode.CONFLICT
        )
    if journal.target:
        state = next((each.state for each in versions if each.name == journal.target), None)
        if state not in (KeyVersion.STATE_PENDING, KeyVersion.STATE_PRIMARY):
            session.terminal.say(
                f"the rotation that an earlier run began, to {short_name(journal.target)}, was overtaken"
            )
            return None
    session.terminal.say(f"resuming the rotation that began {journal.start_time:%Y-%m-%d %H:%M:%SZ}")
    return replace(journal, run_count=journal.run_count + 1)


def _begun(
    session: Session,
    order: Order,
    versions: Sequence[KeyVersion],
    status: pb.GetEncryptionStatusResponse,
) -> Journal:
    """Begin a rotation: to a pending version, or to a new one."""
    primary = next((each for each in versions if each.state == KeyVersion.STATE_PRIMARY), None)
    pending = [each for each in versions if each.state == KeyVersion.STATE_PENDING]
    origin, target = ORIGIN_NEW, ""
    if not order.fresh and primary is not None and _is_behind(status, primary.name):
        origin, target = ORIGIN_UNDER_WAY, primary.name
        session.terminal.say(
            f"{short_name(target)} is the primary version and not all data keys are under it: "
            "finishing that rotation; run again for a new version"
        )
    elif not order.fresh and pending:
        origin, target = ORIGIN_PENDING, pending[-1].name
        session.terminal.say(f"{short_name(target)} is pending: using it")
    start = session.world.now()
    folder = session.settings.receipts
    return Journal(
        origin=origin,
        start_time=start,
        run_count=1,
        deployment_id=status.deployment_id,
        request_id="" if target else str(uuid4()),
        expected_latest=versions[-1].name if versions and not target else "",
        target=target,
        previous_primary=status.primary_key_version if target else (primary.name if primary else ""),
        count_before=sum(each.data_key_count for each in status.usage),
        usage_before={each.key_version: each.data_key_count for each in status.usage},
        rows_before=digest_rows(session),
        receipt=str(order.receipt or folder / f"rotation-{start:%Y%m%dT%H%M%S}Z.json"),
    )


def _is_behind(status: pb.GetEncryptionStatusResponse, primary: str) -> bool:
    """Return whether data keys are under other versions than the sidecar's primary."""
    return any(each.data_key_count for each in status.usage if each.key_version != primary)


def _with_target(
    session: Session, file: JournalFile, journal: Journal, versions: Sequence[KeyVersion]
) -> Journal:
    """Return the journal with the version to move to, which exists once this returns."""
    if journal.target:
        return journal
    try:
        made = _create(session, journal)
    except CallRefused as refused:
        if refused.refusal.reason != _CONFLICT:
            raise
        latest = refused.refusal.metadata.get("current_latest", "")
        since = journal.start_time - _CLOCKS_APART
        now = key_versions.list_versions(session.admin)
        newer = [each for each in now if each.name == latest and of_message(each.create_time) >= since]
        if journal.run_count > 1 and newer:
            # An earlier run created it, and the sidecar no longer remembers the request.
            made = newer[0]
        elif any(each.name == latest for each in versions):
            # Several keyrings: the newest of the one that wraps is not the newest of all.
            journal = replace(journal, expected_latest=latest, request_id=str(uuid4()))
            file.write(journal)
            made = _create(session, journal)
        else:
            raise
    session.terminal.say(f"created {short_name(made.name)}")
    journal = replace(journal, target=made.name)
    file.write(journal)
    return journal


def _create(session: Session, journal: Journal) -> KeyVersion:
    return session.patience().insist(
        lambda: key_versions.create(session.admin, journal.request_id, journal.expected_latest)
    )


def _activate(session: Session, journal: Journal) -> None:
    version = session.patience().insist(lambda: key_versions.activate(session.admin, journal.target))
    session.terminal.say(f"{short_name(version.name)} is {state_word(version)}")


def _moved_and_proved(session: Session, journal: Journal, order: Order) -> Verification:
    """Verify that every data key opens and is under the target, by its own bytes."""
    release = order.release_quarantined
    left: dict[str, int] = {}
    for _ in range(_VERIFY_ROUNDS):
        outcome = rewrap_all(
            session, target=journal.target, total=journal.count_before, release_quarantined=release
        )
        release = False
        if outcome.quarantined:
            raise _quarantined(session, outcome.quarantined)
        verification = verify_all(session)
        if verification.failures:
            raise Failure(
                f"{len(verification.failures)} data keys failed verification: see `providerctl doctor`",
                lines=[f"{each.resource}: {each.reason}" for each in verification.failures],
            )
        left = verification.under_others_than(journal.target)
        if not left:
            return verification
    raise Failure(
        f"{sum(left.values())} wrapped keys name another key version than {short_name(journal.target)}",
        lines=[f"{short_name(name)}: {count}" for name, count in sorted(left.items())],
    )


def _quarantined(session: Session, count: int) -> Failure:
    listed = tuple(registry_status(session).quarantined)
    return Failure(
        f"{count} data keys could not be moved in three attempts and are unchanged; repair them as "
        "`providerctl doctor` says, then run again with --release-quarantined",
        lines=failure_lines(listed),
    )


def _receipt(session: Session, journal: Journal, verification: Verification) -> dict[str, Any]:
    status = session.patience().insist(lambda: registry_status(session))
    if status.quarantined_count:
        raise _quarantined(session, status.quarantined_count)
    return receipt_of(
        Evidence(
            deployment_id=status.deployment_id,
            origin=journal.origin,
            run_count=journal.run_count,
            start_time=journal.start_time,
            end_time=session.world.now(),
            previous_primary=journal.previous_primary,
            new_version=journal.target,
            count_before=journal.count_before,
            usage_before=journal.usage_before,
            verification=verification,
            rows_before=journal.rows_before,
            rows_after=digest_rows(session),
        )
    )
