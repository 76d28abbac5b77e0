"""Checks a receipt later: by itself, and against what is stored now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.keys import versions as key_versions
from cli.keys.receipt import DIFFERENT, EQUAL, REVISION_MOVED, ProviderRows, comparison, contradictions
from cli.keys.rotation import digest_rows
from cli.keys.verification import registry_status, verify_all
from cli.keys.versions import short_name
from cli.session import Session
from cli.terminal.findings import Finding, Level

_ROWS_THEN = {
    EQUAL: (Level.OK, "byte for byte the same before and after"),
    REVISION_MOVED: (Level.NOTE, "others changed providers meanwhile, so the two digests cannot be compared"),
    DIFFERENT: (Level.FAILED, "changed although the registry's revision did not move"),
}


def check(receipt: Mapping[str, Any]) -> list[Finding]:
    """Return what the receipt says by itself. Its digest was checked when it was read."""
    wrong = [Finding("receipt", Level.FAILED, sentence) for sentence in contradictions(receipt)]
    if wrong:
        return wrong
    keys, rows = receipt["data_keys"], receipt["provider_rows"]
    new = short_name(receipt["new_key_version"])
    level, sentence = _ROWS_THEN.get(
        rows["comparison"], (Level.NOTE, "of another store after than before: a restore lay between")
    )
    return [
        Finding(
            "receipt", Level.OK, f"as it was written {receipt['end_time']}, sha256 {receipt['sha256'][:16]}"
        ),
        Finding(
            "data keys then",
            Level.OK,
            f"all {keys['count_after']} verified under {new}, none left",
        ),
        Finding("provider rows then", level, sentence),
    ]


def check_live(session: Session, receipt: Mapping[str, Any]) -> list[Finding]:
    """Return what of it still holds."""
    return [_deployment(session, receipt), _data_keys(session, receipt), _rows(session, receipt)]


def _deployment(session: Session, receipt: Mapping[str, Any]) -> Finding:
    now, then = registry_status(session).deployment_id, receipt["deployment_id"]
    if then and now != then:
        return Finding(
            "installation", Level.FAILED, f"this is {now or 'a new one'}, the receipt is from {then}"
        )
    return Finding("installation", Level.OK, now or "nothing is stored yet")


def _data_keys(session: Session, receipt: Mapping[str, Any]) -> Finding:
    """Every wrapper names the receipt's version or one that came after it.

    A keyring may be gone since, and a destroyed version unlisted: then none may name a version of before it.
    """
    new = receipt["new_key_version"]
    order = {version.name: at for at, version in enumerate(key_versions.list_versions(session.admin))}
    verification = verify_all(session)
    replaced = set(receipt["data_keys"]["usage_before"]) - {new}
    older = {
        name: count
        for name, count in verification.usage.items()
        if count and (name not in order or name in replaced or order[name] < order.get(new, 0))
    }
    if older:
        counts = ", ".join(f"{count} under {short_name(name)}" for name, count in sorted(older.items()))
        return Finding("data keys now", Level.FAILED, f"not all under that version or a newer one: {counts}")
    if verification.failures:
        sentence = f"{len(verification.failures)} failed verification: see `providerctl doctor`"
        return Finding("data keys now", Level.FAILED, sentence)
    sentence = f"all {verification.key_count} under that version or a newer one, each verified"
    if new not in order:
        return Finding("data keys now", Level.NOTE, f"{sentence}; the sidecar no longer lists that version")
    return Finding("data keys now", Level.OK, sentence)


def _rows(session: Session, receipt: Mapping[str, Any]) -> Finding:
    then, now = ProviderRows.parse(receipt["provider_rows"]["after"]), digest_rows(session)
    said = comparison(then, now)
    if said == EQUAL:
        return Finding("provider rows now", Level.OK, f"byte for byte as then, revision {now.revision}")
    if said == REVISION_MOVED:
        sentence = f"providers have changed since: revision {then.revision} then, {now.revision} now"
        return Finding("provider rows now", Level.NOTE, sentence)
    if said == DIFFERENT:
        sentence = f"changed since, although the revision is still {now.revision}"
        return Finding("provider rows now", Level.FAILED, sentence)
    return Finding("provider rows now", Level.NOTE, "this is another store: a restore lies between")
