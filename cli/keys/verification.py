"""Verifies all data keys: each is unwrapped in its context, and counted under the version that it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from codevector.providers.v1 import system_service_pb2 as pb

from cli.session import Session
from cli.terminal.progress import Meter, progress

_PAGE_SECONDS = 120.0
NO_WRAPPER = "NO_DATA_KEY"
"""The reason of the one failure that has no wrapped key, and so refers to no version."""


@dataclass(frozen=True, slots=True)
class Verification:
    """All pages together. ``usage`` counts wrapped keys by the version in their own bytes, valid or not."""

    verified_count: int
    failures: tuple[pb.VerifyFailure, ...]
    usage: Mapping[str, int]

    @property
    def key_count(self) -> int:
        """Return how many data keys were checked."""
        return self.verified_count + sum(failure.reason != NO_WRAPPER for failure in self.failures)

    def under_others_than(self, name: str) -> dict[str, int]:
        """Return how many wrapped keys name which other version."""
        return {version: count for version, count in self.usage.items() if version != name and count}

    def unreadable(self) -> tuple[pb.VerifyFailure, ...]:
        """Return the failures whose wrapped key names no version: each might be under any."""
        return tuple(
            failure for failure in self.failures if not failure.key_version and failure.reason != NO_WRAPPER
        )

    def message(self) -> pb.VerifyDataKeysResponse:
        """Return all pages as one message, for printing."""
        return pb.VerifyDataKeysResponse(
            verified_count=self.verified_count,
            failed_count=len(self.failures),
            usage=[
                pb.KeyVersionUsage(key_version=version, data_key_count=count)
                for version, count in sorted(self.usage.items())
            ],
            failures=self.failures,
        )


def registry_status(session: Session) -> pb.GetEncryptionStatusResponse:
    """Return what the registry knows of its data keys from their rows."""
    registry = session.registry
    return registry.call(registry.system.GetEncryptionStatus, pb.GetEncryptionStatusRequest())


def verify_all(session: Session) -> Verification:
    """Verify page by page, waiting for a registry or sidecar that becomes unavailable.

    Raises:
        CallRefused: one is away for longer, or this registry's sidecar cannot open wrappers.
    """
    status = registry_status(session)
    with progress(session.terminal, "verify", session.world.monotonic) as meter:
        return _walk(session, meter, status.data_key_count)


def _walk(session: Session, meter: Meter, expected: int) -> Verification:
    registry, patience = session.registry, session.patience()
    usage: Counter[str] = Counter()
    failures: list[pb.VerifyFailure] = []
    verified = 0
    request = pb.VerifyDataKeysRequest()
    meter.update(0, expected)
    while True:
        page = patience.insist(
            lambda: registry.call(registry.system.VerifyDataKeys, request, seconds=_PAGE_SECONDS)
        )
        verified += page.verified_count
        failures += page.failures
        usage.update({each.key_version: each.data_key_count for each in page.usage})
        checked = verified + len(failures)
        if not page.next_page_token:
            meter.update(checked, checked)
            return Verification(verified, tuple(failures), dict(usage))
        meter.update(checked, max(expected, checked))
        request.page_token = page.next_page_token
