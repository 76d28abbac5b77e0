"""The receipt of a rotation: what was moved, that nothing was left, and that provider rows did not change.

Times are RFC 3339 in UTC; counts are of data keys; `sha256` of the document is over all else in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from codevector.providers.v1 import system_service_pb2 as pb

from cli.keys.verification import Verification
from cli.proofs import sealed
from cli.times import parse_stamp, stamp

FORMAT = "codevector/rotation-receipt/1"

EQUAL = "EQUAL"
REVISION_MOVED = "REVISION_MOVED"
STORE_CHANGED = "STORE_CHANGED"
DIFFERENT = "DIFFERENT"


@dataclass(frozen=True, slots=True)
class ProviderRows:
    """A digest over all provider rows, and of which moment."""

    sha256: str
    store_id: str
    revision: int
    provider_count: int
    credential_count: int
    provider_model_count: int

    @classmethod
    def of(cls, answer: pb.DigestProvidersResponse) -> ProviderRows:
        return cls(
            answer.sha256.hex(),
            answer.store_id,
            answer.revision,
            answer.provider_count,
            answer.credential_count,
            answer.provider_model_count,
        )

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> ProviderRows:
        """Read what ``as_json`` made. Raises KeyError or TypeError on anything else."""
        return cls(**content)

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def comparison(before: ProviderRows, after: ProviderRows) -> str:
    """Compare two digests. If somebody wrote in between, they cannot be compared."""
    if before.store_id != after.store_id:
        return STORE_CHANGED
    if before.revision != after.revision:
        return REVISION_MOVED
    return EQUAL if before == after else DIFFERENT


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that goes into a receipt."""

    deployment_id: str
    origin: str
    run_count: int
    start_time: datetime
    end_time: datetime
    previous_primary: str
    new_version: str
    count_before: int
    usage_before: Mapping[str, int]
    verification: Verification
    rows_before: ProviderRows
    rows_after: ProviderRows


def receipt_of(evidence: Evidence) -> dict[str, Any]:
    """Return the receipt, for a rotation that left nothing, quarantined nothing and verified everything."""
    verification = evidence.verification
    return sealed(
        {
            "format": FORMAT,
            "deployment_id": evidence.deployment_id,
            "origin": evidence.origin,
            "run_count": evidence.run_count,
            "start_time": stamp(evidence.start_time),
            "end_time": stamp(evidence.end_time),
            "previous_primary_key_version": evidence.previous_primary,
            "new_key_version": evidence.new_version,
            "data_keys": {
                "count_before": evidence.count_before,
                "usage_before": dict(evidence.usage_before),
                "count_after": verification.key_count,
                "usage_after": dict(verification.usage),
                "verified_count": verification.verified_count,
                "failed_count": len(verification.failures),
                "left_behind_count": sum(verification.under_others_than(evidence.new_version).values()),
                "quarantined_count": 0,
            },
            "provider_rows": {
                "before": evidence.rows_before.as_json(),
                "after": evidence.rows_after.as_json(),
                "comparison": comparison(evidence.rows_before, evidence.rows_after),
            },
        }
    )


def contradictions(receipt: Mapping[str, Any]) -> Iterator[str]:
    """Yield what contradicts itself or is not a success. The receipt's digest was checked before."""
    try:
        keys, rows = receipt["data_keys"], receipt["provider_rows"]
        new = receipt["new_key_version"]
        before, after = ProviderRows.parse(rows["before"]), ProviderRows.parse(rows["after"])
        if parse_stamp(receipt["end_time"]) < parse_stamp(receipt["start_time"]):
            yield "it ended before it started"
        for name in ("left_behind_count", "quarantined_count", "failed_count"):
            if keys[name] != 0:
                yield f"{name} is {keys[name]}"
        if sum(keys["usage_before"].values()) != keys["count_before"]:
            yield "the versions of before do not add up to count_before"
        if set(keys["usage_after"]) - {new} or sum(keys["usage_after"].values()) != keys["count_after"]:
            yield "the versions of after are not all the new one, or do not add up to count_after"
        if keys["verified_count"] != keys["count_after"]:
            yield "not all data keys were verified"
        if rows["comparison"] != comparison(before, after):
            yield "the comparison of provider rows is not what the two digests say"
        if rows["comparison"] == DIFFERENT:
            yield "provider rows changed although the revision did not"
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        yield f"a field is missing or of another type ({type(error).__name__})"
