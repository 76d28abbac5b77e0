"""After a compromise: a case file with the credentials that were exposed, and what is left of them in use.

A case is written once and then only read: what is left is asked of the registry each time. It holds names and
versions, no secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from codevector.kms.v1 import key_admin_service_pb2 as pb
from codevector.providers.v1.provider_pb2 import Provider

from cli import proofs
from cli.failures import ExitCode, Failure
from cli.keys.audit import Exposure, all_providers, exposure
from cli.peers import Sidecar
from cli.session import Session
from cli.times import of_message, stamp
from runtime.calls import closing

FORMAT = "codevector/compromise-case/1"

SCOPE_AUDIT = "AUDIT"
SCOPE_ALL = "ALL_STORED"


class Use(Enum):
    """What became of an exposed credential."""

    IN_USE = "IN_USE"
    REPLACED = "REPLACED"
    PROVIDER_DELETED = "PROVIDER_DELETED"


@dataclass(frozen=True, slots=True)
class Question:
    """What the case is about. ``everything`` takes every stored credential, whatever the audit says.

    ``asked`` is the time as it was typed: typed again, it means the same case even where it counts from now.
    """

    asked: str
    since: datetime
    principal: str
    everything: bool
    sidecars: tuple[str, ...] = ()
    """Admin sockets of further sidecars."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """One exposed credential of a case and what became of it."""

    entry: Mapping[str, Any]
    use: Use
    provider: Provider | None


def place_of(folder: Path, question: Question) -> Path:
    """Return where the case is written: the file of an earlier run that has no rotation, else a new one."""
    for path in sorted(folder.glob("compromise-*.json")):
        case = read(path)
        if case["rotation"] is None and _same(case, question):
            return path
    return folder / f"compromise-{question.since:%Y%m%dT%H%M%S}Z.json"


def opened(session: Session, path: Path, question: Question) -> dict[str, Any]:
    """The case at ``path``: as it is where it was opened before for the same question, else a new one.

    Where the audit cannot answer for the whole time, every stored credential counts as exposed.

    Raises:
        Failure: there is a case for another question (exit code 5), or something could not be asked.
    """
    if proofs.read(path) is not None:
        case = read(path)
        if not _same(case, question):
            raise Failure(f"{path} is a case about another time or principal", code=ExitCode.CONFLICT)
        return case
    case = _new(session, question)
    proofs.write(path, case)
    return case


def read(path: Path) -> dict[str, Any]:
    """Return the case at ``path``, as it was written."""
    return proofs.read_sealed(path, FORMAT)


def with_rotation(path: Path, case: Mapping[str, Any], rotation: Mapping[str, Any]) -> dict[str, Any]:
    """Record in the case that the key was rotated, and return it."""
    noted = proofs.sealed({**case, "rotation": dict(rotation)})
    proofs.write(path, noted)
    return noted


def tracked(session: Session, case: Mapping[str, Any]) -> list[Tracked]:
    """Return what became of each exposed credential, those in use first."""
    providers = {provider.uid: provider for provider in all_providers(session)}
    found = [
        Tracked(
            entry, _use(entry, providers.get(entry["provider_uid"])), providers.get(entry["provider_uid"])
        )
        for entry in case["exposed"]
    ]
    return sorted(found, key=lambda each: (each.use is not Use.IN_USE, each.entry["provider"]))


def _same(case: Mapping[str, Any], question: Question) -> bool:
    asked = (case["asked_since"], case["principal"], case["asked_for_all"], case["sidecars"])
    return asked == (question.asked, question.principal, question.everything, list(question.sidecars))


def _use(entry: Mapping[str, Any], provider: Provider | None) -> Use:
    if provider is None:
        return Use.PROVIDER_DELETED
    same = provider.HasField("credential") and provider.credential.version == entry["credential_version"]
    return Use.IN_USE if same else Use.REPLACED


def _new(session: Session, question: Question) -> dict[str, Any]:
    found = [] if question.everything else _audits(session, question)
    doubt = "; ".join(each.doubt for each in found if each.doubt)
    providers = list(all_providers(session))
    names = {provider.uid: provider.name for provider in providers}
    entries: dict[tuple[str, int], dict[str, Any]] = {}
    for each in (credential for audit in found for credential in audit.credentials):
        key = (each.provider_uid, each.credential_version)
        entry = _entry(each, names.get(each.provider_uid, ""))
        entries[key] = _merged(entries[key], entry) if key in entries else entry
    whole = not (question.everything or doubt)
    if not whole:
        for provider in providers:
            if provider.HasField("credential"):
                key = (provider.uid, provider.credential.version)
                entries.setdefault(key, _stored(provider))
    return proofs.sealed(
        {
            "format": FORMAT,
            "open_time": stamp(session.world.now()),
            "since": stamp(question.since),
            "asked_since": question.asked,
            "asked_for_all": question.everything,
            "sidecars": list(question.sidecars),
            "principal": question.principal,
            "scope": SCOPE_AUDIT if whole else SCOPE_ALL,
            "doubt": doubt,
            "exposed": list(entries.values()),
            "rotation": None,
        }
    )


def _audits(session: Session, question: Question) -> list[Exposure]:
    """Return what the audit of each sidecar has."""
    found = [exposure(session.admin, question.since, question.principal)]
    for socket in question.sidecars:
        further = Sidecar("admin", Path(socket))
        with closing(further):
            found.append(exposure(further, question.since, question.principal))
    return found


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return two sidecars' entries of one credential as one."""
    return {
        **one,
        "key_versions": sorted({*one["key_versions"], *other["key_versions"]}),
        "principals": sorted({*one["principals"], *other["principals"]}),
        "first_time": min(one["first_time"], other["first_time"]),
        "last_time": max(one["last_time"], other["last_time"]),
        "access_count": one["access_count"] + other["access_count"],
    }


def _entry(exposed: pb.ExposedCredential, provider: str) -> dict[str, Any]:
    return {
        "provider": provider,
        "provider_uid": exposed.provider_uid,
        "credential_version": exposed.credential_version,
        "key_versions": list(exposed.key_versions),
        "principals": list(exposed.principals),
        "first_time": stamp(of_message(exposed.first_time)),
        "last_time": stamp(of_message(exposed.last_time)),
        "access_count": exposed.access_count,
    }


def _stored(provider: Provider) -> dict[str, Any]:
    return {
        "provider": provider.name,
        "provider_uid": provider.uid,
        "credential_version": provider.credential.version,
        "key_versions": [],
        "principals": [],
        "first_time": None,
        "last_time": None,
        "access_count": 0,
    }
