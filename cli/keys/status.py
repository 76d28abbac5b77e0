"""``key status``: how stored data keys are wrapped, and whether registry and sidecar agree."""

from __future__ import annotations

from collections.abc import Sequence

from codevector.kms.v1 import key_management_service_pb2 as kms_pb
from codevector.kms.v1.key_management_service_pb2 import KeyVersion
from codevector.providers.v1 import system_service_pb2 as pb

from cli.keys import versions as key_versions
from cli.keys.verification import registry_status
from cli.keys.versions import short_name, state_word
from cli.messages import as_json
from cli.session import Session
from cli.terminal.output import Cell, Column, Facts, Section, Tone, Value
from cli.times import shown
from runtime.calls import CallRefused

_SWEEP = pb.GetEncryptionStatusResponse.SweepState
_STATE_TONES = {
    KeyVersion.STATE_PRIMARY: Tone.GOOD,
    KeyVersion.STATE_DISABLED: Tone.WARNING,
    KeyVersion.STATE_DESTROY_SCHEDULED: Tone.BAD,
    KeyVersion.STATE_DESTROYED: Tone.QUIET,
}
_SWEEP_TONES = {
    pb.GetEncryptionStatusResponse.SWEEP_STATE_DONE: Tone.GOOD,
    pb.GetEncryptionStatusResponse.SWEEP_STATE_RUNNING: Tone.WARNING,
    pb.GetEncryptionStatusResponse.SWEEP_STATE_WAITING: Tone.WARNING,
    pb.GetEncryptionStatusResponse.SWEEP_STATE_BLOCKED: Tone.BAD,
}


def show_status(session: Session) -> None:
    """Print it. What a closed socket would have added is left out, with a line on stderr."""
    status = registry_status(session)
    versions = _versions(session)
    sidecar = _sidecar(session)
    session.terminal.show(
        {
            "encryption": as_json(status),
            "keyVersions": None if versions is None else [as_json(version) for version in versions],
            "sidecar": None if sidecar is None else as_json(sidecar),
        },
        _facts(status, sidecar),
        Section("", ("key version", "state", "data keys", "created"), _rows(status, versions or ())),
        *_quarantined(status),
    )


def version_rows(versions: Sequence[KeyVersion]) -> Section:
    """Return the versions as ``key list`` prints them."""
    return Section(
        "",
        ("key version", "state", "algorithm", "created", "destroyed"),
        [
            (
                short_name(version.name),
                _state(version),
                version.algorithm,
                shown(version.create_time),
                shown(version.destroy_time),
            )
            for version in versions
        ],
    )


def _versions(session: Session) -> list[KeyVersion] | None:
    try:
        return key_versions.list_versions(session.admin)
    except CallRefused as refused:
        session.terminal.complain(f"key versions are not shown: {refused}", Tone.WARNING)
        return None


def _sidecar(session: Session) -> kms_pb.GetStatusResponse | None:
    side = session.registry_side
    try:
        return side.call(side.management.GetStatus, kms_pb.GetStatusRequest())
    except CallRefused as refused:
        session.terminal.complain(f"the sidecar's status is not shown: {refused}", Tone.WARNING)
        return None


def _facts(status: pb.GetEncryptionStatusResponse, sidecar: kms_pb.GetStatusResponse | None) -> Facts:
    healthy = Cell("healthy", Tone.GOOD) if status.kms_healthy else Cell(status.kms_message, Tone.BAD)
    pairs: list[tuple[str, Value]] = [
        ("primary", short_name(status.primary_key_version) or "none recorded yet"),
        ("sweep", Cell(_word(status), _SWEEP_TONES.get(status.sweep_state, Tone.PLAIN))),
        ("data keys", f"{status.data_key_count:,}"),
        ("not under the primary", _count(status.stale_data_key_count, Tone.WARNING)),
        ("quarantined", _count(status.quarantined_count, Tone.BAD)),
        ("sidecar", healthy),
    ]
    if status.kms_primary_key_version not in ("", status.primary_key_version):
        sidecars = Cell(f"{short_name(status.kms_primary_key_version)} (not recorded yet)", Tone.WARNING)
        pairs.append(("sidecar's primary", sidecars))
    if sidecar is not None:
        backend = kms_pb.GetStatusResponse.Backend.Name(sidecar.backend).removeprefix("BACKEND_")
        pairs.append(("backend", backend))
    noticed = f", recorded {shown(status.notice_time)}" if status.HasField("notice_time") else ""
    pairs += [
        ("keyring seq", f"{status.keyring_seq}{noticed}"),
        ("audit seq", f"{status.audit_seq}, head {status.audit_head.hex()[:16] or 'none'}"),
        ("audit's key", status.audit_public_key.hex()[:16] or "none recorded yet"),
        ("deployment", status.deployment_id or "none recorded yet"),
    ]
    return Facts(pairs)


def _rows(
    status: pb.GetEncryptionStatusResponse, versions: Sequence[KeyVersion]
) -> list[tuple[Value, Value, Value, Value]]:
    counts = {each.key_version: each.data_key_count for each in status.usage}
    rows: list[tuple[Value, Value, Value, Value]] = [
        (
            short_name(version.name),
            _state(version),
            counts.pop(version.name, 0),
            shown(version.create_time),
        )
        for version in versions
    ]
    unlisted = Cell("not listed", Tone.WARNING) if versions else Cell("")
    return rows + [(short_name(name), unlisted, count, "") for name, count in sorted(counts.items())]


def _quarantined(status: pb.GetEncryptionStatusResponse) -> list[Section]:
    if not status.quarantined:
        return []
    rows = [
        (each.resource, Cell(each.reason, Tone.BAD), short_name(each.key_version), each.failed_count)
        for each in status.quarantined
    ]
    return [Section("quarantined", ("resource", "reason", Column("key version", whole=True), "failed"), rows)]


def _state(version: KeyVersion) -> Cell:
    return Cell(state_word(version), _STATE_TONES.get(version.state, Tone.PLAIN))


def _word(status: pb.GetEncryptionStatusResponse) -> str:
    return _SWEEP.Name(status.sweep_state).removeprefix("SWEEP_STATE_")


def _count(count: int, tone: Tone) -> Cell:
    return Cell(f"{count:,}", tone if count else Tone.PLAIN)
