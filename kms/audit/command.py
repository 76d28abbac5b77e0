"""``python -m kms audit``: verify and read an audit from its files, without a socket.

Opens files for reading only, the sidecar's own or copies; returns lines of text and an exit code.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kms.audit.chain import Fault, Segment, verify
from kms.audit.exposure import Exposed, exposure
from kms.audit.lines import Position, time_text
from kms.audit.sink import segments, single_segment
from kms.errors import StartError

_COLUMNS = ("PROVIDER UID", "VERSION", "DATA KEY", "TIMES", "FIRST", "LAST", "PRINCIPALS")


class AuditUnreadable(StartError):
    """There is no readable audit at the path; one sentence."""


@dataclass(frozen=True, slots=True)
class Report:
    """What goes to stdout, and the exit code: 0 for an intact audit, 1 otherwise."""

    lines: tuple[str, ...]
    exit_code: int


def verify_files(
    place: Path, *, public_key: bytes | None, expected: Position | None, as_json: bool
) -> Report:
    """Verify the audit in a file or directory. Raises AuditUnreadable."""
    try:
        found = verify(_segments(place), public_key=public_key, expected=[expected] if expected else [])
    except OSError as error:
        raise AuditUnreadable(f"the audit {place} cannot be read: {error.strerror}") from None
    facts: dict[str, Any] = {
        "intact": found.fault is None,
        "fault": _fault(found.fault),
        "firstSeq": found.first_seq,
        "auditSeq": found.last.seq,
        "auditHead": found.last.head.hex(),
        "signedSeq": found.signed_seq,
        "checkpointCount": found.checkpoints,
        "repairCount": found.repairs,
        "signaturesChecked": public_key is not None,
    }
    exit_code = 0 if found.fault is None else 1
    if as_json:
        return Report((json.dumps(facts, indent=2),), exit_code)
    if found.fault is not None:
        fault = found.fault
        return Report((f"{fault.file}:{fault.line}: {fault.reason.value}: {fault.description}",), exit_code)
    signed = (
        f"signed up to line {found.signed_seq}" if public_key else "signatures not checked: no public key"
    )
    return Report(
        (f"intact: lines {found.first_seq} to {found.last.seq}, {signed}", f"head: {found.last.head.hex()}"),
        exit_code,
    )


def expose_files(place: Path, *, since: datetime, principal: str, as_json: bool) -> Report:
    """List the credentials that a principal could have seen. Exit code 1 if the list may lack some."""
    try:
        whole = verify(_segments(place), public_key=None).fault
        found = exposure(_segments(place), since=since, principal=principal)
    except OSError as error:
        raise AuditUnreadable(f"the audit {place} cannot be read: {error.strerror}") from None
    doubts = []
    if whole is not None:
        doubts.append(f"{whole.file}:{whole.line}: {whole.description}")
    if found.start_time is not None and found.start_time > since:
        doubts.append("the audit here begins after --since: add its older files")
    if as_json:
        facts = {"exposedCredentials": [_exposed(each) for each in found.credentials], "doubts": doubts}
        return Report((json.dumps(facts, indent=2),), 1 if doubts else 0)
    rows = [_COLUMNS, *(_row(each) for each in found.credentials)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    table = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    notes = [f"incomplete: {doubt}" for doubt in doubts]
    return Report((*(line.rstrip() for line in table), *notes), 1 if doubts else 0)


def _segments(place: Path) -> Sequence[Segment]:
    if not place.is_dir():
        return [single_segment(place)]
    found = segments(place)
    if not found:
        raise AuditUnreadable(f"no audit file in {place}: expected names like audit-000000000001.jsonl")
    return found


def _fault(fault: Fault | None) -> dict[str, Any] | None:
    return None if fault is None else {**asdict(fault), "reason": fault.reason.value}


def _exposed(exposed: Exposed) -> dict[str, Any]:
    return {
        "providerUid": exposed.provider_uid,
        "credentialVersion": exposed.credential_version,
        "dataKeyId": exposed.data_key_id,
        "keyVersions": exposed.key_versions,
        "principals": exposed.principals,
        "firstTime": time_text(exposed.first_time),
        "lastTime": time_text(exposed.last_time),
        "accessCount": exposed.count,
    }


def _row(exposed: Exposed) -> tuple[str, ...]:
    return (
        exposed.provider_uid,
        str(exposed.credential_version),
        exposed.data_key_id,
        str(exposed.count),
        time_text(exposed.first_time),
        time_text(exposed.last_time),
        ",".join(exposed.principals),
    )
