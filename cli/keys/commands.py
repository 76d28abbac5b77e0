"""The functions behind ``providerctl key``: what each prints, and how it ends."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

from codevector.kms.v1.key_management_service_pb2 import KeyVersion

from cli import proofs
from cli.failures import Failure, UsageFailure
from cli.keys import audit, compromise, receipt_check, retiring, rotation
from cli.keys import versions as key_versions
from cli.keys.receipt import FORMAT as RECEIPT_FORMAT
from cli.keys.rewrapping import failure_lines, rewrap_all
from cli.keys.shown import (
    show_audit,
    show_case,
    show_exposure,
    show_findings,
    show_receipt,
    show_rewrapped,
    show_verification,
)
from cli.keys.status import show_status, version_rows
from cli.keys.verification import registry_status, verify_all
from cli.keys.versions import full_name
from cli.messages import as_json
from cli.session import Session
from cli.times import moment, span


def status(session: Session) -> None:
    """Show how stored data keys are wrapped, and whether the sidecar works."""
    show_status(session)


def list_(session: Session) -> None:
    """List the key versions, oldest first."""
    versions = key_versions.list_versions(session.admin)
    session.terminal.show([as_json(version) for version in versions], version_rows(versions))


def create(session: Session, *, request_id: str, expected_latest: str) -> None:
    """Create a version: PENDING until it is activated, or PRIMARY at once in Vault."""
    if not expected_latest:
        versions = key_versions.list_versions(session.admin)
        expected_latest = versions[-1].name if versions else ""
    try:
        request = str(UUID(request_id)) if request_id else str(uuid4())
    except ValueError:
        raise UsageFailure("--request-id must be a UUID") from None
    latest = full_name(expected_latest) if expected_latest else ""
    _show_version(session, key_versions.create(session.admin, request, latest))


def activate(session: Session, *, version: str) -> None:
    """Make a pending version the primary; the registry then moves all data keys to it."""
    _show_version(session, key_versions.activate(session.admin, full_name(version)))


def disable(session: Session, *, version: str, confirm_unreferenced: bool) -> None:
    """Disable a version without checking that nothing needs it; ``retire`` checks first."""
    if not confirm_unreferenced:
        raise UsageFailure(
            "no credential that needs this version can be opened then: use `key retire`, which checks "
            "that none does, or add --confirm-unreferenced"
        )
    _show_version(session, key_versions.disable(session.admin, full_name(version)))


def enable(session: Session, *, version: str) -> None:
    """Let a disabled version unwrap data keys again."""
    _show_version(session, key_versions.enable(session.admin, full_name(version)))


def schedule_destroy(session: Session, *, version: str, delay: str) -> None:
    """Destroy the key of a version after a delay; it must have been disabled for 7 days."""
    wait = span(delay) if delay else None
    _show_version(session, key_versions.schedule_destruction(session.admin, full_name(version), wait))


def cancel_destroy(session: Session, *, version: str) -> None:
    """Cancel a scheduled destruction; the version is disabled again."""
    _show_version(session, key_versions.cancel_destruction(session.admin, full_name(version)))


def rotate(session: Session, *, receipt: Path | None, release_quarantined: bool) -> None:
    """Rotate to a new version, move every data key to it, verify all, and write a receipt.

    It resumes an interrupted rotation, and succeeds only if no data key is left under an old version.
    """
    order = rotation.Order(
        rotation.default_journal(session), receipt, release_quarantined=release_quarantined
    )
    show_receipt(session, rotation.rotate(session, order))


def rewrap(session: Session, *, release_quarantined: bool) -> None:
    """Move all data keys to the primary version now, without waiting for the registry's own sweep."""
    known = registry_status(session)
    outcome = rewrap_all(
        session, target="", total=known.data_key_count, release_quarantined=release_quarantined
    )
    show_rewrapped(session, outcome)
    if outcome.quarantined:
        listed = tuple(registry_status(session).quarantined)
        raise Failure(f"{outcome.quarantined} data keys are quarantined", lines=failure_lines(listed))


def verify(session: Session) -> None:
    """Open and check every data key, and count them by the version that their own bytes name."""
    verification = verify_all(session)
    show_verification(session, verification)
    if verification.failures:
        raise Failure(f"{len(verification.failures)} data keys failed verification: see `providerctl doctor`")


def retire(session: Session, *, version: str) -> None:
    """Disable a version that wraps no data key, after checking twice, more than a minute apart."""
    _show_version(session, retiring.retire(session, full_name(version)))


def receipt_check_(
    session: Session,
    *,
    file: Path,
    offline: bool,
) -> None:
    """Check a rotation's receipt: that it is as it was written, and that what it says still holds."""
    content = proofs.read_sealed(file, RECEIPT_FORMAT)
    findings = receipt_check.check(content)
    if not offline:
        findings += receipt_check.check_live(session, content)
    show_findings(session, findings, f"{file} does not hold any more")


def audit_verify(
    session: Session,
    *,
    alone: bool,
) -> None:
    """Check the sidecar's whole audit for lines that were deleted, edited, reordered or cut off."""
    expected_seq, expected_head = 0, b""
    if not alone:
        expected_seq, expected_head = audit.recorded(session, registry_status(session))
    answer = audit.verify(session, expected_seq, expected_head)
    show_audit(session, answer, compared_to=expected_seq)
    if not answer.intact:
        raise Failure(f"the audit was changed after it was written: {audit.fault_sentence(answer.fault)}")


def audit_exposure(session: Session, *, since: str, principal: str) -> None:
    """List the credentials whose data keys a caller of the sidecar received since a time."""
    found = audit.exposure(session.admin, moment(since, session.world.now()), principal)
    show_exposure(session, found, list(audit.all_providers(session)))
    if found.doubt:
        raise Failure(f"the list may be incomplete: {found.doubt}")


def compromise_start(
    session: Session,
    *,
    since: str,
    principal: str,
    case: Path | None,
    all_: bool,
    sidecar: list[str],
) -> None:
    """List what was exposed in a case file, then rotate; resume where an earlier run was interrupted."""
    sockets = tuple(str(Path(socket).absolute()) for socket in sidecar)
    when = moment(since, session.world.now())
    question = compromise.Question(since, when, principal, all_, sockets)
    path = case or compromise.place_of(session.settings.receipts, question)
    opened = compromise.opened(session, path, question)
    session.terminal.say(f"case file: {path}")
    if opened["doubt"]:
        session.terminal.complain(f"every stored credential counts as exposed: {opened['doubt']}")
    if opened["rotation"] is None:
        order = rotation.Order(path.with_name(f"{path.name}.rotation-under-way"), fresh=True)
        rotated = rotation.rotate(session, order)
        noted = {
            "new_key_version": rotated.receipt["new_key_version"],
            "end_time": rotated.receipt["end_time"],
            "receipt": str(rotated.path),
            "receipt_sha256": rotated.receipt["sha256"],
        }
        opened = compromise.with_rotation(path, opened, noted)
    show_case(session, opened, compromise.tracked(session, opened))


def compromise_status(session: Session, *, case: Path) -> None:
    """Show which exposed credentials are still in use; succeed only if none is."""
    opened = compromise.read(case)
    found = compromise.tracked(session, opened)
    show_case(session, opened, found)
    left = sum(each.use is compromise.Use.IN_USE for each in found)
    if left:
        raise Failure(f"{left} exposed credentials are still in use: replace them upstream and here")
    if opened["rotation"] is None:
        raise Failure("the key has not been rotated: run `key compromise start` again")


def _show_version(session: Session, version: KeyVersion) -> None:
    session.terminal.show(as_json(version), version_rows([version]))
