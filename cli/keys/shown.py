"""How the results of ``providerctl key`` are printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codevector.kms.v1 import key_admin_service_pb2 as pb
from codevector.providers.v1.provider_pb2 import Provider

from cli.failures import Failure
from cli.keys.audit import Exposure
from cli.keys.compromise import Tracked, Use
from cli.keys.receipt import EQUAL
from cli.keys.rewrapping import Outcome
from cli.keys.rotation import Rotated
from cli.keys.verification import Verification
from cli.keys.versions import short_name
from cli.messages import as_json
from cli.session import Session
from cli.terminal.findings import Finding, has_failed, section
from cli.terminal.output import Cell, Facts, Section, Tone, Value
from cli.times import shown

_USE_TONES = {Use.IN_USE: Tone.BAD, Use.REPLACED: Tone.GOOD, Use.PROVIDER_DELETED: Tone.GOOD}
_USE_WORDS = {Use.IN_USE: "in use", Use.REPLACED: "replaced", Use.PROVIDER_DELETED: "provider deleted"}


def show_receipt(session: Session, rotated: Rotated) -> None:
    """Print the summary of a rotation; as JSON the receipt itself."""
    receipt = rotated.receipt
    keys, rows = receipt["data_keys"], receipt["provider_rows"]
    equal = rows["comparison"] == EQUAL
    same = Cell(
        "byte for byte as before" if equal else f"not comparable: {rows['comparison']}",
        Tone.GOOD if equal else Tone.WARNING,
    )
    before = ", ".join(f"{count} under {short_name(name)}" for name, count in keys["usage_before"].items())
    session.terminal.show(
        receipt,
        Facts(
            [
                ("primary", Cell(short_name(receipt["new_key_version"]), Tone.GOOD)),
                ("before", before or "no data keys"),
                ("after", f"{keys['count_after']} data keys, {keys['verified_count']} verified"),
                ("not moved", keys["left_behind_count"]),
                ("quarantined", keys["quarantined_count"]),
                ("provider rows", same),
                ("receipt", str(rotated.path)),
                ("sha256", receipt["sha256"]),
            ]
        ),
    )


def show_rewrapped(session: Session, outcome: Outcome) -> None:
    """Print how it ended."""
    session.terminal.show(
        {
            "primaryKeyVersion": outcome.primary,
            "rewrappedCount": str(outcome.moved_here),
            "remainingCount": "0",
            "quarantinedCount": str(outcome.quarantined),
        },
        Facts(
            [
                ("primary", short_name(outcome.primary)),
                ("moved by this command", outcome.moved_here),
                ("remaining", 0),
                (
                    "quarantined",
                    Cell(str(outcome.quarantined), Tone.BAD if outcome.quarantined else Tone.PLAIN),
                ),
            ]
        ),
    )


def show_verification(session: Session, verification: Verification) -> None:
    """Print counts, versions, and every data key that failed verification."""
    failed = len(verification.failures)
    parts: list[Facts | Section] = [
        Facts(
            [
                ("sound", Cell(str(verification.verified_count), Tone.GOOD)),
                ("not sound", Cell(str(failed), Tone.BAD if failed else Tone.PLAIN)),
            ]
        )
    ]
    if verification.usage:
        rows = [(short_name(name), count) for name, count in sorted(verification.usage.items())]
        parts.append(Section("", ("key version, by the wrappers", "data keys"), rows))
    if failed:
        failures = [
            (each.resource, Cell(each.reason, Tone.BAD), short_name(each.key_version))
            for each in verification.failures
        ]
        parts.append(Section("", ("resource", "reason", "key version"), failures))
    session.terminal.show(as_json(verification.message()), *parts)


def show_findings(session: Session, findings: Sequence[Finding], if_failed: str) -> None:
    """Print all findings.

    Raises:
        Failure: one of them failed.
    """
    session.terminal.show([finding.as_json() for finding in findings], section(findings))
    if has_failed(findings):
        raise Failure(if_failed)


def show_audit(session: Session, answer: pb.VerifyAuditResponse, *, compared_to: int) -> None:
    """Print the state of the audit."""
    session.terminal.show(
        as_json(answer),
        Facts(
            [
                ("audit", Cell("intact", Tone.GOOD) if answer.intact else Cell("NOT INTACT", Tone.BAD)),
                ("lines", f"{answer.first_seq} to {answer.audit_seq}, signed up to {answer.signed_seq}"),
                (
                    "compared with",
                    f"line {compared_to}, as the registry recorded it" if compared_to else "nothing",
                ),
                ("head", answer.audit_head.hex()),
                ("checkpoints", answer.checkpoint_count),
                ("torn lines repaired", answer.repair_count),
                ("public key", answer.public_key.hex()),
            ]
        ),
    )


def show_exposure(session: Session, found: Exposure, providers: Sequence[Provider]) -> None:
    """Print a row for each credential."""
    by_uid = {provider.uid: provider for provider in providers}
    rows: list[Sequence[Value]] = []
    data: list[dict[str, Any]] = []
    for each in found.credentials:
        provider = by_uid.get(each.provider_uid)
        name = provider.name if provider is not None else ""
        data.append({**as_json(each), "provider": name})
        rows.append(
            (
                name or f"deleted ({each.provider_uid})",
                each.credential_version,
                ", ".join(each.principals),
                shown(each.first_time),
                shown(each.last_time),
                each.access_count,
            )
        )
    columns = ("provider", "credential", "by", "first", "last", "times")
    session.terminal.show(data, Section("", columns, rows))


def show_case(session: Session, case: Mapping[str, Any], found: Sequence[Tracked]) -> None:
    """Print the case, and what became of each exposed credential."""
    left = sum(each.use is Use.IN_USE for each in found)
    rotated = case["rotation"]
    rows: list[Sequence[Value]] = [
        (
            each.entry["provider"] or each.entry["provider_uid"],
            each.entry["credential_version"],
            Cell(_USE_WORDS[each.use], _USE_TONES[each.use]),
            ", ".join(each.entry["principals"]),
            each.entry["last_time"] or "",
        )
        for each in found
    ]
    session.terminal.show(
        {**case, "exposed": [{**each.entry, "use": each.use.value} for each in found], "in_use_count": left},
        Facts(
            [
                ("since", case["since"]),
                ("principal", case["principal"] or "anybody"),
                ("exposed", f"{len(found)} credentials"),
                ("still in use", Cell(str(left), Tone.BAD if left else Tone.GOOD)),
                (
                    "rotated to",
                    short_name(rotated["new_key_version"]) if rotated else Cell("not yet", Tone.BAD),
                ),
            ]
        ),
        Section("", ("provider", "credential", "now", "seen by", "last seen"), rows),
    )
