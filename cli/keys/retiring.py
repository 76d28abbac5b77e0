"""Retires a key version after checking twice, by every wrapped key's own bytes, that nothing refers to it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codevector.kms.v1.key_management_service_pb2 import KeyVersion

from cli.failures import ExitCode, Failure
from cli.keys import versions as key_versions
from cli.keys.verification import Verification, verify_all
from cli.keys.versions import short_name, state_word
from cli.session import Session

PAUSE_SECONDS = 61.0
"""Between the two checks: the second sees the wrapped key of a write that began before the first."""

_GONE = (KeyVersion.STATE_DISABLED, KeyVersion.STATE_DESTROY_SCHEDULED, KeyVersion.STATE_DESTROYED)
_TRANSIT = re.compile(r"(?P<key>keyVersions/transit-[0-9a-f]{8})-v[0-9]+-[0-9]+")


def retire(session: Session, name: str) -> KeyVersion:
    """Disable the version and return it; a disabled one stays as it is.

    Raises:
        Failure: it is the primary, or wrappers refer to it, or some name no version at all (exit code 5).
    """
    versions = key_versions.list_versions(session.admin)
    version = key_versions.find(versions, name)
    if version.state in _GONE:
        session.terminal.say(f"{short_name(name)} is {state_word(version)} already")
        return version
    if version.state == KeyVersion.STATE_PRIMARY:
        raise Failure(f"{short_name(name)} is the primary version: rotate first", code=ExitCode.CONFLICT)
    closing = _closed_with(name, versions)
    _refuse_references(closing, verify_all(session))
    session.terminal.say(f"nothing refers to {short_name(name)}; checking again in {PAUSE_SECONDS:.0f} s")
    session.world.sleep(PAUSE_SECONDS)
    _refuse_references(closing, verify_all(session))
    disabled = key_versions.disable(session.admin, name)
    session.terminal.say(f"nothing refers to {short_name(name)}: it is {state_word(disabled)}")
    return disabled


def _closed_with(name: str, versions: Sequence[KeyVersion]) -> list[str]:
    """Return the version, and in Vault those before it: Transit disables all below a number."""
    match = _TRANSIT.fullmatch(name)
    if match is None:
        return [name]
    closing: list[str] = []
    for version in versions:
        older = _TRANSIT.fullmatch(version.name)
        if older is not None and older["key"] == match["key"]:
            closing.append(version.name)
        if version.name == name:
            break
    return closing


def _refuse_references(closing: Sequence[str], verification: Verification) -> None:
    found = {name: verification.usage.get(name, 0) for name in closing}
    found.update({name: 1 for name in closing if not found[name] and _fails_under(name, verification)})
    if any(found.values()):
        raise Failure(
            f"{sum(found.values())} of {verification.key_count} data keys still need it: "
            "`providerctl key rotate` moves them",
            code=ExitCode.CONFLICT,
            lines=[f"{short_name(name)}: {count}" for name, count in found.items() if count],
        )
    unreadable = verification.unreadable()
    if unreadable:
        raise Failure(
            f"{len(unreadable)} wrapped keys name no key version, so it is unknown which they need: "
            "`providerctl doctor` says what to do",
            code=ExitCode.CONFLICT,
            lines=[f"{each.resource}: {each.reason}" for each in unreadable],
        )


def _fails_under(name: str, verification: Verification) -> bool:
    return any(failure.key_version == name for failure in verification.failures)
