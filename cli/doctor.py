"""``providerctl doctor``: everything that opening a credential needs; what is wrong, why, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from codevector.kms.v1 import key_management_service_pb2 as kms_pb
from codevector.providers.v1 import model_service_pb2, provider_service_pb2
from codevector.providers.v1 import system_service_pb2 as pb

from cli.failures import ExitCode, Failure
from cli.keys import audit
from cli.keys import versions as key_versions
from cli.keys.verification import registry_status, verify_all
from cli.keys.versions import short_name
from cli.peers import Sidecar, exit_code_of
from cli.session import Session
from cli.terminal.findings import Finding, Level, has_failed, section
from cli.times import of_message
from runtime.calls import CallRefused
from runtime.release import release

T = TypeVar("T")

SHOWN_CORRUPT = 100
CLOCKS_APART = timedelta(seconds=5)
FEW_OPEN_FILES = 12_000
"""A connection for each of the 10,000 routers that a registry serves, and some to spare."""
_SWEEP = pb.GetEncryptionStatusResponse

REMEDIES = {
    "WRAPPER_MALFORMED": "the wrapped key is damaged: restore its row, or replace the credential",
    "KEY_VERSION_MISMATCH": "row and wrapped key name different versions: the row was edited; restore it",
    "CONTEXT_MISMATCH": "the wrapped key is another credential's: rows were exchanged; restore them",
    "ENVELOPE_MISMATCH": "envelope and wrapped key do not belong together: rows were exchanged; restore them",
    "NO_CREDENTIAL": "a data key without a credential: harmless, but this registry never leaves one",
    "NO_DATA_KEY": "the credential has no data key and cannot be opened: restore its row, or replace it",
    "CREDENTIAL_CORRUPT": "the wrapped key cannot be unwrapped: restore its row, or replace the credential",
    "KEY_VERSION_UNAVAILABLE": "the sidecar may not use its key version: enable it, or restore the keyring",
}
_REMEDY = "replace the credential, which makes a new data key"


@dataclass(frozen=True, slots=True)
class Sides:
    """What the servers responded; None if they did not."""

    registry: pb.GetEncryptionStatusResponse | None
    sidecar: kms_pb.GetStatusResponse | None


def doctor(session: Session) -> None:
    """Check registry, sidecar, clocks, audit, and every pair of envelope and wrapped key."""
    findings: list[Finding] = []
    registry = _asked(findings, "registry", lambda: registry_status(session))
    sidecar = _asked(findings, "registry socket", lambda: _sidecar(session, session.registry_side))
    _asked(findings, "router socket", lambda: _sidecar(session, session.router_side))
    sides = Sides(registry, sidecar)
    findings += _reached(session, sides)
    if registry is not None:
        findings += _asked(findings, "version", lambda: list(_system(session))) or []
        findings += _sweep(registry)
        findings += _asked(findings, "catalogs", lambda: list(_catalogs(session))) or []
        findings += _asked(findings, "stored resources", lambda: list(_corrupt(session))) or []
        findings += _asked(findings, "data keys", lambda: list(_data_keys(session))) or []
    findings += _asked(findings, "admin socket", lambda: list(_admin(session))) or []
    findings += _asked(findings, "audit", lambda: list(_audit(session, registry))) or []
    session.terminal.show([finding.as_json() for finding in findings], section(findings))
    if has_failed(findings):
        raise Failure(f"{sum(each.level is Level.FAILED for each in findings)} checks failed")


def _asked(findings: list[Finding], subject: str, work: Callable[[], T]) -> T | None:
    """Return the result of ``work``; if its server does not respond, add a finding and return None."""
    try:
        return work()
    except CallRefused as refused:
        # An account that may not use a socket is how installations are meant to be.
        level = Level.NOTE if exit_code_of(refused) is ExitCode.AUTH else Level.FAILED
        findings.append(Finding(subject, level, str(refused)))
        return None


def _system(session: Session) -> Iterator[Finding]:
    info = session.registry.call(session.registry.system.GetSystemInfo, pb.GetSystemInfoRequest())
    own = release()
    if info.version == own:
        yield Finding("version", Level.OK, own)
    else:
        yield Finding("version", Level.NOTE, f"the registry is {info.version}, this command {own}")
    connections = f"the registry takes {info.connection_limit} connections of routers and tools"
    if info.open_file_limit < FEW_OPEN_FILES:
        yield Finding(
            "open files",
            Level.NOTE,
            f"{connections}, since it may have {info.open_file_limit} files open: raise the hard limit "
            "(LimitNOFILE= in systemd, ulimit -Hn)",
        )
    else:
        yield Finding("open files", Level.OK, f"{info.open_file_limit} allowed: {connections}")
    if not info.history_break_count:
        yield Finding("history", Level.OK, "the database has every commit that this registry has served")
        return
    last = info.last_history_break
    count = info.history_break_count
    yield Finding(
        "history",
        Level.NOTE,
        f"{of_message(last.notice_time):%Y-%m-%d %H:%M:%S}Z: revision {last.lost_revision} is no longer in "
        f"the database, which was restored or failed over; the registry went on at {last.revision}. Writes "
        "acknowledged before then may be lost: check what is stored"
        + (f" ({count} breaks since it started)" if count > 1 else ""),
    )


def _sidecar(session: Session, side: Sidecar) -> kms_pb.GetStatusResponse:
    return side.call(side.management.GetStatus, kms_pb.GetStatusRequest())


def _reached(session: Session, sides: Sides) -> Iterator[Finding]:
    registry, sidecar = sides.registry, sides.sidecar
    if registry is not None:
        yield Finding("registry", Level.OK, f"responds at {session.settings.registry}")
        if registry.kms_healthy:
            yield Finding("registry to sidecar", Level.OK, "the registry can wrap")
        else:
            yield Finding("registry to sidecar", Level.FAILED, registry.kms_message)
    if sidecar is None:
        return
    for subject, healthy in (("wrapping", sidecar.wrap_healthy), ("unwrapping", sidecar.unwrap_healthy)):
        level = Level.OK if healthy else Level.FAILED
        yield Finding(subject, level, "works" if healthy else sidecar.message or "does not work")
    apart = of_message(sidecar.server_time) - session.world.now()
    seconds = f"{apart.total_seconds():+.1f} s from this one"
    level = Level.OK if abs(apart) <= CLOCKS_APART else Level.FAILED
    yield Finding(
        "sidecar's clock", level, seconds if level is Level.OK else f"{seconds}: set the clocks right"
    )
    if registry is not None:
        yield from _same_installation(registry, sidecar)


def _same_installation(
    registry: pb.GetEncryptionStatusResponse, sidecar: kms_pb.GetStatusResponse
) -> Iterator[Finding]:
    known = registry.deployment_id
    if known in ("", sidecar.deployment_id):
        yield Finding("installation", Level.OK, sidecar.deployment_id)
    else:
        yield Finding(
            "installation",
            Level.FAILED,
            f"the sidecar's keys belong to {sidecar.deployment_id}, the data to {known}: "
            "use the keyring and the database of one installation",
        )
    if sidecar.keyring_seq < registry.keyring_seq:
        yield Finding(
            "keyring",
            Level.FAILED,
            f"state {sidecar.keyring_seq} after {registry.keyring_seq}: an older keyring was restored",
        )
    else:
        yield Finding("keyring", Level.OK, f"state {sidecar.keyring_seq}")
    if registry.audit_public_key not in (b"", sidecar.audit_public_key):
        yield Finding(
            "audit",
            Level.NOTE,
            f"of the sidecar {sidecar.audit_public_key.hex()[:16]}; what is recorded is of another one, "
            f"{registry.audit_public_key.hex()[:16]}",
        )
    elif sidecar.audit_seq < registry.audit_seq:
        yield Finding(
            "audit length",
            Level.FAILED,
            f"{sidecar.audit_seq} lines, but {registry.audit_seq} were recorded: its end was cut off",
        )
    # The registry looks every 15 s, so for a moment after an activation it knows the primary before.
    recorded, current = registry.primary_key_version, sidecar.primary_key_version
    if recorded in ("", current):
        yield Finding("primary", Level.OK, short_name(current))
    else:
        yield Finding(
            "primary", Level.NOTE, f"{short_name(current)}; the registry still has {short_name(recorded)}"
        )


def _sweep(status: pb.GetEncryptionStatusResponse) -> Iterator[Finding]:
    waiting = status.stale_data_key_count - status.quarantined_count
    if waiting > 0:
        yield Finding(
            "sweep",
            Level.NOTE,
            f"{waiting} data keys are not under the primary yet: `providerctl key rewrap`",
        )
    elif not status.quarantined_count:
        yield Finding("sweep", Level.OK, f"all {status.data_key_count} data keys are under the primary")
    for each in status.quarantined:
        remedy = REMEDIES.get(each.reason, _REMEDY)
        sentence = f"{each.reason}: {remedy}; then `providerctl key rewrap --release-quarantined`"
        yield Finding(each.resource, Level.FAILED, f"quarantined, {sentence}")
    if status.quarantined_count > len(status.quarantined):
        sentence = f"{status.quarantined_count} in all, the first {len(status.quarantined)} are listed"
        yield Finding("quarantined", Level.FAILED, sentence)


def _catalogs(session: Session) -> Iterator[Finding]:
    registry = session.registry
    answer = registry.call(
        registry.providers.ListCatalogs, provider_service_pb2.ListCatalogsRequest(page_size=1000)
    )
    level = Level.OK if answer.catalogs else Level.NOTE
    yield Finding("catalogs", level, f"{len(answer.catalogs)} releases are bundled")


def _corrupt(session: Session) -> Iterator[Finding]:
    registry, wanted = session.registry, "state = CORRUPT"
    providers = registry.call(
        registry.providers.ListProviders,
        provider_service_pb2.ListProvidersRequest(filter=wanted, page_size=SHOWN_CORRUPT),
    )
    provider_models = registry.call(
        registry.providers.ListProviderModels,
        provider_service_pb2.ListProviderModelsRequest(
            parent="providers/-", filter=wanted, page_size=SHOWN_CORRUPT
        ),
    )
    models = registry.call(
        registry.models.ListModels,
        model_service_pb2.ListModelsRequest(filter=wanted, page_size=SHOWN_CORRUPT),
    )
    # The lists had all rows read anew.
    info = registry.call(registry.system.GetSystemInfo, pb.GetSystemInfoRequest())
    total = providers.total_size + provider_models.total_size + models.total_size
    if total:
        sentence = f"{total} cannot be read: routers do not see them; the others work"
        yield Finding("stored resources", Level.FAILED, sentence)
    else:
        yield Finding("stored resources", Level.OK, "all can be read")
    for rows in info.unreadable_rows:
        sentence = f"rows that cannot be read are left out ({', '.join(rows.columns)}): delete them by hand"
        yield Finding(f"table {rows.table}", Level.FAILED, sentence)
    found = [(each.name, each.corrupt_fields) for each in providers.providers]
    found += [(each.name, each.corrupt_fields) for each in provider_models.provider_models]
    found += [(each.name, each.corrupt_fields) for each in models.models]
    for name, fields in found:
        mended = (
            "set its credential again" if [*fields] == ["credential"] else "delete it and create it again"
        )
        yield Finding(name, Level.FAILED, f"corrupt ({', '.join(fields)}): {mended}")


def _data_keys(session: Session) -> Iterator[Finding]:
    verification = verify_all(session)
    if not verification.failures:
        yield Finding(
            "data keys", Level.OK, f"all {verification.key_count} open, match, and belong to their envelopes"
        )
        return
    failed, count = len(verification.failures), verification.key_count
    yield Finding(
        "data keys", Level.FAILED, f"{failed} failed, {verification.verified_count} of {count} are intact"
    )
    for failure in verification.failures:
        under = f" (under {short_name(failure.key_version)})" if failure.key_version else ""
        remedy = REMEDIES.get(failure.reason, _REMEDY)
        yield Finding(failure.resource, Level.FAILED, f"{failure.reason}{under}: {remedy}")


def _admin(session: Session) -> Iterator[Finding]:
    versions = key_versions.list_versions(session.admin)
    yield Finding("admin socket", Level.OK, f"{len(versions)} key versions")
    for version in versions:
        if version.state == kms_pb.KeyVersion.STATE_DESTROY_SCHEDULED:
            when = of_message(version.destroy_time)
            sentence = f"its key will be destroyed {when:%Y-%m-%d %H:%M}Z, and backups under it with it"
            yield Finding(short_name(version.name), Level.NOTE, sentence)


def _audit(session: Session, status: pb.GetEncryptionStatusResponse | None) -> Iterator[Finding]:
    seq, head = audit.recorded(session, status) if status is not None else (0, b"")
    answer = audit.verify(session, seq, head)
    if answer.intact:
        sentence = f"{answer.audit_seq} lines, intact" + (f", as recorded at line {seq}" if seq else "")
        yield Finding("audit", Level.OK, sentence)
    else:
        yield Finding("audit", Level.FAILED, audit.fault_sentence(answer.fault))
